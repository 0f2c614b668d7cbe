"""A clock that a test holds still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When everything in a test happens, unless it says otherwise."""


class HeldClock:
    """A ``dolittle.execution.Clock`` that stands still until it is moved.

    Args:
        start: What it shows at first; aware.

    Raises:
        ValueError: ``start`` has no time zone.
    """

    def __init__(self, start: datetime = NOON) -> None:
        if start.utcoffset() is None:
            raise ValueError(f"{start!r} has no time zone: write datetime(…, tzinfo=UTC)")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time it was set to, aware, in UTC."""
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move it on by some seconds, 0 or more, and return the new time.

        Raises:
            ValueError: ``seconds`` is negative: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"a clock does not go back: advance({seconds!r})")
        self._now += timedelta(seconds=seconds)
        return self._now
