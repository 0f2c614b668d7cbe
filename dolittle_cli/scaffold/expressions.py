"""Reads from expressions of source what the generator itself would have written there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from dolittle.limits import Constraint
from dolittle_cli.scaffold.layout import Node, call, keyword
from dolittle_cli.scaffold.types import python_text

_IMMUTABLE: Final = frozenset({"Decimal", "date", "datetime"})
"""Calls that a linter lets stand as a parameter's default, since what they make cannot change.

Source: the immutable calls of ruff's rule B008, those of them that the generator writes.
"""


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


def constant_code(node: ast.expr) -> Node | None:
    """Return a default that may be repeated as a parameter's, as it is formatted; else ``None``.

    That is what :func:`constant_text` knows, and ``Decimal("0")``, ``date(2026, 1, 31)`` and
    ``datetime(2026, 1, 31, tzinfo=UTC)``.
    """
    match node:
        case ast.Call(func=ast.Name(name), args=arguments, keywords=named) if name in _IMMUTABLE:
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
