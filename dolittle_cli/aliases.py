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
class WrittenType:
    """An event type as the source spells it.

    Attributes:
        alias: The class name.
        path: The source file.
        line: Of the class, from 1.
    """

    id: str
    generation: int
    alias: str
    public: bool
    path: Path
    line: int


@dataclass(frozen=True)
class Aliases:
    """The event types of a microservice, as its source spells them.

    An id that is no literal in the source is not found; such an event is shown by its id.

    Attributes:
        by_id: By stored id; the newest generation where there are several.
        unread: The files that could not be read, each with the reason.
    """

    by_id: Mapping[str, WrittenType] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def alias(self, type_id: str) -> str:
        """Return what people read for a stored id; the id itself where no class has it."""
        found = self.by_id.get(type_id)
        return found.alias if found is not None else type_id

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
        for written in self.by_id.values():
            if written.alias == name:
                return written.id
        raise Unknown("event type", name, map(self.alias, {*self.by_id, *stored}))


def read_aliases(project: Path, package: str) -> Aliases:
    """Read every ``@event_type`` class in a package's source files."""
    found: dict[str, WrittenType] = {}
    unread: list[str] = []
    for root in (project / package, project / "src" / package):
        for path in sorted(root.rglob("*.py")):
            try:
                written = _read(path)
            except (OSError, SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None)
                reason = getattr(error, "msg", None) or str(error)
                unread.append(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")
                continue
            for item in written:
                known = found.get(item.id)
                if known is None or known.generation <= item.generation:
                    found[item.id] = item
    return Aliases(found, tuple(unread))


def _read(path: Path) -> list[WrittenType]:
    text = path.read_text(encoding="utf-8")
    if _DECORATOR not in text:
        # Parsing is what costs; most files of a large package have no event type.
        return []
    return [
        _written(node, decorator, path)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if _name(decorator) == _DECORATOR
    ]


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _written(node: ast.ClassDef, decorator: ast.expr, path: Path) -> WrittenType:
    type_id: object = node.name
    options: dict[str | None, object] = {}
    if isinstance(decorator, ast.Call):
        options = {item.arg: _literal(item.value) for item in decorator.keywords}
        if decorator.args:
            type_id = _literal(decorator.args[0])
    generation = options.get("generation")
    return WrittenType(
        id=type_id if isinstance(type_id, str) and type_id else node.name,
        generation=generation if isinstance(generation, int) else 1,
        alias=node.name,
        public=options.get("public") is True,
        path=path,
        line=node.lineno,
    )


def _literal(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None
