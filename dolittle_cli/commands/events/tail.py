"""``dolittle events tail``: the last events, then those that come, until told to stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from dolittle.errors import Unknown
from dolittle.execution import SystemClock
from dolittle.store import END, START, CommittedEvent, EventStore, Position, Selection
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed, follow, together
from dolittle_cli.commands.events.live_statistics import LiveStatistics
from dolittle_cli.commands.events.statistics import (
    count_events,
    grouping,
)
from dolittle_cli.console import Console, printable
from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.event_formats import EventFormat, Origin, make_format
from dolittle_cli.pipe import until_reader_is_gone
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import At, understood
from dolittle_cli.sieve import Sieve

LAST: Final = 10
"""Events shown before following, unless asked otherwise."""

GROUPED_MAX: Final = 100_000
"""Events of the past that are held to be shown by group."""

WRITTEN_AT_ONCE: Final = 500
GroupBy = Literal["source", "correlation"]


@dataclass(frozen=True)
class TailWish:
    """What was asked for.

    Attributes:
        count: How many of the past; ``None``: ``LAST``, or all from the start that was named.
        follow: ``None``: if stdout is a terminal and nothing says where it ends.
        output: The name of an ``EventFormat``.
        group_by: Empty: in the order of the log.
        is_counted: Write only how many there are.
        has_statistics: Write only how many there are of each type, and how often.
    """

    filters: Filters
    count: int | None = None
    follow: bool | None = None
    output: str = "short"
    group_by: GroupBy | Literal[""] = ""
    is_counted: bool = False
    has_statistics: bool = False
    cursor: Cursor | None = None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            WrongUsage: Two of the options do not.
        """
        ends = "--count" if self.is_counted else "--to" if self.filters.stop else ""
        if ends and self.follow:
            raise WrongUsage(f"{ends} and --follow do not go together: nothing would end it")
        if self.is_counted and (self.has_statistics or self.cursor):
            other = "--stats" if self.has_statistics else "--cursor-file"
            raise WrongUsage(f"--count and {other} do not go together")
        if (self.is_counted or self.has_statistics) and self.count is not None:
            raise WrongUsage("--count and --stats take all events, -n does not go with them")
        if self.has_statistics and self.group_by:
            raise WrongUsage(
                "--stats is by type; --group-by does not go with it",
                hint=f"dolittle events stats --by {self.group_by}",
            )


async def tail_events(places: Sequence[Place], wish: TailWish) -> None:
    """Write the last events of one or several logs, and those that come while following.

    Raises:
        BrokenPipeError: The reader of stdout is gone.
        WrongUsage: The options do not go together.
    """
    wish.check()
    console = Console()
    is_json = wish.output in ("json", "jsonl")
    shown = make_format(wish.output, console, with_date=False, titles=False)
    if wish.group_by and not wish.is_counted and not shown.is_for_people:
        raise WrongUsage(f"--group-by sets headings, which -o {wish.output} cannot have")
    follows = _follows(console, wish)
    async with until_reader_is_gone(), AsyncExitStack() as stack:
        logs = await _open(stack, console, places, wish)
        if wish.is_counted:
            await _write_count(console, logs, wish, is_json=is_json)
            await _raise_damage(logs, wish)
            return
        if wish.has_statistics:
            await LiveStatistics(console, logs, is_json=is_json).run(follows=follows)
            return
        writer = _Writer(console, shown, wish)
        await _write_past(logs, wish, writer)
        shown.check()
        if not any(log.had_store for log in logs):
            console.note("no events yet" + (", waiting for the first one" if follows else ""))
        elif follows and console.is_terminal:
            console.note("waiting for more; Ctrl-C ends this")
        if follows:
            await together(follow(stack, log, writer.write_page) for log in logs)
        await _raise_damage(logs, wish)


async def _raise_damage(logs: Sequence[Followed], wish: TailWish) -> None:
    """Say that a log which is damaged does not end where its last readable event stands.

    Raises:
        StoreDamaged: More than was shown had been stored.
    """
    if wish.filters.stop is not None:
        return
    for log in logs:
        async for _ in log.store.read(Selection(start=log.head)):
            break


def _follows(console: Console, wish: TailWish) -> bool:
    if wish.filters.stop is not None or wish.is_counted:
        return False
    return console.is_terminal if wish.follow is None else wish.follow


# Opening


async def _open(
    stack: AsyncExitStack, console: Console, places: Sequence[Place], wish: TailWish
) -> list[Followed]:
    """Open the logs; a name that only some of several microservices know is no mistake."""
    width = max(len(place.configuration.name) for place in places)
    logs: list[Followed] = []
    unknown: Unknown | None = None
    for number, place in enumerate(places):
        name = place.configuration.name
        prefix = console.tinted(f"{name.ljust(width)} |", number) + " " if len(places) > 1 else ""
        origin = Origin(place, aliases_of(place), prefix)
        had_store = place.has_store
        store = await stack.enter_async_context(open_log(place))
        try:
            logs.append(await _opened(console, origin, store, wish, had_store=had_store))
        except Unknown as error:
            unknown = error
    if unknown is not None and not logs:
        raise unknown
    return logs


