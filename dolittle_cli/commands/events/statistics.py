"""``dolittle events stats``, and ``--stats`` and ``--count``: how many events, how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from dolittle.runtime.event_json import time_json
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed
from dolittle_cli.commands.events.several import open_logs
from dolittle_cli.console import Console, blank
from dolittle_cli.project import Place
from dolittle_cli.sieve import Sieve

Group = Literal["type", "source", "correlation", "aggregate"]
GROUPS_MAX: Final = 100_000
"""Groups that are counted apart; further ones are counted together as ``OTHERS``."""

OTHERS: Final = "(others)"
NONE: Final = "-"


@dataclass
class Tally:
    """What is known of one group of events."""

    events: int
    first: datetime
    last: datetime

    @property
    def per_second(self) -> float | None:
        """Events a second between the first and the last; ``None`` where no time has passed."""
        span_s = (self.last - self.first).total_seconds()
        return (self.events - 1) / span_s if span_s > 0 else None


@dataclass
class Statistics:
    """Counts events by group as they come, in the order of their log."""

    group: Callable[[CommittedEvent], str]
    tallies: dict[str, Tally] = field(default_factory=dict)
    total: Tally | None = None

    def add(self, events: Iterable[CommittedEvent]) -> None:
        """Count events."""
        for event in events:
            time = event.commit.time
            name = self.group(event)
            if name not in self.tallies and len(self.tallies) >= GROUPS_MAX:
                name = OTHERS
            self.tallies[name] = _grown(self.tallies.get(name), time)
            self.total = _grown(self.total, time)

    def add_counted(self, first: CommittedEvent, last: CommittedEvent, count: int) -> None:
        """Count events of one group, of which the first and the last are given."""
        name = self.group(first)
        began, ended = first.commit.time, last.commit.time
        found = self.tallies.get(name)
        self.tallies[name] = _joined(found, Tally(count, began, ended))
        self.total = _joined(self.total, Tally(count, began, ended))


def _grown(tally: Tally | None, time: datetime) -> Tally:
    if tally is None:
        return Tally(1, time, time)
    tally.events += 1
    tally.first, tally.last = min(tally.first, time), max(tally.last, time)
    return tally


def _joined(one: Tally | None, other: Tally) -> Tally:
    if one is None:
        return other
    return Tally(one.events + other.events, min(one.first, other.first), max(one.last, other.last))


def grouping(group: Group, aliases: Aliases) -> Callable[[CommittedEvent], str]:
    """Return what tells an event's group."""
    groups: dict[Group, Callable[[CommittedEvent], str]] = {
        "type": lambda event: aliases.alias(event.type_id),
        "source": lambda event: event.source,
        "correlation": lambda event: event.commit.correlation,
        "aggregate": lambda event: event.aggregate or NONE,
    }
    return groups[group]


@dataclass(frozen=True)
class Counted:
    """What was counted of one log.

    Attributes:
        microservice: Empty where there is one log only.
        prefix: Stands before each line for people, where there are several logs.
    """

    statistics: Statistics
    microservice: str = ""
    prefix: str = ""


async def show_statistics(
    places: Sequence[Place], filters: Filters, group: Group, *, count: int, as_json: bool
) -> None:
    """Write how many events there are of each group, and how often they come.

    Args:
        places: The microservices and the tenant; of several, each is counted on its own.
        filters: Which events.
        group: By what they are counted.
        count: At most so many groups, the largest first.
        as_json: Write one JSON object.
    """
    console = Console()
    async with AsyncExitStack() as stack:
        logs = await open_logs(stack, console, places, filters, tells_whole=True)
        counted = [await _counted(log, group, is_one=len(logs) == 1) for log in logs]
    if as_json:
        console.json(tallies_json(counted, group, count))
        return
    write_tallies(console, counted, group, count)
    groups = sum(len(item.statistics.tallies) for item in counted)
    if groups > count:
        console.note(f"{groups - count:,} more; for all of them: -n {groups}")


async def _counted(log: Followed, group: Group, *, is_one: bool) -> Counted:
    statistics = Statistics(grouping(group, log.origin.aliases))
    if group == "type" and _is_of_whole_log(log.asked):
        await _look_up(statistics, log.store, log.asked.selections[0].types)
    else:
        async for page in log.asked.pages(log.store):
            statistics.add(page.events)
    name = "" if is_one else log.origin.place.configuration.name
    return Counted(statistics, name, log.origin.prefix)


def _is_of_whole_log(sieve: Sieve) -> bool:
    """Tell whether the index counts what is wanted: event types, of the whole log."""
    by_type_only = (Selection(types=sieve.selections[0].types),)
    return not sieve.is_sieved and sieve.selections == by_type_only


