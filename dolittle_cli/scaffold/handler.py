"""Plans an event handler with its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.names import check_class_name, snake
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.project import Project, event_import, sample_event
from dolittle_cli.scaffold.source import DeclaredClass, Source

TITLE_CHARACTERS_MAX: Final = 80
"""Characters of a test's name, so that the line with it can still be broken behind it."""


def plan_handler(project: Project, name: str, events: Sequence[str], *, partitioned: bool) -> Plan:
    """Plan an event handler.

    Args:
        project: What it is added to.
        name: Like ``DishHandler``.
        events: The event types it handles, by class name.
        partitioned: Whether order is kept per event source (else over everything).

    Raises:
        WrongUsage: The name cannot be used or is taken, no event is given, there is no such
            event, or a file would be overwritten.
        CommandLineError: No test value can be made up for a field of an event.
    """
    check_class_name("handler", name)
    project.source.check_free("handler", name)
    found = events_named(project.source, "handler", name, events)
    imports = [("dolittle", item) for item in ("EventContext", "event_handler", "handles")]
    methods = _methods_of(project.source, name)
    samples = [sample_event(event).code for event in found]
    needs: list[Any] = [("logging", ""), ("pytest", ""), ("dolittle.testing", "given_events")]
    return project.plan(
        "handler",
        name,
        {
            "imports": project.imports(("logging", ""), *imports, *map(event_import, found)),
            "name": name,
            "partitioned": partitioned,
            "events": [(event.name, _method(methods, event)) for event in found],
        },
        {
            "imports": project.imports(
                *needs, (project.module_of("handler", name), name), *samples
            ),
            "name": name,
            "cases": [
                {
                    "title": title(name, "handles", event),
                    "sample": sample.node,
                    "method": _method(methods, event),
                }
                for event, sample in zip(found, samples, strict=True)
            ],
        },
    )


def _methods_of(source: Source, name: str) -> Mapping[str, str]:
    """Return the methods of a handler that is there, by the event types that they are for.

    Its owner may have named them, or an event type was renamed since; a test that is generated
    again expects them as they are.
    """
    there = [item for item in source.classes if (item.kind, item.name) == ("handler", name)]
    return dict(there[0].handles) if there else {}


def _method(methods: Mapping[str, str], event: DeclaredClass) -> str:
    return methods.get(event.name, f"on_{snake(event.name)}")


def events_named(
    source: Source, kind: str, name: str, events: Sequence[str]
) -> list[DeclaredClass]:
    """Return the event types that a handler or projection is for.

    Raises:
        WrongUsage: None is given, one is given twice, or there is none of a name.
    """
    if not events:
        known = sorted(item.name for item in source.classes if item.kind == "event")
        example = known[0] if known else "DishPrepared"
        raise WrongUsage(
            f"which events is the {kind} {name} for?", hint=f"name one or more: --on {example}"
        )
    if len(set(events)) < len(events):
        raise WrongUsage("an event is named twice with --on", hint="name each event once")
    return [source.event(event) for event in events]


def title(name: str, verb: str, event: DeclaredClass) -> str:
    """Return the name of a test, without ``test_``, cut to its event if it is too long."""
    long = f"{snake(name)}_{verb}_{snake(event.name)}"
    return long if len(long) <= TITLE_CHARACTERS_MAX else f"{verb}_{snake(event.name)}"
