"""``dolittle events tail``: the last events, then those that come, until told to stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Literal

from dolittle.store import CommittedEvent, Position, Selection
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed, follow, together
from dolittle_cli.commands.events.live_statistics import LiveStatistics
from dolittle_cli.commands.events.several import LogEvent, all_events, last_events, open_logs
from dolittle_cli.commands.events.statistics import (
    count_events,
    grouping,
)
from dolittle_cli.console import Console, printable
from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.event_formats import EventFormat, make_format
from dolittle_cli.pipe import until_reader_is_gone
from dolittle_cli.project import Place

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
        logs = await open_logs(stack, console, places, wish.filters, cursor=wish.cursor)
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


# The past


class _Writer:
    """Writes events and headings, and moves the cursor behind them."""

    def __init__(self, console: Console, shown: EventFormat, wish: TailWish) -> None:
        self._console = console
        self._shown = shown
        self._cursor = wish.cursor
        self._group_by = wish.group_by
        self._group: str | None = None

    def write(self, events: Sequence[LogEvent]) -> None:
        """Write events of one or several logs."""
        if not self._group_by:
            self._shown.write([(event, log.origin) for log, event in events])
            return
        for log, event in events:
            group = self.group(event)
            if group != self._group:
                self._group = group
                self._console.data(self._console.bold(f"{self._group_by} {printable(group)}"))
            self._shown.write([(event, log.origin)])

    def group(self, event: CommittedEvent) -> str:
        """Return the group of an event; empty where there are no groups."""
        if not self._group_by:
            return ""
        return event.source if self._group_by == "source" else event.commit.correlation

    def write_page(
        self, events: Sequence[CommittedEvent], log: Followed, next_position: Position
    ) -> None:
        """Write events of one log that came, and note how far it was shown."""
        self.write([(log, event) for event in events])
        self.note(log, next_position)

    def note(self, log: Followed, next_position: Position) -> None:
        """Note how far a log was shown."""
        if self._cursor is not None:
            place = log.origin.place
            self._cursor.write(log.store.id, place.configuration.name, place.tenant, next_position)


async def _write_past(logs: Sequence[Followed], wish: TailWish, writer: _Writer) -> None:
    count = wish.count
    if count is None and any(log.has_start for log in logs):
        past = all_events(logs)
    else:
        past = _each(await last_events(logs, LAST if count is None else count))
    if wish.group_by:
        past = _grouped(past, writer)
    pending: list[LogEvent] = []
    async for item in past:
        pending.append(item)
        if len(pending) >= WRITTEN_AT_ONCE:
            writer.write(pending)
            pending = []
    writer.write(pending)
    for log in logs:
        if log.had_store:
            writer.note(log, min(log.head, log.sieve.range.stop))


async def _each(events: Sequence[LogEvent]) -> AsyncIterator[LogEvent]:
    for item in events:
        yield item


async def _grouped(past: AsyncIterator[LogEvent], writer: _Writer) -> AsyncIterator[LogEvent]:
    """Yield events by group, the groups in the order in which they begin."""
    groups: dict[str, list[LogEvent]] = {}
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


# Counts


async def _write_count(
    console: Console, logs: Sequence[Followed], wish: TailWish, *, is_json: bool
) -> None:
    counts: Counter[str] = Counter()
    for log in logs:
        group = grouping(wish.group_by, log.origin.aliases) if wish.group_by else None
        counts.update(await count_events(log.store, log.asked, group))
    if not wish.group_by:
        total = counts[""]
        console.json({"count": total}) if is_json else console.data(str(total))
        return
    rows = counts.most_common()
    if is_json:
        console.json({"count": counts.total(), "by": wish.group_by, "groups": dict(rows)})
    else:
        console.table((wish.group_by, "events"), [(name, f"{count:,}") for name, count in rows])
