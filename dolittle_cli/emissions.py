"""What the source applies, commits and performs, found in its syntax trees without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from dolittle_cli.sources import SourceClass, SourceFunction, Sources, method_called

PERFORM: Final = ("perform", "perform_once")


@dataclass(frozen=True)
class Emission:
    """An event that a function applies or commits, or a command that it performs.

    Attributes:
        kind: ``applies`` and ``commits`` lead to an event type, ``performs`` to a command.
        target: The dotted name of the event type's class or of the command method.
        line: From 1, in the file of ``function``.
    """

    kind: Literal["applies", "commits", "performs"]
    target: str
    function: SourceFunction
    line: int


def emissions_of(
    sources: Sources, start: SourceFunction, cls: SourceClass | None
) -> list[Emission]:
    """Return what a function emits, and what the functions do that it calls in the package."""
    found: dict[tuple[str, str], Emission] = {}
    for function in sources.reached(start, cls):
        for emission in _emissions(sources, function):
            found.setdefault((emission.kind, emission.target), emission)
    return list(found.values())


def made_anywhere(sources: Sources) -> set[str]:
    """Return the dotted names of the event types whose class is called somewhere in the package.

    An event that is made is taken to be emitted: it may go through any hands on its way.
    """
    events = {cls.dotted for cls in sources.marked("event_type")}
    found: set[str] = set()
    for module in sources.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                found.add(_event_of(sources.resolve(module, node.func), events))
    return found & events


def named_anywhere(sources: Sources) -> set[str]:
    """Return every text in the package that is given to a call: types may be committed by name.

    What is given to a decorator names nothing that is committed.
    """
    found: set[str] = set()
    for module in sources.modules.values():
        decorators = {
            id(decorator)
            for node in ast.walk(module.tree)
            for decorator in getattr(node, "decorator_list", ())
        }
        for node in ast.walk(module.tree):
            if id(node) in decorators or not isinstance(node, ast.Call | ast.Tuple | ast.List):
                continue
            items = node.args if isinstance(node, ast.Call) else node.elts
            found |= {
                item.value
                for item in items
                if isinstance(item, ast.Constant) and isinstance(item.value, str)
            }
    return found


def _emissions(sources: Sources, function: SourceFunction) -> Iterator[Emission]:
    for node in ast.walk(function.node):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if method_called(node, function.first_parameter) == "apply":
            for event in _events(sources, function, node.args[:1]):
                yield Emission("applies", event, function, node.lineno)
        elif node.func.attr == "commit":
            for event in _events(sources, function, node.args):
                yield Emission("commits", event, function, node.lineno)
        elif node.func.attr in PERFORM and node.args:
            command = sources.resolve(function.module, node.args[0], function.own_names)
            if command in sources.functions:
                yield Emission("performs", command, function, node.lineno)


def _events(sources: Sources, function: SourceFunction, arguments: list[ast.expr]) -> Iterator[str]:
    events = {cls.dotted for cls in sources.marked("event_type")}
    seen: set[str] = set()
    waiting = list(arguments)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            waiting.extend(_assigned(function, node.id))
        waiting.extend(_parts(node))
        if isinstance(node, ast.Call):
            event = _event_of(sources.resolve(function.module, node.func), events)
            if event:
                yield event


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return the expressions that an expression's value may come from."""
    match node:
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.BoolOp(values=values):
            return values
        case ast.Starred(value=value) | ast.NamedExpr(value=value) | ast.Await(value=value):
            return [value]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return items
        case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item):
            return [item]
    return []


def _assigned(function: SourceFunction, name: str) -> Iterator[ast.expr]:
    """Yield what a local variable is assigned, and what a loop takes it from."""
    for node in ast.walk(function.node):
        match node:
            case ast.Assign(targets=targets, value=value):
                if any(isinstance(item, ast.Name) and item.id == name for item in targets):
                    yield value
            case (
                ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(id=found), value=value)
                | ast.For(target=ast.Name(id=found), iter=value)
            ):
                if found == name:
                    yield value
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="append" | "extend"), args=args
            ):
                if found == name:
                    yield from args


def _event_of(dotted: str, events: set[str]) -> str:
    """Return the event type that a call makes: its class, or a method of its class (``X.of()``)."""
    if dotted in events:
        return dotted
    owner = dotted.rpartition(".")[0]
    return owner if owner in events else ""
