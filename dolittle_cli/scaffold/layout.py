"""Lays out Python expressions as ``ruff format`` would, for lines of up to 100 characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

LINE_CHARACTERS_MAX: Final = 100
"""The ``line-length`` of the generated ``pyproject.toml``."""


@dataclass(frozen=True)
class Group:
    """Something in brackets: a call, the parameters of a ``def``, a list or a dict.

    Attributes:
        opening: What stands before the first item: ``DishPrepared(``, ``[``, ``count={``.
        closing: The closing bracket.
        kind: A broken ``call`` puts its items on one line if they fit there, and so do the
            parameters of a ``definition`` unless there is but one; a ``collection`` (lists,
            dicts, imports) has a line for each.
    """

    opening: str
    items: tuple[Node, ...]
    closing: str = ")"
    kind: Literal["call", "definition", "collection"] = "call"

    def __str__(self) -> str:
        return f"{self.opening}{', '.join(map(str, self.items))}{self.closing}"


Node = str | Group
"""An expression: a text that cannot be broken, or a group."""


def call(name: str, items: Sequence[Node]) -> Group:
    """Return a call: ``name(items)``."""
    return Group(f"{name}(", tuple(items))


def definition(name: str, parameters: Sequence[Node]) -> Group:
    """Return the head of a function: ``def name(parameters)``."""
    return Group(f"def {name}(", tuple(parameters), kind="definition")


def keyword(name: str, value: Node) -> Node:
    """Return a keyword argument: ``name=value``."""
    return prefixed(f"{name}=", value)


def prefixed(prefix: str, value: Node) -> Node:
    """Return a value with a text glued to its beginning."""
    if isinstance(value, Group):
        return Group(prefix + value.opening, value.items, value.closing, value.kind)
    return prefix + value


def statement(prefix: str, value: Node, suffix: str = "") -> str:
    """Return a line, or several if it is too long: ``prefix value suffix``.

    Args:
        prefix: With its indentation: ``"    event = "``.
        value: What may be broken.
        suffix: What stands behind the closing bracket: `` -> None:``.
    """
    indent = len(prefix) - len(prefix.lstrip(" "))
    return _laid_out(prefixed(prefix, value), indent, suffix)


def assignment(prefix: str, value: Node) -> str:
    """Return ``prefix value``, with a text that cannot be broken put in parentheses if it helps.

    Args:
        prefix: With indentation and equals sign: ``"    count: int = "``.
        value: The right-hand side.
    """
    if isinstance(value, Group) or _fits(prefix + value):
        return statement(prefix, value)
    indent = len(prefix) - len(prefix.lstrip(" "))
    head, body = f"{prefix}(", f"{' ' * (indent + 4)}{value}"
    if _fits(head) and _fits(body):
        return f"{head}\n{body}\n{' ' * indent})"
    return prefix + value


def _laid_out(node: Node, indent: int, suffix: str) -> str:
    line = f"{node}{suffix}"
    if isinstance(node, str) or _fits(line) or not node.items:
        return line
    inner, outer = " " * (indent + 4), " " * indent
    on_one_line = f"{inner}{', '.join(map(str, node.items))}"
    is_one_line = node.kind == "call" or (node.kind == "definition" and len(node.items) > 1)
    if is_one_line and _fits(on_one_line):
        return f"{node.opening}\n{on_one_line}\n{outer}{node.closing}{suffix}"
    # A trailing comma is kept by the formatter, and it wants none behind a sole call.
    sole = node.kind == "call" and len(node.items) == 1 and isinstance(node.items[0], Group)
    comma = "" if sole else ","
    lines = [
        _laid_out(prefixed(inner, item), indent + 4, comma) + "\n" for item in node.items
    ]  # fmt: skip
    return f"{node.opening}\n{''.join(lines)}{outer}{node.closing}{suffix}"


def _fits(line: str) -> bool:
    return len(line) <= LINE_CHARACTERS_MAX
