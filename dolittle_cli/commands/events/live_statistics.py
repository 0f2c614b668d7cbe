"""``dolittle events tail --stats``: counts by type, shown again as events come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from dolittle.store import CommittedEvent, Position
from dolittle_cli.commands.events.following import Followed, follow, together
from dolittle_cli.commands.events.statistics import (
    Statistics,
    grouping,
    statistics_json,
    write_statistics,
)
from dolittle_cli.console import Console

STATISTICS_S: Final = 1.0
"""How often the counts are shown again while following, at most."""

TYPES_MAX: Final = 100_000
"""Event types that are shown."""


class LiveStatistics:
    """Counts by type while following."""

    def __init__(self, console: Console, logs: Sequence[Followed], *, is_json: bool) -> None:
        self._console = console
        self._logs = logs
        self._is_json = is_json
        self._statistics = Statistics(str)
        self._changed = asyncio.Event()

    async def run(self, *, follows: bool) -> None:
        """Show what there is, then again whenever something came, at most once a second."""
        for log in self._logs:
            async for page in log.sieve.pages(log.store):
                self._take(page.events, log, page.next_position)
        self._show()
        if not follows:
            return
        async with AsyncExitStack() as stack:
            await together(
                [*(follow(stack, log, self._take) for log in self._logs), self._show_again()]
            )

    def _take(
        self, events: Sequence[CommittedEvent], log: Followed, _next_position: Position
    ) -> None:
        self._statistics.group = grouping("type", log.origin.aliases)
        self._statistics.add(events)
        if events:
            self._changed.set()

    async def _show_again(self) -> None:
        self._changed.clear()
        while True:
            await self._changed.wait()
            await asyncio.sleep(STATISTICS_S)
            self._changed.clear()
            self._show()

    def _show(self) -> None:
        if self._is_json:
            self._console.json(statistics_json(self._statistics, "type", TYPES_MAX))
        else:
            write_statistics(self._console, self._statistics, "type", TYPES_MAX)
