"""Events of a page that stay as they were decoded from their lines until somebody looks at one."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Final, overload

from dolittle.engines.file.line import StoredCommit, events_of_all
from dolittle.store import CommittedEvent, EncodedEvent, UnbuiltEvents

_EVENTS: Final = attrgetter("events")


class StoredEvents(UnbuiltEvents):
    """A stretch of the events of some commits.

    Building an event and copying its content costs as much as decoding its part of a line, and
    who counts events or decodes their contents needs neither. Until the events are built their
    contents lie in the block that was read, and keep it; once they are built it is let go of.
    """

    __slots__ = ("_built", "_commits", "_count", "_first")

    def __init__(self, commits: list[StoredCommit], first: int = 0, count: int = -1) -> None:
        """Take commits in the order of the log.

        Args:
            commits: Not to be changed any more.
            first: How many of their events come before the stretch.
            count: How many events there are; negative: up to the end of the last commit.
        """
        if count < 0:
            count = _events_in(commits) - first
        self._commits = commits
        self._first = first
        self._count = count
        self._built: list[CommittedEvent] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int, /) -> CommittedEvent: ...

    @overload
    def __getitem__(self, index: slice, /) -> list[CommittedEvent]: ...

    def __getitem__(self, index: int | slice, /) -> CommittedEvent | list[CommittedEvent]:
        return self._events()[index]

    def __iter__(self) -> Iterator[CommittedEvent]:
        return iter(self._events())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StoredEvents | list | tuple):
            return self._events() == list(other)
        return NotImplemented

    def __hash__(self) -> int:
        raise TypeError("these events are not to be hashed, as a list is not")

    def __repr__(self) -> str:
        return repr(self._events())

    @property
    def encoded(self) -> Sequence[EncodedEvent]:
        """Type, generation and content of each event, which need not be built for it."""
        built = self._built
        if built is not None:
            return built
        each = list(chain.from_iterable(map(_EVENTS, self._commits)))
        return each[self._first : self._first + self._count] if self._is_part(each) else each

    def _is_part(self, each: Sequence[object]) -> bool:
        return len(each) != self._count

    def _events(self) -> list[CommittedEvent]:
        built = self._built
        if built is None:
            built = events_of_all(self._commits)
            if self._is_part(built):
                built = built[self._first : self._first + self._count]
            # In this order: another thread may be at it as well.
            self._built, self._commits = built, []
        return built

    def _place(self, index: int) -> tuple[int, int]:
        """Return which commit an event is in, and how many events of it come before."""
        offset, commits = index + self._first, self._commits
        if commits[-1].next_position - commits[0].position == len(commits):
            # Each has one event, and nothing lies between them.
            return offset, 0
        ends = list(accumulate(map(len, map(_EVENTS, commits))))
        at = bisect.bisect_right(ends, offset)
        return at, offset - (ends[at - 1] if at else 0)

    def followed_by(self, others: StoredEvents) -> StoredEvents:
        """Return these events (none of which was looked at) and others, which follow in the log.

        The last of these is the last of its commit, and the first of the others of theirs.
        """
        return StoredEvents(
            self._commits + others._commits, self._first, self._count + others._count
        )

    def cut(self, count: int) -> tuple[StoredEvents, StoredEvents, int]:
        """Return the first so many events, the others, and the position of the first of those.

        Both are some, and none was looked at.
        """
        at, offset = self._place(count)
        before = StoredEvents(self._commits[: at + bool(offset)], self._first, count)
        behind = StoredEvents(self._commits[at:], offset, self._count - count)
        return before, behind, self._commits[at].position + offset


def _events_in(commits: list[StoredCommit]) -> int:
    # Each has one or more, and positions ascend: most often a look at the ends is enough.
    spread = commits[-1].next_position - commits[0].position if commits else 0
    return spread if spread == len(commits) else sum(map(len, map(_EVENTS, commits)))
