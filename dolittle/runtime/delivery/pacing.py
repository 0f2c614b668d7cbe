"""The pace of a replay: its events wait, so that the gaps between them are those of their times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from dolittle.execution import Timer
from dolittle.store import START, CommittedEvent, Page, Position

GAP_S_MAX: Final = 10.0
"""The longest wait between two events of a replay: a night in which nobody ordered is cut."""


class Held:
    """Events that were read and wait until they are due."""

    def __init__(self, clock: Timer) -> None:
        self._clock = clock
        self._events: deque[CommittedEvent] = deque()
        self._behind: Position = START
        self._last: tuple[datetime, datetime] | None = None
        self._due_at: datetime | None = None

    def __bool__(self) -> bool:
        """Tell whether any is waiting."""
        return bool(self._events)

    @property
    def position(self) -> Position:
        """Where reading is: at the first event that waits, or behind all of them."""
        return self._events[0].position if self._events else self._behind

    @property
    def due_at(self) -> datetime:
        """When the first one that waits is due, as :meth:`due` has found."""
        return self._due_at or self._clock.now()

    def hold(self, page: Page) -> None:
        """Let the events of a page wait."""
        self._events.extend(page.events)
        self._behind = page.next_position

    def clear(self) -> None:
        """Forget them, and the event before them: the next one is due at once."""
        self._events.clear()
        self._last = self._due_at = None

    def due(
        self, speed: float, is_at_once: Callable[[CommittedEvent], bool]
    ) -> Iterator[CommittedEvent]:
        """Yield the events that are due, and let go of them.

        Args:
            speed: The gaps are divided by it; 0: there are none.
            is_at_once: Tells whether no gap is kept before an event.
        """
        while self._events:
            event, now = self._events[0], self._clock.now()
            if speed and not is_at_once(event):
                self._due_at = self._due(event, speed, now)
                if self._due_at > now:
                    return
                self._last = event.commit.time, now
            self._events.popleft()
            yield event

    def _due(self, event: CommittedEvent, speed: float, now: datetime) -> datetime:
        if self._last is None:
            return now
        time, handed_out = self._last
        gap_s = (event.commit.time - time).total_seconds() / speed
        return handed_out + timedelta(seconds=min(gap_s, GAP_S_MAX))
