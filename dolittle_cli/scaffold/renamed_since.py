"""Renames what is generated for a project as it was renamed since, so that an update knows it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from dolittle_cli.scaffold.manifest import Manifest
from dolittle_cli.scaffold.names import snake
from dolittle_cli.scaffold.plan import Generated
from dolittle_cli.scaffold.record import RENAME, Record
from dolittle_cli.scaffold.references import module_of
from dolittle_cli.scaffold.renaming import Renaming, renamed
from dolittle_cli.scaffold.stored_id import HAVE_ID, with_stored_id
from dolittle_cli.scaffold.tidy import Ruff, find_ruff


def renamed_since(
    root: Path, package: str, manifest: Manifest, generated: Mapping[str, Generated]
) -> Mapping[str, Generated]:
    """Return what is generated for a project with all its renamings done again, oldest first.

    An example that a project was made with has no request of its own that would know its name.

    Args:
        root: The project's folder.
        package: The project's own package.
        manifest: What is remembered.
        generated: By path, as the project was when it was new.
    """
    ruff = find_ruff(root, package)
    for record in manifest.records:
        if record.command.startswith(RENAME):
            generated = _renamed(generated, record, ruff)
    return generated


def _renamed(
    generated: Mapping[str, Generated], record: Record, ruff: Ruff
) -> Mapping[str, Generated]:
    kind, old, new = record.command.removeprefix(RENAME).split()
    found = next((path for path, made in generated.items() if old in _classes(path, made)), None)
    if found is None:
        return generated
    moves = moved_by(record, old, new)
    classes = {
        name: new + name.removeprefix(old)
        for name, is_declared in _classes(found, generated[found]).items()
        if name == old
        or (not is_declared and name.startswith(old) and name[len(old) :][:1].isupper())
    }
    renaming = Renaming(module_of(found), module_of(moves.get(found, found)), classes)
    result = {}
    for path, made in generated.items():
        place, text = moves.get(path, path), made.text
        if path.endswith(".py"):
            text = renamed(path, text, renaming)
            if path == found and kind in HAVE_ID:
                text = with_stored_id(text, new, old)
            if text != made.text:
                text = ruff.tidied(place, made.text, text)
        result[place] = replace(made, text=text)
    return result


def _classes(path: str, made: Generated) -> Mapping[str, bool]:
    """Return the classes of a generated module, and whether each is declared to dolittle."""
    if not path.endswith(".py"):
        return {}
    body = ast.parse(made.text).body
    return {node.name: bool(node.decorator_list) for node in body if isinstance(node, ast.ClassDef)}


def moved_by(record: Record, old: str, new: str) -> Mapping[str, str]:
    """Return the new places of the files that a renaming moved, by the old ones."""
    moves = {}
    for path, file in record.files.items():
        place = PurePosixPath(path)
        for prefix in ("", "test_"):
            target = str(place.with_name(f"{prefix}{snake(new)}.py"))
            if place.name == f"{prefix}{snake(old)}.py" and file.after is None:
                moves[path] = target
    return moves
