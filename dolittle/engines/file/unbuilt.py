"""Events of a page that stay as they were decoded from their lines until somebody looks at one."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, TypeVar, overload

from dolittle.engines.file.line import StoredCommit, decode_all, events_of_all
from dolittle.engines.file.typed import Decoding
from dolittle.store import CommittedEvent, EncodedEvent, EventClasses, UnbuiltEvents

_EVENTS: Final = attrgetter("events")
T = TypeVar("T")


class StoredEvents(UnbuiltEvents):
    """A stretch of the events of some commits.

    Building an event and copying its content costs as much as decoding its part of a line, and
    who counts events or decodes their contents needs neither. Until the events are built their
    contents lie in the block that was read, and keep it; once they are built it is let go of.

    Where contents were decoded with their lines, the lines are decoded once more for who wants
    the events themselves.
    """

    __slots__ = ("_blocks", "_built", "_commits", "_count", "_decoding", "_first")

    def __init__(
        self,
        commits: list[StoredCommit],
        first: int = 0,
        count: int = -1,
        *,
        decoding: Decoding | None = None,
        blocks: Sequence[tuple[int, bytes]] = (),
    ) -> None:
        """Take commits in the order of the log.

        Args:
            commits: Not to be changed any more; contents are decoded in all of them or in none.
            first: How many of their events come before the stretch.
            count: How many events there are; negative: up to the end of the last commit.
            decoding: Of the reading; is told what is wanted of the events.
            blocks: The lines of the commits, where contents are decoded: some at a time, with
                the position of the first.
        """
        if count < 0:
            count = _events_in(commits) - first
        self._commits = commits
        self._first = first
        self._count = count
        self._decoding = decoding or Decoding()
        self._blocks = blocks
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
    def classes(self) -> EventClasses:
        """What contents were decoded into together with their lines; empty: they were not."""
        commits = self._commits
        return commits[0].classes if commits else ()

    @property
    def type_ids(self) -> list[str]:
        """The event type id of each event, which need not be built for it."""
        # In this order: whoever builds the events lets go of the commits last.
        commits, built = self._commits, self._built
        if built is not None:
            return [event.type_id for event in built]
        return self._stretch([event.type_id for commit in commits for event in commit.events])

    @property
    def encoded(self) -> Sequence[EncodedEvent]:
        """Type, generation and content of each event, which need not be built for it."""
        if self._built is not None:
            return self._built
        commits, built = self._plain(), self._built
        if built is not None:
            # Another thread built them meanwhile, and let go of the commits.
            return built
        return self._stretch([event for commit in commits for event in commit.events])

    def contents(self, classes: EventClasses) -> list[Any] | None:
        """Return contents as classes where they are decoded; otherwise the next pages' will be."""
        commits = self._commits
        if self._built is None and commits and commits[0].classes == classes:
            return self._stretch([event.content for commit in commits for event in commit.events])
        self._decoding.want(classes)
        return None

    def _stretch(self, each: list[T]) -> list[T]:
        """Return what there is of the events of the stretch, from that of all of its commits."""
        if len(each) == self._count:
            return each
        return each[self._first : self._first + self._count]

    def _plain(self) -> list[StoredCommit]:
        """Return the commits with contents that are encoded."""
        # In this order: another thread may be at it as well, and lets go of the blocks last.
        blocks, commits = self._blocks, self._commits
        if not commits or not commits[0].classes:
            return commits
        self._decoding.pause()
        first, last = commits[0].position, commits[-1].position
        plain = [
            commit
            for _, lines in blocks
            for commit in decode_all(lines)
            if first <= commit.position <= last
        ]
        self._commits, self._blocks = plain, ()
        return plain

    def _events(self) -> list[CommittedEvent]:
        built = self._built
        if built is None:
            commits = self._plain()
            # Another thread may have built them meanwhile, and let go of the commits.
            built = self._built or self._stretch(events_of_all(commits))
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

        The last of these is the last of its commit, and the first of the others of theirs; they
        are of the same :attr:`classes`.
        """
        return StoredEvents(
            self._commits + others._commits,
            self._first,
            self._count + others._count,
            decoding=self._decoding,
            blocks=[*self._blocks, *others._blocks],
        )

    def cut(self, count: int) -> tuple[StoredEvents, StoredEvents, int]:
        """Return the first so many events, the others, and the position of the first of those.

        Both are some, and none was looked at.
        """
        at, offset = self._place(count)
        commits, blocks = self._commits, self._blocks
        position = commits[at].position
        # Whoever cuts on and on must not keep all lines that there were.
        needed = bisect.bisect_right(blocks, position, key=_position_of) - 1
        before = StoredEvents(
            commits[: at + bool(offset)],
            self._first,
            count,
            decoding=self._decoding,
            blocks=blocks,
        )
        behind = StoredEvents(
            commits[at:],
            offset,
            self._count - count,
            decoding=self._decoding,
            blocks=blocks[max(needed, 0) :],
        )
        return before, behind, position + offset


def _position_of(block: tuple[int, bytes]) -> int:
    return block[0]


def _events_in(commits: list[StoredCommit]) -> int:
    # Each has one or more, and positions ascend: most often a look at the ends is enough.
    spread = commits[-1].next_position - commits[0].position if commits else 0
    return spread if spread == len(commits) else sum(map(len, map(_EVENTS, commits)))
