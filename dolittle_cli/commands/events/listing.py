"""``dolittle events list`` and ``show``: events of the past, a bounded number of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json, time_json
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed
from dolittle_cli.commands.events.several import LogEvent, all_events, last_events, open_logs
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError
from dolittle_cli.event_formats import EventFormat, make_format
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import At, Bound, End, select

WRITTEN_AT_ONCE: Final = 500


async def list_events(
    places: Sequence[Place], filters: Filters, *, count: int, output: str
) -> None:
    """Write up to ``count`` events of one or several logs; say on stderr if there are more.

    Without a start these are the last ones, with one they are the first ones from there.

    Raises:
        WrongUsage: ``output`` is the name of no form of output.
    """
    console = Console()
    shown = make_format(output, console, with_date=True, titles=True)
    async with AsyncExitStack() as stack:
        logs = await open_logs(stack, console, places, filters)
        if filters.start is None:
            found = await last_events(logs, count + 1)
            _write(shown, found[-count:])
            more = _more_before(count) if len(found) > count else ""
        else:
            found, more = await _write_first(shown, logs, count)
        shown.check()
        if not found:
            has_any = any(log.had_store for log in logs)
            console.note("no events" if has_any else "no events: nothing was committed yet")
        elif more:
            console.note(more)


def _write(shown: EventFormat, events: Sequence[LogEvent]) -> None:
    shown.write([(event, log.origin) for log, event in events])


async def _write_first(
    shown: EventFormat, logs: Sequence[Followed], count: int
) -> tuple[list[LogEvent], str]:
    """Write the first events as they are read; return the last of them, and how to see more."""
    pending: list[LogEvent] = []
    written = 0
    async for item in all_events(logs):
        if written + len(pending) == count:
            _write(shown, pending)
            return pending, _more_behind(item, count, is_one=len(logs) == 1)
        if len(pending) == WRITTEN_AT_ONCE:
            _write(shown, pending)
            written += len(pending)
            pending = []
        pending.append(item)
    _write(shown, pending)
    return pending, ""


def _more_before(count: int) -> str:
    return f"the last {_events(count)}; for more: -n {count * 10}, or --from start"


def _more_behind(item: LogEvent, count: int, *, is_one: bool) -> str:
    """Say how to go on with an event; among several logs only its time says where it stands."""
    _, event = item
    place = str(event.position) if is_one else f"@{event.commit.time.isoformat()}"
    return f"the first {_events(count)}; go on with --from {place}, or -n {count * 10}"


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
        _write_whole(console, event, aliases, place.tenant)


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


def _write_whole(console: Console, event: CommittedEvent, aliases: Aliases, tenant: str) -> None:
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
            ("handler", commit.handler or "-"),
            ("public", "yes" if event.public else "no"),
            ("tenant", tenant),
        ]
    )
    text = json.dumps(msgspec.json.decode(event.content), ensure_ascii=False, indent=2)
    console.data(f"{console.dim('content')}\n{text}")
