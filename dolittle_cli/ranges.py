"""The one grammar for places in an event log: what ``--from`` and ``--to`` take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from dolittle.errors import Unknown
from dolittle.execution import Clock
from dolittle.runtime.event_json import time_json
from dolittle.store import END, START, EventStore, Position, Selection
from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError, WrongUsage

BACK_MAX: Final = 100_000
"""How far ``-N`` looks back: those events are read to find the place."""

AGE_MAX: Final = timedelta(days=365_000)
"""How long ago ``@-…`` may be: about a thousand years, well within what a date can hold."""


class TimeToCome(CommandLineError):
    """A time that is in the future, whichever log is asked."""


ALLOWED: Final = (
    "it is start, end, a position (12), -N (N events before the end), "
    "+N (N events behind the start, or behind --from), @2026-01-31, @2026-01-31T10:00Z, "
    "@-15m (ago: s m h d w), evt:ID or cursor:FILE"
)

_AGE: Final = re.compile(r"(\d+)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Start:
    """Where the log begins."""


@dataclass(frozen=True)
class End:
    """Where the next event will stand."""


@dataclass(frozen=True)
class At:
    """A position."""

    position: Position


@dataclass(frozen=True)
class BeforeEnd:
    """So many events before the end."""

    count: int


@dataclass(frozen=True)
class Behind:
    """So many events behind where the other bound is, or behind the start."""

    count: int


@dataclass(frozen=True)
class OfEvent:
    """Where an event stands; a commit's id stands for its first event."""

    event_id: str


@dataclass(frozen=True)
class OfCursor:
    """Where a ``tail`` with a cursor file stopped."""

    path: Path


@dataclass(frozen=True)
class AtTime:
    """A time; aware, UTC."""

    time: datetime


@dataclass(frozen=True)
class Ago:
    """So long before now."""

    age: timedelta


Placed = Start | End | At | BeforeEnd | Behind | OfEvent | OfCursor
Bound = Placed | AtTime | Ago


def parse(text: str) -> Bound:
    """Read a place.

    Raises:
        WrongUsage: The text is none.
    """
    if text == "start":
        return Start()
    if text == "end":
        return End()
    if text.startswith("evt:") and len(text) > len("evt:"):
        return OfEvent(text[len("evt:") :])
    if text.startswith("cursor:") and len(text) > len("cursor:"):
        return OfCursor(Path(text[len("cursor:") :]))
    if text.startswith("@-"):
        return Ago(_age(text))
    if text.startswith("@"):
        return AtTime(_time(text))
    if _is_number(text):
        return At(int(text))
    if text[:1] in ("+", "-") and _is_number(text[1:]):
        count = int(text[1:])
        return Behind(count) if text[0] == "+" else BeforeEnd(count)
    raise _refuse(text)


async def select(
    store: EventStore,
    clock: Clock,
    start: Bound | None,
    stop: Bound | None = None,
    within: Selection | None = None,
) -> Selection:
    """Return a selection that begins at ``start`` (inclusive) and ends at ``stop`` (exclusive).

    Args:
        store: The log that the places are looked up in.
        clock: For how long ago.
        start: ``None``: where ``within`` begins.
        stop: ``None``: where ``within`` ends.
        within: What else restricts the selection; ``+N`` in ``stop`` counts the events of the
            log, whatever else restricts.

    Raises:
        CommandLineError: A position is beyond the end, a time is in the future, a cursor is not
            of this log, or the selection would end before it begins.
        WrongUsage: ``-N`` is over ``BACK_MAX``.
        Unknown: No event has this id.
    """
    selection = within or Selection()
    for bound, position_field, time_field in ((start, "start", "since"), (stop, "stop", "until")):
        if bound is None:
            continue
        if isinstance(bound, AtTime | Ago):
            time = _past(bound, clock.now())
            selection = msgspec.structs.replace(selection, **{time_field: time})
        else:
            behind = selection if position_field == "stop" else Selection()
            position = await _position(store, bound, behind)
            selection = msgspec.structs.replace(selection, **{position_field: position})
    if start is not None and stop is not None:
        await _check_order(store, selection)
    return selection


async def understood(store: EventStore, selection: Selection) -> str:
    """Return in words for people where a selection begins and ends."""
    first = await _told(store, await _first_position(store, selection.start, selection.since))
    if selection.stop == END and selection.until is None:
        return f"from {first} on"
    last = await _told(store, await _stop_position(store, selection))
    return f"from {first} up to {last}, exclusive"


async def _told(store: EventStore, position: Position) -> str:
    if position >= await store.head():
        return f"the end (position {position})"
    async for page in store.read(Selection(start=position, stop=position + 1)):
        for event in page.events:
            return f"position {event.position} ({time_json(event.commit.time)})"
    return f"position {position}"


