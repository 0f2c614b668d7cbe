"""Plans a projection with its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dolittle.errors import suggest
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.event import check_enums_free
from dolittle_cli.scaffold.fields import parse_fields
from dolittle_cli.scaffold.handler import events_named, title
from dolittle_cli.scaffold.layout import Node, keyword
from dolittle_cli.scaffold.names import check_class_name, snake
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.project import (
    Project,
    called,
    event_import,
    field_lines,
    sample_event,
)
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.types import (
    Code,
    Field,
    FieldType,
    Foreign,
    Scalar,
    annotation,
    definitions,
    needs_of,
    seen_from_outside,
    take_over,
    without_limits,
)

KEY_SOURCE: Final = "source"
COUNT: Final = Field("count", Scalar("int"), Code("0"))
"""The field that counts events, unless an event has a value of that name."""

SOURCE_FIELD: Final = Field("source", Scalar("str"))
"""The field that holds the event source, unless an event has a value of that name."""


@dataclass(frozen=True)
class Fold:
    """The ``@on`` method of one event type, as pairs of a field and what it is given."""

    event: DeclaredClass
    assigned: tuple[str, ...]
    counts: bool
    takes_source: bool

    @property
    def name(self) -> str:
        """The method's name."""
        return f"on_{snake(self.event.name)}"


def plan_projection(
    project: Project, name: str, events: Sequence[str], key: str, fields: Sequence[str]
) -> Plan:
    """Plan a projection.

    A field with the name and type of an event's field takes its value; ``count:int=0`` counts;
    ``source:str`` holds the event source. Without fields: the key and ``count:int=0``.

    Args:
        project: What it is added to.
        name: Like ``DishCounter``.
        events: The event types it is made of, by class name.
        key: ``source``, or the name of a field that every one of the events has.
        fields: As they are typed: ``dish:str``.

    Raises:
        WrongUsage: A name, a field or the key cannot be used, there is no such event, a field
            gets no value, or a file would be overwritten.
        CommandLineError: No test value can be made up for a field of an event.
    """
    check_class_name("projection", name)
    project.source.check_free("projection", name)
    found = events_named(project.source, "projection", name, events)
    _check_key(found, key)
    methods = frozenset({"on", *(f"on_{snake(event.name)}" for event in found)})
    parsed = parse_fields(
        fields, name, taken=methods, values=project.source.values()
    ) or _plain_fields(found, key)
    for event in found:
        parsed = [_shared(field, event) for field in parsed]
    check_enums_free(project.source, name, parsed)
    folds = [_fold(name, parsed, event) for event in found]
    return project.plan(
        "projection",
        name,
        _code(project, name, parsed, folds, key),
        _test(project, name, parsed, folds, key),
    )


def _check_key(events: list[DeclaredClass], key: str) -> None:
    for event in events:
        names = [field.name for field in event.fields]
        if key != KEY_SOURCE and key not in names:
            raise WrongUsage(
                f"{event.name} has no field {key!r} to key by",
                hint=suggest(key, [*names, KEY_SOURCE]),
            )


def _plain_fields(events: list[DeclaredClass], key: str) -> list[Field]:
    if key == KEY_SOURCE:
        return [SOURCE_FIELD, COUNT]
    found = next(field for field in events[0].fields if field.name == key)
    return [Field(key, without_limits(found.type)), *([COUNT] if key != COUNT.name else [])]


def _shared(field: Field, event: DeclaredClass) -> Field:
    """Let a field use the enum class of an event's field; refuse one of another type.

    Raises:
        WrongUsage: The event has a field of this name with another type.
    """
    for found in event.fields:
        if found.name != field.name:
            continue
        shared = take_over(field, found.type)
        if shared is None:
            own, theirs = annotation(field.type).node, annotation(found.type).node
            raise WrongUsage(
                f"field {field.name!r} has the type {own} here, and {theirs} in {event.name}",
                hint=f"give it the same type, or another name: {_as_typed(found.name, found.type)}",
            )
        return shared
    return field


def _fold(name: str, fields: list[Field], event: DeclaredClass) -> Fold:
    names = {field.name for field in event.fields}
    assigned = tuple(field.name for field in fields if field.name in names)
    counts = any(field == COUNT and field.name not in names for field in fields)
    takes_source = any(
        (field.name, field.type) == (SOURCE_FIELD.name, SOURCE_FIELD.type)
        and field.name not in names
        for field in fields
    )
    for field in fields:
        is_set = field.name in assigned or (takes_source and field.name == SOURCE_FIELD.name)
        if field.default is None and not is_set:
            raise WrongUsage(
                f"field {field.name!r} of {name} would get no value: "
                f"{event.name} has no field of that name",
                hint="give it a default, e.g. "
                f"'{_as_typed(field.name, field.type)}?'; {event.name} has: "
                f"{', '.join(sorted(names)) or 'no fields'}",
            )
    return Fold(event, assigned, counts, takes_source)


def _code(
    project: Project, name: str, fields: list[Field], folds: list[Fold], key: str
) -> dict[str, Any]:
    needs: list[Any] = [("dolittle", "on"), ("dolittle", "projection")]
    needs += [event_import(fold.event) for fold in folds]
    needs += needs_of(fields)
    if any(fold.takes_source for fold in folds):
        needs.append(("dolittle", "EventContext"))
    return {
        "imports": project.imports(*needs),
        "name": name,
        "key": "" if key == KEY_SOURCE else key,
        **definitions(fields),
        "fields": field_lines(fields),
        "folds": folds,
    }


def _test(
    project: Project, name: str, fields: list[Field], folds: list[Fold], key: str
) -> dict[str, Any]:
    own = (project.module_of("projection", name), name)
    needs: list[Any] = [("dolittle.testing", "given_events")]
    cases = []
    for fold in folds:
        sample = sample_event(fold.event)
        items: list[Node] = []
        for field in (seen_from_outside(field, own[0]) for field in fields):
            if field.name in fold.assigned:
                items.append(_assigned(field, sample.values))
            elif fold.takes_source and field.name == SOURCE_FIELD.name:
                items.append(keyword(field.name, '"a source"'))
            elif fold.counts and field.name == COUNT.name:
                items.append(keyword(field.name, "2"))
        expected = called(name, items, own=own)
        needs += [sample.code, expected]
        cases.append(
            {
                "title": title(name, "follows", fold.event),
                "sample": sample.code.node,
                "key": '"a source"' if key == KEY_SOURCE else f"event.{key}",
                "expected": expected.node,
            }
        )
    return {"imports": project.imports(*needs), "name": name, "cases": cases}


def _assigned(field: Field, values: Any) -> Node:
    value = values.get(field.name)
    return keyword(field.name, value.node if value is not None else f"event.{field.name}")


def _as_typed(name: str, of: FieldType) -> str:
    """Return a field as it would be typed on the command line."""
    text = str(annotation(without_limits(of)).node)
    if isinstance(of, Foreign):
        return name
    return f"{name}:{text.replace(' | None', '?').replace(' ', '')}"
