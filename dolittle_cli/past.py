"""Shows the past: what ``--at`` and ``--diff`` take, and what they show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dolittle.errors import Unknown
from dolittle.execution import Clock
from dolittle.runtime.event_json import event_json, time_json
from dolittle.runtime.field_changes import FieldChange, fields_of
from dolittle.runtime.time_travel import (
    EventChange,
    PastInstance,
    PastReadModel,
    aggregate_at,
    aggregate_changes,
    read_model_at,
)
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvent, Position, Stream
from dolittle_cli import ranges
from dolittle_cli.console import Console
from dolittle_cli.errors import WrongUsage
from dolittle_cli.event_lines import EventLines

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

TIMES: Final = "@2026-01-31, @2026-01-31T10:00Z or @-15m (ago: s m h d w)"
NONE: Final = "(none)"
"""Stands where a field had no value, or has none any more."""

_VERSIONS: Final = re.compile(r"(\d*):(\d*)", re.ASCII)
_TIMES: Final = re.compile(r"(@.+?):(@.+)")

Moment = int | ranges.AtTime | ranges.Ago
"""A version, or a time."""

Show = Callable[[bool], None]
"""Writes what was found, as JSON if asked. It is called when the microservice is closed: until
then stdout is turned to stderr, so that what its code prints does not mix with the data."""


def parse_version(text: str) -> Moment:
    """Read a version or a time.

    Raises:
        WrongUsage: The text is neither.
    """
    bound = _bound(text)
    if isinstance(bound, ranges.At):
        return bound.position
    if isinstance(bound, ranges.AtTime | ranges.Ago):
        return bound
    raise WrongUsage(
        f"--at {text!r} is neither a version nor a time",
        hint=f"it is a version (3: after three of its events), {TIMES}",
    )


def parse_versions(text: str) -> tuple[Moment, Moment | None]:
    """Read ``A:B``: two versions or two times. ``:B`` begins at version 0, ``A:`` ends now.

    Raises:
        WrongUsage: The text is none, or A lies after B.
    """
    found = _VERSIONS.fullmatch(text)
    if found and text != ":":
        first = int(found[1] or 0)
        if found[2] and first > int(found[2]):
            raise WrongUsage(
                f"--diff {text}: version {first} comes after version {found[2]}",
                hint=f"write the earlier one first: --diff {found[2]}:{first}",
            )
        return first, int(found[2]) if found[2] else None
    found = _TIMES.fullmatch(text)
    if not found:
        raise WrongUsage(
            f"--diff {text!r} is no A:B",
            hint=f"it is two versions (2:5, 2: or :5) or two times (@-1h:@-15m); a time is {TIMES}",
        )
    start, stop = (parse_version(part) for part in found.groups())
    return start, stop


def parse_position(text: str) -> ranges.Bound:
    """Read a place in the event log at which there is an event, or a time.

    Raises:
        WrongUsage: The text is neither.
    """
    bound = _bound(text)
    if bound is None or isinstance(bound, ranges.End | ranges.Behind):
        raise WrongUsage(
            f"--at {text!r} is neither the place of an event nor a time",
            hint=f"it is a position (12), start, -1 (the last event), evt:ID, {TIMES}",
        )
    return bound


def _bound(text: str) -> ranges.Bound | None:
    try:
        return ranges.parse(text)
    except WrongUsage:
        return None


def _time_of(bound: ranges.AtTime | ranges.Ago, clock: Clock) -> datetime:
    return bound.time if isinstance(bound, ranges.AtTime) else clock.now() - bound.age


# Aggregates


async def instance_at(
    microservice: Microservice, root: str, source: str, moment: Moment, clock: Clock
) -> Show:
    """Return what shows an aggregate instance as it was.

    Raises:
        Unknown: There is no such aggregate root or instance.
        NotYet: The version has not been reached, or the time has not come.
    """
    declaration = microservice.definition.aggregate(root)
    now = await check_instance(microservice, root, source)
    at = moment if isinstance(moment, int) else _time_of(moment, clock)
    past: PastInstance[Any] = await aggregate_at(
        microservice, declaration.cls, source, at, clock=clock
    )
    found = {
        "aggregate": declaration.name,
        "source": source,
        "version": past.instance.version,
        "at": at if isinstance(at, int) else time_json(at),
        "state": fields_of(past.instance),
        "event": past.event
        and event_json(past.event, microservice.event_types, microservice.tenant),
    }
    return partial(_show_instance, found, past.event, now, microservice.event_types)


def _show_instance(
    found: dict[str, Any],
    event: CommittedEvent | None,
    now: int,
    event_types: EventTypes,
    as_json: bool,
) -> None:
    console = Console()
    if as_json:
        console.json(found)
        return
    console.facts(
        [
            ("aggregate", found["aggregate"]),
            ("source", found["source"]),
            ("version", f"{found['version']} (now {now})"),
            *((name, value_text(value)) for name, value in found["state"].items()),
        ]
    )
    if event is None:
        console.note(f"{found['aggregate']} {found['source']!r} had no events then")
    else:
        console.data("")
        EventLines(console, event_types, with_date=True).write([event], titles=True)


async def changes_between(
    microservice: Microservice,
    root: str,
    source: str,
    bounds: tuple[Moment, Moment | None],
    clock: Clock,
) -> Show:
    """Return what shows which event changed which field of an aggregate instance.

    Raises:
        Unknown: There is no such aggregate root or instance.
        NotYet: A version has not been reached, or a time has not come.
        WrongUsage: The first time is after the second.
    """
    declaration = microservice.definition.aggregate(root)
    now = await check_instance(microservice, root, source)
    first, last = bounds
    cls = declaration.cls
    if not isinstance(first, int) and last is not None and not isinstance(last, int):
        _check_order(_time_of(first, clock), _time_of(last, clock))
    after = await _version(microservice, cls, source, first, clock)
    until = now if last is None else await _version(microservice, cls, source, last, clock)
    if after > until:
        # Only `A:` gets here, and the instance has fewer events: this says so.
        await aggregate_at(microservice, cls, source, after)
    changes = [
        change async for change in aggregate_changes(microservice, cls, source, after, until)
    ]
    found = {
        "aggregate": declaration.name,
        "source": source,
        "from": after,
        "to": until,
        "changes": [_change_json(microservice, change) for change in changes],
    }
    return partial(_show_changes, found)


def _check_order(first: datetime, last: datetime) -> None:
    if first > last:
        raise WrongUsage(
            f"--diff: {time_json(first)} comes after {time_json(last)}",
            hint="write the earlier time first",
        )


async def check_instance(microservice: Microservice, root: str, source: str) -> int:
    """Return the version of an aggregate instance.

    Raises:
        Unknown: There is no such aggregate root, or the instance has no events.
    """
    declaration = microservice.definition.aggregate(root)
    version = await microservice.store.version(Stream(declaration.id, source))
    if not version:
        known = [stream.source for stream, _ in await microservice.store.streams(declaration.id)]
        raise Unknown(declaration.name, source, known)
    return version


async def _version(
    microservice: Microservice, root: type, source: str, moment: Moment, clock: Clock
) -> int:
    if isinstance(moment, int):
        return moment
    at = _time_of(moment, clock)
    return (await aggregate_at(microservice, root, source, at, clock=clock)).instance.version


def _change_json(microservice: Microservice, change: EventChange) -> dict[str, Any]:
    event = change.event
    return {
        "version": event.version,
        "position": event.position,
        "time": time_json(event.commit.time),
        "type": microservice.event_types.alias(event.type_id),
        "event": event.id,
        "fields": [field_json(field) for field in change.fields],
    }


def field_json(field: FieldChange) -> dict[str, Any]:
    """Return a changed field; ``before`` or ``after`` is left out where there was or is none."""
    values = (("before", field.before), ("after", field.after))
    found = {name: value for name, value in values if value is not msgspec.UNSET}
    return {"path": field.path, **found}


def _show_changes(found: dict[str, Any], as_json: bool) -> None:
    console = Console()
    if as_json:
        console.json(found)
        return
    rows = []
    for change in found["changes"]:
        time = change["time"][:-4].replace("T", " ")
        shown = (str(change["version"]), str(change["position"]), time, change["type"])
        for field in change["fields"] or (None,):
            rows.append((*shown, *_cells(field)))
            shown = ("", "", "", "")
    if rows:
        console.table(("version", "position", "time", "event", "field", "before", "after"), rows)
    else:
        console.note(
            f"{found['aggregate']} {found['source']!r}: no events between version "
            f"{found['from']} and {found['to']}"
        )


def _cells(field: dict[str, Any] | None) -> tuple[str, str, str]:
    if field is None:
        return "(no field)", "", ""
    before, after = (
        value_text(field[name]) if name in field else NONE for name in ("before", "after")
    )
    return field["path"], before, after


def value_text(value: Any) -> str:
    """Return a field's value for people: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Projections