async def _stop_position(store: EventStore, selection: Selection) -> Position:
    at_time = END
    if selection.until is not None:
        at_time = await _first_position(store, START, selection.until)
    return min(selection.stop, at_time, await store.head())


async def _first_position(store: EventStore, start: Position, since: datetime | None) -> Position:
    """Return the position of the first event from a position and a time on."""
    if since is None:
        return start
    position = start
    async for page in store.read(Selection(start=start, since=since)):
        if page.events:
            return page.events[0].position
        position = page.next_position
    return position


async def _check_order(store: EventStore, selection: Selection) -> None:
    first = await _first_position(store, selection.start, selection.since)
    stop = await _stop_position(store, selection)
    since, until = selection.since, selection.until
    if first > stop or (since is not None and until is not None and since > until):
        raise WrongUsage(
            f"--to ({await _told(store, stop)}) lies before --from ({await _told(store, first)})",
            hint="--from is the earlier one",
        )


def _past(bound: AtTime | Ago, now: datetime) -> datetime:
    if isinstance(bound, Ago):
        return now - bound.age
    if bound.time > now:
        raise TimeToCome(
            f"{time_json(bound.time)} is in the future: it is {time_json(now)} now",
            hint="a time without an offset is UTC; `end` is now",
        )
    return bound.time


async def position_of(store: EventStore, clock: Clock, bound: Bound) -> Position:
    """Return the position of a place; for a time, that of the first event from then on.

    Raises:
        CommandLineError: It is beyond the end.
        Unknown: No event has this id.
    """
    selection = await select(store, clock, bound)
    return await _first_position(store, selection.start, selection.since)


async def _position(store: EventStore, bound: Placed, behind: Selection) -> Position:
    match bound:
        case Start():
            return START
        case End():
            return await store.head()
        case At(position):
            await check_position(store, position)
            return position
        case BeforeEnd(count):
            return await _before_end(store, count)
        case Behind(count):
            return await _behind(store, count, behind)
        case OfEvent(event_id):
            return await _event(store, event_id)
        case OfCursor(path):
            return await _cursor(store, path)


async def check_position(store: EventStore, position: Position) -> None:
    """Refuse a position beyond the end of a log; where the next event will stand is allowed.

    Raises:
        CommandLineError: It is beyond the end.
    """
    head = await store.head()
    if position > head:
        last = await store.read_last(Selection(), 1)
        known = f"the last event is at position {last[0].position}" if last else "it has no events"
        raise CommandLineError(
            f"position {position} is beyond the end of the event log: {known}",
            hint="`end` means the end, -10 ten events before it",
        )


async def _before_end(store: EventStore, count: int) -> Position:
    if count > BACK_MAX:
        raise WrongUsage(
            f"-{count} looks back further than {BACK_MAX:,} events",
            hint="name a position, or a time: @-2d",
        )
    last = await store.read_last(Selection(), count) if count else []
    return last[0].position if last else await store.head()


async def _behind(store: EventStore, count: int, selection: Selection) -> Position:
    """Return the position of the event with ``count`` events before it, from a start on."""
    position = selection.start
    async for page in store.read(Selection(start=selection.start, since=selection.since)):
        if count < len(page.events):
            return page.events[count].position
        count -= len(page.events)
        position = page.next_position
    return position


async def _event(store: EventStore, event_id: str) -> Position:
    commit_id, _, index = event_id.partition("/")
    committed = await store.find_commit(commit_id)
    if committed is not None:
        for event in committed.events:
            if str(event.index) == (index or "0"):
                return event.position
    raise Unknown(
        "event with the id",
        event_id,
        (),
        hint="an event's id is its commit's id, a slash, and its place in the commit from 0",
    )


async def _cursor(store: EventStore, path: Path) -> Position:
    position = Cursor(path).read(store.id, (await store.facts()).location)
    if position is None:
        raise CommandLineError(
            f"there is no cursor {path}", hint="a cursor is written by tail --cursor-file"
        )
    await check_position(store, position)
    return position


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text[1:])
        # A time without an offset is UTC, as all times that are shown.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refuse(text) from None


def _age(text: str) -> timedelta:
    parts = _AGE.findall(text[2:])
    if not parts or "".join(number + unit for number, unit in parts) != text[2:]:
        raise _refuse(text)
    try:
        age = sum((timedelta(**{_UNITS[unit]: int(n)}) for n, unit in parts), timedelta())
    except OverflowError:
        age = AGE_MAX + timedelta.resolution
    if age > AGE_MAX:
        raise WrongUsage(f"{text} is longer ago than any event", hint="`start` is the beginning")
    return age


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= END


def _refuse(text: str) -> WrongUsage:
    return WrongUsage(f"{text!r} is no place in an event log", hint=ALLOWED)
