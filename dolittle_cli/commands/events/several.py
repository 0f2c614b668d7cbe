"""Event logs of one or several microservices, opened and read as one, in the order of time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

from dolittle.errors import Unknown
from dolittle.execution import SystemClock
from dolittle.store import START, CommittedEvent, EventStore, Position
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed
from dolittle_cli.console import Console
from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError
from dolittle_cli.event_formats import Origin
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import At, TimeToCome, understood

LogEvent = tuple[Followed, CommittedEvent]
"""An event and the log it stands in."""

_Item = TypeVar("_Item")


async def open_logs(
    stack: AsyncExitStack,
    console: Console,
    places: Sequence[Place],
    filters: Filters,
    *,
    cursor: Cursor | None = None,
    tells_whole: bool = False,
) -> list[Followed]:
    """Open the logs and look up in each what is wanted; say on stderr how it was understood.

    A name that only some of several microservices know is no mistake.

    Args:
        stack: Closes the logs.
        console: Takes the bounds.
        places: The microservices; several of them get a prefix each.
        filters: Which events.
        cursor: Where to go on, if it says so.
        tells_whole: Whether the bounds are said even where none was named.

    Raises:
        Unknown: None of the microservices knows a name.
        CommandLineError: A place lies outside of a log, or a cursor is of none of them.
        WrongUsage: The range would end before it begins.
    """
    width = max(len(place.configuration.name) for place in places)
    logs: list[Followed] = []
    unknown: Unknown | None = None
    for number, place in enumerate(places):
        name = place.configuration.name
        prefix = console.tinted(f"{name.ljust(width)} |", number) + " " if len(places) > 1 else ""
        had_store = place.has_store
        store = await stack.enter_async_context(open_log(place))
        origin = Origin(place, aliases_of(place), prefix)
        try:
            log = await _opened(origin, store, filters, cursor, had_store=had_store)
        except Unknown as error:
            unknown = error
            continue
        except CommandLineError as error:
            if len(places) == 1 or isinstance(error, TimeToCome):
                raise
            raise _of_one(error, name) from error
        if tells_whole or log.has_start or filters.stop is not None:
            console.note(prefix + await understood(store, log.asked.range))
        logs.append(log)
    if unknown is not None and not logs:
        raise unknown
    return logs


async def _opened(
    origin: Origin, store: EventStore, filters: Filters, cursor: Cursor | None, *, had_store: bool
) -> Followed:
    if cursor is not None and had_store:
        position = cursor.read(store.id, (await store.facts()).location)
        if position is not None:
            filters = replace(filters, start=At(position))
    asked = await filters.sieve(store, origin.place, origin.aliases, SystemClock())
    head = await store.head()
    has_start = filters.start is not None
    return Followed(origin, had_store, store, asked, asked.within(START, head), head, has_start)


def _of_one(error: CommandLineError, name: str) -> CommandLineError:
    """Say of which of several microservices an error is."""
    return type(error)(f"{name}: {error}", hint=error.hint)


async def last_events(logs: Sequence[Followed], count: int) -> list[LogEvent]:
    """Return the last events of all logs together, in the order of their times."""
    found: list[LogEvent] = []
    for log in logs:
        found += [(log, event) for event in await log.sieve.last(log.store, count)]
    found.sort(key=by_time)
    return found[-count:] if count else []


def all_events(logs: Sequence[Followed]) -> AsyncIterator[LogEvent]:
    """Yield the events of all logs in the order of their times, as they are read."""
    return merged([_events(log) for log in logs], by_time)


async def merged(
    readings: Sequence[AsyncIterator[_Item]], key: Callable[[_Item], Any]
) -> AsyncIterator[_Item]:
    """Yield what several readings yield as one, the smallest key first; each is in that order."""
    heads = [await anext(reading, None) for reading in readings]
    while True:
        ready = [(key(item), number) for number, item in enumerate(heads) if item is not None]
        if not ready:
            return
        index = min(ready)[1]
        item = heads[index]
        assert item is not None
        yield item
        heads[index] = await anext(readings[index], None)


async def _events(log: Followed) -> AsyncIterator[LogEvent]:
    async for page in log.sieve.pages(log.store):
        for event in page.events:
            yield log, event


def by_time(item: LogEvent) -> tuple[object, str, Position]:
    """Return what events of several logs are ordered by."""
    log, event = item
    return event.commit.time, log.origin.place.configuration.name, event.position
