"""``dolittle events tail --stats``: counts by type, redrawn in place as events come."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from dolittle.runtime.event_json import time_json
from dolittle.store import CommittedEvent, Position
from dolittle_cli.commands.events.following import Followed, follow, together
from dolittle_cli.commands.events.statistics import (
    NONE,
    Counted,
    Statistics,
    Table,
    grouping,
    table_of,
    tallies_json,
    total_of,
    write_tallies,
)
from dolittle_cli.console import Console, counted, printable, width_of

STATISTICS_S: Final = 1.0
"""How often the counts are shown again while following, at most."""

TYPES_MAX: Final = 100_000
"""Event types that are shown where nothing is redrawn."""

LEFT_OUT: Final[tuple[frozenset[int], ...]] = (
    frozenset(),
    frozenset({4}),
    frozenset({2, 4}),
    frozenset({2, 4, 5}),
)
"""Columns that give way on a narrow terminal, in this order: the first, the share, the last."""

INDENT: Final = "  "


class LiveStatistics:
    """Counts by type, of each log on its own, while following."""

    def __init__(self, console: Console, logs: Sequence[Followed], *, is_json: bool) -> None:
        self._console = console
        self._logs = logs
        self._is_json = is_json
        self._counted = {
            id(log): Counted(
                Statistics(grouping("type", log.origin.aliases)),
                log.origin.place.configuration.name if len(logs) > 1 else "",
                log.origin.prefix,
            )
            for log in logs
        }
        self._changed = asyncio.Event()
        self._shown: list[str] = []
        self._told = 0

    async def run(self, *, follows: bool) -> None:
        """Show what there is, then again whenever something came, at most once a second."""
        for log in self._logs:
            async for page in log.sieve.pages(log.store):
                self._take(page.events, log, page.next_position)
        self._show(follows=follows)
        if not follows:
            return
        if self._console.can_redraw:
            # Else a table that a resized terminal has wrapped stands until the next event.
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._changed.set)
        async with AsyncExitStack() as stack:
            await together(
                [*(follow(stack, log, self._take) for log in self._logs), self._show_again()]
            )

    def _take(
        self, events: Sequence[CommittedEvent], log: Followed, _next_position: Position
    ) -> None:
        if events:
            statistics = self._counted[id(log)].statistics
            statistics.group = grouping("type", log.origin.aliases)
            statistics.add(events)
            self._changed.set()

    async def _show_again(self) -> None:
        self._changed.clear()
        while True:
            await self._changed.wait()
            await asyncio.sleep(STATISTICS_S)
            self._changed.clear()
            self._show(follows=True)

    def _show(self, *, follows: bool) -> None:
        found = [*self._counted.values()]
        if self._is_json:
            self._console.json(tallies_json(found, "type", TYPES_MAX))
        elif not follows:
            write_tallies(self._console, found, "type", TYPES_MAX)
        elif self._console.can_redraw:
            lines = drawing(self._console, found)
            self._console.redraw(lines, self._shown)
            self._shown = lines
        else:
            self._tell(found)

    def _tell(self, found: Sequence[Counted]) -> None:
        """Write a line where nothing can be redrawn: when, how many, how many of them anew."""
        total = total_of(found)
        table = table_of(found, "type", TYPES_MAX)
        if total is None or table is None:
            self._console.data("no events")
            return
        rows = table.rows[: len(table.rows) - (len(table.rows) > 1)]
        types = ", ".join(
            f"{prefix.rstrip(' |')} {row[0]} {row[1]}".strip()
            for prefix, row in zip(table.prefixes, rows, strict=False)
        )
        anew = f", {total.events - self._told:,} of them new" if self._told else ""
        self._told = total.events
        events = counted(total.events, "event")
        self._console.data(f"{time_json(total.last)}  {events}{anew}: {printable(types)}")


def drawing(console: Console, found: Sequence[Counted]) -> list[str]:
    """Return the lines of a table that fits into the terminal, as wide and as high as it is.

    Columns that do not fit give way; where even the figures do not, they stand on a line of
    their own. A name is never cut.
    """
    columns, rows_max = shutil.get_terminal_size()
    table = table_of(found, "type", TYPES_MAX)
    if table is None:
        return ["no events"]
    has_all = len(table.rows) > 1
    for left_out in LEFT_OUT:
        titles, *rows = _lines(console, table, left_out)
        if max(map(width_of, (titles, *rows))) < columns:
            return _low_enough([titles], [[row] for row in rows], rows_max, has_all=has_all)
    pairs = [
        [f"{prefix}{printable(row[0])}", f"{INDENT}{_figures(row, columns - len(INDENT))}"]
        for prefix, row in zip(table.prefixes, table.rows, strict=True)
    ]
    return _low_enough([], pairs, rows_max, has_all=has_all)


def _figures(row: Sequence[str], columns: int) -> str:
    """Return the figures of one row in words: ``12 events, 80.0%, 0.5 per second``, if it fits."""
    events = f"{row[1]} event{'' if row[1] == '1' else 's'}"
    rate = "" if row[3] == NONE else f", {row[3]} per second"
    whole = f"{events}, {row[2]}{rate}"
    return whole if len(whole) < columns else f"{events}{rate}"


def _lines(console: Console, table: Table, left_out: frozenset[int]) -> list[str]:
    def kept(cells: Sequence[str]) -> tuple[str, ...]:
        return tuple(cell for number, cell in enumerate(cells) if number not in left_out)

    rows = [kept(row) for row in table.rows]
    return console.table_lines(kept(table.titles), rows, prefixes=table.prefixes)


def _low_enough(
    titles: list[str], rows: list[list[str]], rows_max: int, *, has_all: bool
) -> list[str]:
    """Return lines that the terminal holds: what scrolls away could not be replaced.

    The largest types are kept, and the row of all together.
    """
    rows, last = (rows[:-1], rows[-1]) if has_all else (rows, [])
    lines_each = len(rows[0])
    room = max(0, rows_max - 1 - len(titles) - len(last)) // lines_each
    if len(rows) <= room:
        return [*titles, *itertools.chain(*rows), *last]
    room = max(0, rows_max - 2 - len(titles) - len(last)) // lines_each
    more = f"({len(rows) - room:,} more)"
    return [*titles, *itertools.chain(*rows[:room]), more, *last]
