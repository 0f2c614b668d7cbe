"""A clock that a test holds still."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When everything in a test happens, unless it says otherwise."""


class HeldClock:
    """A ``dolittle.execution.Timer`` that stands still until it is moved.

    Who waits for a moment goes on when the clock has been moved there, whatever time it takes.

    Args:
        start: What it shows at first; aware.

    Raises:
        ValueError: ``start`` has no time zone.
    """

    def __init__(self, start: datetime = NOON) -> None:
        if start.utcoffset() is None:
            raise ValueError(f"{start!r} has no time zone: write datetime(…, tzinfo=UTC)")
        self._now = start.astimezone(UTC)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """Return the time it was set to, aware, in UTC."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move it on by some seconds, 0 or more, and return the new time.

        Where something waits for it, call this in the thread of its event loop.

        Raises:
            ValueError: ``seconds`` is negative: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: advance({seconds!r})")
        self._now += timedelta(seconds=seconds)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return self._now

    async def wait_until(self, moment: datetime) -> None:
        """Return once it has been moved to ``moment`` (aware) or beyond."""
        while self._now < moment:
            await self._moved.wait()
