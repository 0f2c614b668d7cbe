"""Writes the import lines of a generated module, sorted as ``ruff check`` wants them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from dolittle_cli.scaffold.layout import LINE_CHARACTERS_MAX, Group, statement

Import = tuple[str, str]
"""A module and a name in it (``name as alias``); an empty name imports the module itself."""


def import_block(imports: Iterable[Import], package: str) -> str:
    """Return import lines: the standard library, then others, then the package's own.

    Args:
        imports: In any order, repeated or not.
        package: The project's own package.
    """
    sections: dict[int, list[str]] = {}
    names: dict[str, set[str]] = {}
    for module, name in imports:
        names.setdefault(module, set()).add(name)
    for module in sorted(names, key=module_key):
        lines = sections.setdefault(section_of(module, package), [])
        if "" in names[module]:
            lines.insert(sum(line.startswith("import ") for line in lines), f"import {module}")
        lines += from_imports(module, names[module] - {""})
    return "\n\n".join("\n".join(sections[key]) for key in sorted(sections))


def from_imports(module: str, names: set[str]) -> list[str]:
    """Return a line for the plain names and one for each alias, in the order of their first."""
    plain = sorted((name for name in names if " as " not in name), key=_member_key)
    statements = [[name] for name in names if " as " in name] + ([plain] if plain else [])
    lines = []
    for members in sorted(statements, key=lambda found: (_member_key(found[0]), found[0])):
        line = f"from {module} import {', '.join(members)}"
        if len(line) > LINE_CHARACTERS_MAX:
            group = Group("(", tuple(members), ")", "collection")
            line = statement(f"from {module} import ", group)
        lines.append(line)
    return lines


def section_of(module: str, package: str) -> int:
    """Return where a module's imports stand: 0 standard library, 1 others, 2 the package's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return 0
    return 2 if top == package else 1


def module_key(module: str) -> list[tuple[int, int, str]]:
    """Return what modules are sorted by within their section."""
    return _natural(module.lower())


def _member_key(name: str) -> tuple[int, list[tuple[int, int, str]]]:
    """Constants first, then classes, then the rest (Source: ruff's ``order-by-type``)."""
    name = name.partition(" as ")[0]
    if len(name) > 1 and name.isupper():
        return 0, _natural(name)
    return (1 if name[0].isupper() else 2), _natural(name)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Order digits by their number, everything else by its characters."""
    parts = re.findall(r"\d+|\D", text)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]
