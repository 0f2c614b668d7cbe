"""The condition of what is remembered of a project, for ``dolittle doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dolittle_cli.scaffold.journal import is_unfinished
from dolittle_cli.scaffold.manifest import Manifest
from dolittle_cli.scaffold.merge import has_markers
from dolittle_cli.scaffold.own_templates import kinds, stale
from dolittle_cli.scaffold.plan import read_text
from dolittle_cli.scaffold.record import FOLDER, ManifestDamaged, Record, read_record
from dolittle_cli.scaffold.update import things_behind


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        status: ``wrong`` keeps a command from working; ``note`` is worth knowing.
        text: What was found.
        fix: How to mend it; empty where nothing is to be mended.
    """

    status: Literal["ok", "note", "wrong"]
    text: str
    fix: str = ""


def findings(root: Path) -> Iterator[Finding]:
    """Look at a project's manifest, its unfinished commands, and its own templates."""
    if is_unfinished(root):
        yield Finding(
            "wrong",
            "a command was killed while it changed this project",
            "the next command that changes it takes that back first, e.g. dolittle update",
        )
    records: list[Record] = []
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            record = read_record(path)
        except ManifestDamaged as error:
            yield Finding("wrong", str(error), error.hint)
            continue
        records.append(record)
        if record.as_text() != path.read_text():
            yield Finding(
                "note",
                f"{record.path} is not as it was written; it can be read all the same",
                "take the file back from version control",
            )
    manifest = Manifest(tuple(sorted(records, key=lambda item: (item.number, item.slug))))
    if not records:
        # A project that was written by hand is well too.
        yield Finding("ok", f"nothing is remembered: there is no record in {FOLDER}")
        return
    commands = "1 command" if len(records) == 1 else f"{len(records)} commands"
    yield Finding("ok", f"{commands} remembered in {FOLDER}")
    yield from _conflicts(root, manifest)
    yield from _behind(root, manifest)


def _conflicts(root: Path, manifest: Manifest) -> Iterator[Finding]:
    generated = {path for thing in manifest.things().values() for path in thing.files}
    for path in sorted(generated):
        if has_markers(read_text(root, path) or ""):
            yield Finding(
                "wrong",
                f"{path} has a conflict in it",
                "look for <<<<<<< in it; dolittle undo takes the last command back, and "
                "dolittle update --abort an update",
            )


def _behind(root: Path, manifest: Manifest) -> Iterator[Finding]:
    behind = things_behind(root, manifest)
    if behind:
        yield Finding(
            "note",
            f"made by another version or other templates: {', '.join(behind)}",
            "see dolittle update --check",
        )
    for kind in kinds():
        for name in stale(root, manifest, kind):
            yield Finding(
                "note",
                f"the shipped template {name} has changed since yours was made of it",
                "dolittle update merges that",
            )
