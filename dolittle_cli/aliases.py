"""Reads the aliases of event types from a microservice's source, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dolittle.errors import Unknown

_DECORATOR: Final = "event_type"


@dataclass(frozen=True)
class Aliases:
    """The event types of a microservice, as its source spells them.

    An id that is no literal in the source is not found; such an event is shown by its id.

    Attributes:
        by_id: Class names by stored id; the newest generation's where there are several.
        unread: The files that could not be read, each with the reason.
    """

    by_id: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def alias(self, type_id: str) -> str:
        """Return what people read for a stored id; the id itself where no class has it."""
        return self.by_id.get(type_id, type_id)

    def type_id(self, name: str, stored: Mapping[str, int]) -> str:
        """Return the stored id for an alias or an id.

        Args:
            name: An alias, or an id.
            stored: How many events of each type id the log has.

        Raises:
            Unknown: It is neither declared nor stored.
        """
        if name in stored or name in self.by_id:
            return name
        for type_id, alias in self.by_id.items():
            if alias == name:
                return type_id
        raise Unknown("event type", name, {*self.by_id.values(), *map(self.alias, stored)})


def read_aliases(project: Path, package: str) -> Aliases:
    """Read every ``@event_type`` class in a package's source files."""
    found: dict[str, tuple[int, str]] = {}
    unread: list[str] = []
    for root in (project / package, project / "src" / package):
        for path in sorted(root.rglob("*.py")):
            try:
                text = path.read_text(encoding="utf-8")
                # Parsing is what costs; most files of a large package have no event type.
                tree = ast.parse(text) if _DECORATOR in text else ast.Module([], [])
            except (OSError, SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None)
                unread.append(f"{path}:{line}: {error}" if line else f"{path}: {error}")
                continue
            for type_id, generation, alias in _event_types(tree):
                if generation >= found.get(type_id, (0, ""))[0]:
                    found[type_id] = (generation, alias)
    return Aliases({type_id: alias for type_id, (_, alias) in found.items()}, tuple(unread))


def _event_types(tree: ast.Module) -> list[tuple[str, int, str]]:
    """Return id, generation and class name of each event type in a module."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = call.func if call else decorator
            written = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
            if written != _DECORATOR:
                continue
            type_id, generation = node.name, 1
            if call is not None:
                if call.args:
                    type_id = str(_literal(call.args[0]) or node.name)
                for keyword in call.keywords:
                    value = _literal(keyword.value)
                    if keyword.arg == "generation" and isinstance(value, int):
                        generation = value
            found.append((type_id, generation, node.name))
    return found


def _literal(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None
