"""Reads from expressions of source what the generator itself would have written there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from dolittle.limits import Constraint
from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.layout import Node, call, keyword
from dolittle_cli.scaffold.types import Enumerated, python_text

_CALLS: Final = frozenset({"Decimal", "date", "datetime", "UUID"})
"""What the generator writes a call of as a default."""

_REFUSED: Final = frozenset({"UUID"})
"""Those of them that a linter refuses as a parameter's default.

Source: ruff's rule B008, which knows that the others make what cannot change.
"""


_ENUM_BASES: Final = frozenset({"StrEnum", "Enum"})


def constant_text(node: ast.expr) -> str | None:
    """Return a text, a number, a truth value or ``None`` as it is formatted; else ``None``."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    if isinstance(value, str):
        return python_text(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value).replace("e+", "e")
    return None


def default_code(node: ast.expr) -> Node | None:
    """Return a default that the generator would write, as it is formatted; else ``None``.

    That is what :func:`constant_text` knows, ``Decimal("0")``, ``date(2026, 1, 31)``,
    ``datetime(2026, 1, 31, tzinfo=UTC)`` and ``UUID("…")``.
    """
    match node:
        case ast.Call(func=ast.Name(name), args=arguments, keywords=named) if name in _CALLS:
            items: list[Node] = []
            for argument in arguments:
                text = constant_text(argument)
                if text is None:
                    return None
                items.append(text)
            for item in named:
                if item.arg is None or not isinstance(item.value, ast.Name | ast.Constant):
                    return None
                items.append(keyword(item.arg, ast.unparse(item.value)))
            return call(name, items)
        case _:
            return constant_text(node)


def may_be_repeated(node: ast.expr) -> bool:
    """Tell whether a linter lets a default of :func:`default_code` stand as a parameter's."""
    is_refused = isinstance(node, ast.Call) and ast.unparse(node.func) in _REFUSED
    return not is_refused and default_code(node) is not None


def aliases_of(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Find the names that a module gives to ``Annotated[…]`` types."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Subscript() as value):
                if "Annotated" in ast.unparse(value.value):
                    yield name, value


def limits_of_call(keywords: list[ast.keyword]) -> Constraint | None:
    """Read the arguments of ``constraint``; ``None`` where one is more than a plain value."""
    given: dict[str, Any] = {}
    for item in keywords:
        match item.value:
            case ast.Call(func=ast.Name("Decimal"), args=[number], keywords=[]):
                make: Any = Decimal
            case number:
                make = None
        try:
            value = ast.literal_eval(number)
            given[str(item.arg)] = make(str(value)) if make else value
        except (ValueError, InvalidOperation):
            return None
    try:
        return Constraint(**given)
    except TypeError:
        return None


def enums_of(classes: Iterable[ast.ClassDef], module: str) -> Iterator[tuple[str, Enumerated]]:
    """Find the ``StrEnum`` classes whose members are named as the generator names them."""
    for node in classes:
        if not any(ast.unparse(base).rpartition(".")[2] in _ENUM_BASES for base in node.bases):
            continue
        values = [
            item.value.value
            for item in node.body
            if isinstance(item, ast.Assign)
            and isinstance(item.value, ast.Constant)
            and isinstance(item.value.value, str)
            and ast.unparse(item.targets[0]) == item.value.value.upper().replace("-", "_")
        ]
        if values:
            yield node.name, Enumerated(tuple(values), node.name, module)


def imported(tree: ast.Module) -> Iterator[tuple[str, Import]]:
    """Find the names that a module imports, and what they are."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.asname is None:
                    yield name.name.partition(".")[0], (name.name, "")
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                alias = f" as {name.asname}" if name.asname else ""
                yield name.asname or name.name, (node.module, f"{name.name}{alias}")