async def document_at(
    microservice: Microservice, name: str, key: str, bound: ranges.Bound, clock: Clock
) -> Show:
    """Return what shows a read model as it was after the event at a place, or at a time.

    Raises:
        Unknown: There is no such projection, or there was no such read model then.
        NotYet: The position is beyond the last event, or the time has not come.
        ProjectionFailed: One of its events cannot be folded.
    """
    declaration = microservice.definition.projection(name)
    at: Position | datetime
    if isinstance(bound, ranges.AtTime | ranges.Ago):
        at = _time_of(bound, clock)
    elif isinstance(bound, ranges.At):
        at = bound.position
    else:
        at = await ranges.position_of(microservice.store, clock, bound)
    past: PastReadModel[Any] = await read_model_at(
        microservice, declaration.cls, key, at, clock=clock
    )
    if past.unread is not None:
        Console().warning(f"passed over, its key cannot be told: {past.unread}")
    where = _where(past.until, at)
    if past.document is None:
        what = f"read model of {declaration.name} after {where} with the key"
        hint = f"event {past.event.position} deleted it, or left none" if past.event else ""
        if not past.keys and not hint:
            hint = f"{declaration.name} had no read models then"
        raise Unknown(what, key, past.keys, hint=hint)
    document = msgspec.json.decode(msgspec.json.encode(past.document))
    return partial(_show_document, {"key": key, "document": document, **_place_json(past)}, where)


def _show_document(found: dict[str, Any], where: str, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.json(found)
    else:
        console.data(json.dumps(found["document"], ensure_ascii=False, indent=2))
        console.note(f"as it was after {where}")


def _place_json(past: PastReadModel[Any]) -> dict[str, Any]:
    """Return what the document is made of: its last event, and the last event of the log then."""
    assert past.event is not None  # there is a document
    assert past.until is not None
    return {
        "position": past.until.position,
        "time": time_json(past.until.commit.time),
        "last_changed_at": past.event.position,
    }


def _where(until: CommittedEvent | None, at: Position | datetime) -> str:
    if until is None:
        return "no event" if isinstance(at, int) else f"no event before {time_json(at)}"
    return f"position {until.position}, {time_json(until.commit.time)}"