async def _opened(
    console: Console, origin: Origin, store: EventStore, wish: TailWish, *, had_store: bool
) -> Followed:
    filters, place = wish.filters, origin.place
    if wish.cursor is not None and had_store:
        position = wish.cursor.read(store.id, (await store.facts()).location)
        if position is not None:
            filters = replace(filters, start=At(position))
    sieve = await filters.sieve(store, place, origin.aliases, SystemClock())
    head = await store.head()
    if filters.start is not None or filters.stop is not None:
        console.note(origin.prefix + await understood(store, sieve.range))
    log = Followed(origin, had_store, store, sieve.within(START, head), head)
    log.has_start = filters.start is not None
    return log


# The past


class _Writer:
    """Writes events and headings, and moves the cursor behind them."""

    def __init__(self, console: Console, shown: EventFormat, wish: TailWish) -> None:
        self._console = console
        self._shown = shown
        self._cursor = wish.cursor
        self._group_by = wish.group_by
        self._group: str | None = None

    def write(self, events: Sequence[CommittedEvent], origin: Origin) -> None:
        """Write events of one log."""
        if not self._group_by:
            self._shown.write(events, origin)
            return
        for event in events:
            group = self.group(event)
            if group != self._group:
                self._group = group
                self._console.data(self._console.bold(f"{self._group_by} {printable(group)}"))
            self._shown.write([event], origin)

    def group(self, event: CommittedEvent) -> str:
        """Return the group of an event; empty where there are no groups."""
        if not self._group_by:
            return ""
        return event.source if self._group_by == "source" else event.commit.correlation

    def write_page(
        self, events: Sequence[CommittedEvent], log: Followed, next_position: Position
    ) -> None:
        """Write events of one log that came, and note how far it was shown."""
        self.write(events, log.origin)
        self.note(log, next_position)

    def note(self, log: Followed, next_position: Position) -> None:
        """Note how far a log was shown."""
        if self._cursor is not None:
            place = log.origin.place
            self._cursor.write(log.store.id, place.configuration.name, place.tenant, next_position)


async def _write_past(logs: Sequence[Followed], wish: TailWish, writer: _Writer) -> None:
    count = wish.count
    takes_all = count is None and any(log.has_start for log in logs)
    if takes_all:
        past = _merged(logs)
    else:
        wanted = LAST if count is None else count
        past = _last(logs, wanted)
    if wish.group_by:
        past = _grouped(past, writer)
    pending: list[CommittedEvent] = []
    origin: Origin | None = None
    async for log, event in past:
        if pending and (log.origin is not origin or len(pending) >= WRITTEN_AT_ONCE):
            assert origin is not None
            writer.write(pending, origin)
            pending = []
        origin = log.origin
        pending.append(event)
    if pending and origin is not None:
        writer.write(pending, origin)
    for log in logs:
        if log.had_store:
            writer.note(log, min(log.head, log.sieve.range.stop))


_Event = tuple[Followed, CommittedEvent]


async def _last(logs: Sequence[Followed], count: int) -> AsyncIterator[_Event]:
    """Yield the last events of all logs together, in the order of their times."""
    found: list[_Event] = []
    for log in logs:
        found += [(log, event) for event in await log.sieve.last(log.store, count)]
    found.sort(key=_time)
    for item in found[-count:] if count else ():
        yield item


async def _merged(logs: Sequence[Followed]) -> AsyncIterator[_Event]:
    """Yield the events of all logs in the order of their times, as they are read."""
    readings = [_events(log) for log in logs]
    heads = [await anext(reading, None) for reading in readings]
    while True:
        ready = [item for item in heads if item is not None]
        if not ready:
            return
        first = min(ready, key=_time)
        yield first
        index = next(number for number, item in enumerate(heads) if item is first)
        heads[index] = await anext(readings[index], None)


async def _events(log: Followed) -> AsyncIterator[_Event]:
    async for page in log.sieve.pages(log.store):
        for event in page.events:
            yield log, event


async def _grouped(past: AsyncIterator[_Event], writer: _Writer) -> AsyncIterator[_Event]:
    """Yield events by group, the groups in the order in which they begin."""
    groups: dict[str, list[_Event]] = {}
    count = 0
    async for item in past:
        count += 1
        if count > GROUPED_MAX:
            raise CommandLineError(
                f"--group-by holds at most {GROUPED_MAX:,} events of the past, there are more",
                hint=f"-n {GROUPED_MAX} takes the last ones; a later --from takes fewer",
            )
        groups.setdefault(writer.group(item[1]), []).append(item)
    for items in groups.values():
        for item in items:
            yield item


def _time(item: _Event) -> tuple[object, str, Position]:
    log, event = item
    return event.commit.time, log.origin.place.configuration.name, event.position


# Counts


async def _write_count(
    console: Console, logs: Sequence[Followed], wish: TailWish, *, is_json: bool
) -> None:
    counts: Counter[str] = Counter()
    for log in logs:
        group = grouping(wish.group_by, log.origin.aliases) if wish.group_by else None
        # The index counts a whole log only, so its end is left open where it was not asked for.
        sieve = log.sieve if wish.filters.stop else _open_ended(log.sieve)
        counts.update(await count_events(log.store, sieve, group))
    if not wish.group_by:
        total = counts[""]
        console.json({"count": total}) if is_json else console.data(str(total))
        return
    rows = counts.most_common()
    if is_json:
        console.json({"count": counts.total(), "by": wish.group_by, "groups": dict(rows)})
    else:
        console.table((wish.group_by, "events"), [(name, f"{count:,}") for name, count in rows])


def _open_ended(sieve: Sieve) -> Sieve:
    return replace(
        sieve,
        selections=tuple(msgspec.structs.replace(item, stop=END) for item in sieve.selections),
    )
