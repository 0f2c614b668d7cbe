"""Rules about names and use: tense, events that nobody takes, events that nobody emits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from dolittle_cli.checking.findings import NOT_EMITTED, NOT_TAKEN, TENSE, Finding, find
from dolittle_cli.checking.naming import is_past, suggested
from dolittle_cli.emissions import made_anywhere, named_anywhere
from dolittle_cli.sources import SourceClass, SourceFunction, Sources

TAKERS = (("event_handler", "handles"), ("projection", "on"), ("aggregate_root", "on"))
"""What takes events: the decorator of the class, and that of the method."""


def check_usage(sources: Sources) -> Iterator[Finding]:
    """Yield what is found about the names and the use of event types."""
    events = {cls.dotted: cls for cls in sources.marked("event_type")}
    for event in events.values():
        if not is_past(event.name):
            yield _tense(event)
    takers = list(_takers(sources))
    taken = {target for _, _, target in takers}
    folded = {target for owner, _, target in takers if "aggregate_root" in owner.marks}
    reacted = {target for owner, _, target in takers if "aggregate_root" not in owner.marks}
    for dotted, event in events.items():
        if dotted not in reacted and not _is_public(event):
            yield _not_taken(event, is_folded=dotted in folded)
    emitted = made_anywhere(sources)
    named = named_anywhere(sources)
    for owner, method, target in takers:
        taken_event = events.get(target)
        if taken_event is None or "aggregate_root" in owner.marks or target not in taken:
            continue
        if target not in emitted and not {taken_event.name, _id(taken_event)} & named:
            yield _not_emitted(owner, method, taken_event)


def _takers(sources: Sources) -> Iterator[tuple[SourceClass, SourceFunction, str]]:
    """Yield who takes which event type: the class, its method, the event's dotted name."""
    for class_mark, method_mark in TAKERS:
        for owner in sources.marked(class_mark):
            for method in sources.methods(owner).values():
                for target in sources.marked_with(method, method_mark):
                    yield owner, method, target


def _tense(event: SourceClass) -> Finding:
    better = suggested(event.name)
    stored = _id(event)
    keep = f', and keep what is stored readable: @event_type("{stored}")'
    fix = f"name what has happened{f': {better}' if better else ''}{keep}"
    return find(
        TENSE,
        event.module.path,
        event.node.lineno,
        f"event type {event.name} is not named in the past tense",
        fix,
    )


def _not_taken(event: SourceClass, *, is_folded: bool) -> Finding:
    but = ", only its aggregate folds it" if is_folded else ""
    return find(
        NOT_TAKEN,
        event.module.path,
        event.node.lineno,
        f"no handler or projection takes {event.name}{but}",
        f"dolittle add handler NAME --on {event.name}, or leave it",
    )


def _not_emitted(owner: SourceClass, method: SourceFunction, event: SourceClass) -> Finding:
    return find(
        NOT_EMITTED,
        method.module.path,
        method.node.lineno,
        f"{owner.name}.{method.name} takes {event.name}, which nothing in the package emits",
        f"apply it in a command; if it is committed from outside, write "
        f"# dolittle: ignore[{NOT_EMITTED.code}] at the end of the line",
    )


def _is_public(event: SourceClass) -> bool:
    decorator = event.marks["event_type"]
    return isinstance(decorator, ast.Call) and any(
        item.arg == "public" and isinstance(item.value, ast.Constant) and item.value.value is True
        for item in decorator.keywords
    )


def _id(event: SourceClass) -> str:
    """Return the stored id, as far as the source spells it."""
    decorator = event.marks["event_type"]
    if isinstance(decorator, ast.Call) and decorator.args:
        first = decorator.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return first.value
    return event.name
