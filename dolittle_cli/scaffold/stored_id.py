"""Writes a stored id into a decorator: ``@event_type`` → ``@event_type("DishPrepared")``."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Final

from dolittle_cli.scaffold.plan import Plan, replan
from dolittle_cli.scaffold.types import python_text

DECORATORS: Final = frozenset({"event_type", "aggregate_root", "event_handler", "projection"})
"""The decorators whose first argument is the id that is stored."""

HAVE_ID: Final = frozenset({"event", "aggregate", "handler", "projection"})
"""The kinds that are stored under an id."""


def with_stored_id(text: str, name: str, stored_id: str) -> str:
    """Return a module in which a class says the id that it is stored under.

    A class that says one already, or has none of ``DECORATORS``, is left as it is.

    Args:
        text: The module.
        name: The class.
        stored_id: What is stored.
    """
    for node in ast.parse(text).body:
        if not isinstance(node, ast.ClassDef) or node.name != name:
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            last = called.attr if isinstance(called, ast.Attribute) else ""
            word = called.id if isinstance(called, ast.Name) else last
            if word in DECORATORS and not (isinstance(decorator, ast.Call) and decorator.args):
                return _inserted(text, decorator, called, python_text(stored_id))
    return text


def planned_with_id(plan: Plan, name: str, stored_id: str) -> Plan:
    """Return a plan, not yet settled, in which a generated class says its stored id."""
    files = []
    for item in plan.files:
        if item.generated is not None and item.path.endswith(".py"):
            text = with_stored_id(item.generated.text, name, stored_id)
            made = replace(item.generated, text=text)
            item = replan(replace(item, text=text, generated=made))
        files.append(item)
    return replace(plan, files=tuple(files))


def _inserted(text: str, decorator: ast.expr, called: ast.expr, argument: str) -> str:
    lines = text.splitlines(keepends=True)
    row, column = (called.end_lineno or 1) - 1, called.end_col_offset or 0
    line = lines[row].encode()
    head, tail = line[:column].decode(), line[column:].decode()
    if isinstance(decorator, ast.Call):
        separator = ", " if decorator.keywords else ""
        lines[row] = f"{head}({argument}{separator}{tail[1:]}"
    else:
        lines[row] = f"{head}({argument}){tail}"
    return "".join(lines)
