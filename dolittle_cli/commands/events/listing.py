"""``dolittle events list`` and ``show``: events of the past, a bounded number of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import msgspec

from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json, time_json
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError
from dolittle_cli.event_formats import Origin, make_format
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import At, Bound, End, select, understood
from dolittle_cli.sieve import Sieve

Write = Callable[[Sequence[CommittedEvent]], None]


async def list_events(place: Place, filters: Filters, *, count: int, output: str) -> None:
    """Write up to ``count`` events; say on stderr if there are more.

    Without a start these are the last ones, with one they are the first ones from there.

    Raises:
        WrongUsage: ``output`` is the name of no form of output.
    """
    console = Console()
    shown = make_format(output, console, with_date=True, titles=True)
    origin = Origin(place, aliases_of(place))
    written = 0

    def write(events: Sequence[CommittedEvent]) -> None:
        nonlocal written
        shown.write(events, origin)
        written += len(events)

    async with open_log(place) as store:
        sieve = await filters.sieve(store, place, origin.aliases, SystemClock())
        if filters.start is not None or filters.stop is not None:
            console.note(await understood(store, sieve.range))
        if filters.start is None:
            more = await _write_last(store, sieve, count, write)
        else:
            more = await _write_first(store, sieve, count, write)
    shown.check()
    if not written:
        console.note("no events" if place.has_store else "no events: nothing was committed yet")
    elif more:
        console.note(more)


async def _write_last(store: EventStore, sieve: Sieve, count: int, write: Write) -> str:
    """Write the last events; return how to see more, if there are more."""
    found = await sieve.last(store, count + 1)
    write(found[-count:])
    if len(found) <= count:
        return ""
    return f"the last {_events(count)}; for more: -n {count * 10}, or --from start"


async def _write_first(store: EventStore, sieve: Sieve, count: int, write: Write) -> str:
    """Write the first events as they are read; return how to see more, if there are more."""
    left = count
    async for page in sieve.pages(store):
        write(page.events[:left])
        if len(page.events) > left:
            position = page.events[left].position
            more = f"go on with --from {position}, or -n {count * 10}"
            return f"the first {_events(count)}; {more}"
        left -= len(page.events)
    return ""


def _events(count: int) -> str:
    return "event" if count == 1 else f"{count:,} events"


async def show_event(place: Place, bound: Bound, *, as_json: bool) -> None:
    """Write one event whole.

    Raises:
        CommandLineError: There is none at this place.
        Unknown: There is none with this id.
    """
    console = Console()
    aliases = aliases_of(place)
    async with open_log(place) as store:
        event = await _at(store, bound)
    if as_json:
        console.json(event_json(event, aliases, place.tenant))
    else:
        _write(console, event, aliases, place.tenant)


async def _at(store: EventStore, bound: Bound) -> CommittedEvent:
    selection = await select(store, SystemClock(), bound)
    found = await _first(store, selection, 1)
    if isinstance(bound, At) and found and found[0].position != bound.position:
        found = []
    if found and not isinstance(bound, End):
        return found[0]
    last = await store.read_last(Selection(), 1)
    known = f"the last event is at position {last[0].position}" if last else "it has no events"
    raise CommandLineError(
        f"there is no event at this place of the event log: {known}",
        hint="see dolittle events list",
    )


async def _first(store: EventStore, selection: Selection, count: int) -> list[CommittedEvent]:
    found: list[CommittedEvent] = []
    async for page in store.read(selection):
        found.extend(page.events[: count - len(found)])
        if len(found) >= count:
            break
    return found


def _write(console: Console, event: CommittedEvent, aliases: Aliases, tenant: str) -> None:
    alias = aliases.alias(event.type_id)
    commit = event.commit
    console.facts(
        [
            ("position", str(event.position)),
            ("time", time_json(commit.time)),
            ("type", alias if alias == event.type_id else f"{alias} (id {event.type_id})"),
            ("generation", str(event.generation)),
            ("source", event.source),
            ("aggregate", f"{event.aggregate}@{event.version}" if event.aggregate else "-"),
            ("id", event.id),
            ("commit", commit.id),
            ("correlation", commit.correlation),
            ("causation", commit.causation or "-"),
            ("public", "yes" if event.public else "no"),
            ("tenant", tenant),
        ]
    )
    text = json.dumps(msgspec.json.decode(event.content), ensure_ascii=False, indent=2)
    console.data(f"{console.dim('content')}\n{text}")