async def _look_up(statistics: Statistics, store: EventStore, types: frozenset[str]) -> None:
    """Count by type without reading the log: the index counts, two events tell the times."""
    for type_id, count in (await store.type_counts()).items():
        if (types and type_id not in types) or count == 0:
            continue
        selection = Selection(types=frozenset({type_id}))
        last = await store.read_last(selection, 1)
        async for page in store.read(selection):
            if page.events:
                statistics.add_counted(page.events[0], last[0], count)
                break


def write_tallies(console: Console, counted: Sequence[Counted], group: Group, count: int) -> None:
    """Write a table for people, with a line for all together at its end."""
    table = table_of(counted, group, count)
    if table is None:
        console.note("no events")
        return
    console.table(table.titles, table.rows, prefixes=table.prefixes)


@dataclass(frozen=True)
class Table:
    """Tallies for people.

    Attributes:
        titles: Of the group, the number of events, their share, how often, the first, the last.
        rows: A cell for each title; the largest group first, all together last.
        prefixes: What stands before each row.
    """

    titles: tuple[str, ...]
    rows: list[tuple[str, ...]]
    prefixes: list[str]


def table_of(counted: Sequence[Counted], group: Group, count: int) -> Table | None:
    """Return at most ``count`` groups of all logs as a table; ``None`` where nothing was counted.

    Where there is more than one group, there is a row more, for all together.
    """
    total = total_of(counted)
    if total is None:
        return None
    found = _ordered(counted)
    rows = [_row(name, tally, total.events) for _, name, tally in found[:count]]
    prefixes = [item.prefix for item, _, _ in found[:count]]
    if len(found) > 1:
        rows.append(_row("all", total, total.events))
        prefixes.append(blank(prefixes[0]))
    return Table((group, "events", "share", "per second", "first", "last"), rows, prefixes)


def _ordered(counted: Sequence[Counted]) -> list[tuple[Counted, str, Tally]]:
    """Return the groups of all logs, the largest first."""
    found = [
        (item, name, tally) for item in counted for name, tally in item.statistics.tallies.items()
    ]
    return sorted(found, key=lambda row: (-row[2].events, row[1], row[0].microservice))


def total_of(counted: Sequence[Counted]) -> Tally | None:
    """Return what is known of all events together; ``None`` where there are none."""
    total: Tally | None = None
    for item in counted:
        if item.statistics.total is not None:
            total = _joined(total, item.statistics.total)
    return total


def _row(name: str, tally: Tally, total: int) -> tuple[str, ...]:
    rate = NONE if tally.per_second is None else f"{tally.per_second:.3g}"
    share = f"{tally.events / total:.1%}"
    times = (time_json(tally.first)[:-5] + "Z", time_json(tally.last)[:-5] + "Z")
    return (name, f"{tally.events:,}", share, rate, *times)


def tallies_json(counted: Sequence[Counted], group: Group, count: int) -> dict[str, Any]:
    """Return the keys ``by``, ``events``, ``groups``, ``first``, ``last`` and ``tallies``.

    A tally has ``name events per_second first last``; of several logs ``microservice`` too.
    """
    total, found = total_of(counted), _ordered(counted)
    return {
        "by": group,
        "events": total.events if total else 0,
        "groups": len(found),
        "first": time_json(total.first) if total else None,
        "last": time_json(total.last) if total else None,
        "tallies": [
            {
                **({"microservice": item.microservice} if item.microservice else {}),
                "name": name,
                "events": tally.events,
                "per_second": tally.per_second,
                "first": time_json(tally.first),
                "last": time_json(tally.last),
            }
            for item, name, tally in found[:count]
        ],
    }


async def count_events(
    store: EventStore, sieve: Sieve, group: Callable[[CommittedEvent], str] | None
) -> Mapping[str, int]:
    """Return how many events are wanted, by group; under an empty name where there is no group.

    Where the index knows, nothing is read.
    """
    first = sieve.selections[0]
    by_type_only = Selection(types=first.types)
    if group is None and not sieve.is_sieved and sieve.selections == (by_type_only,):
        counts = await store.type_counts()
        wanted = first.types or counts.keys()
        return {"": sum(counts.get(type_id, 0) for type_id in wanted)}
    found: dict[str, int] = {} if group else {"": 0}
    async for page in sieve.pages(store):
        if group is None:
            found[""] += len(page.events)
            continue
        for event in page.events:
            name = group(event)
            found[name] = found.get(name, 0) + 1
    return found
