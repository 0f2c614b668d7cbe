"""The memory engine: an event store that lives and dies with its process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import msgspec

from dolittle.errors import CommitIdReused, StoreClosed
from dolittle.execution import Clock, SystemClock, new_id
from dolittle.store import (
    START,
    Commit,
    CommitHeader,
    CommittedEvent,
    CommittedEvents,
    Page,
    Position,
    Selection,
    StoreFacts,
    Stream,
    check_expected,
    check_size,
    commit_time,
    is_same_commit,
)

PAGE_EVENTS: Final = 1_000


class MemoryStore:
    """The event log of one tenant in memory: for tests and for ``dolittle run --ephemeral``.

    It belongs to one event loop, as a task's objects do.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._id = new_id()
        self._clock = clock or SystemClock()
        self._events: list[CommittedEvent] = []
        self._commits: dict[str, CommittedEvents] = {}
        self._versions: Counter[Stream] = Counter()
        self._grown = asyncio.Event()
        self._closed = False

    @property
    def id(self) -> str:
        """An id that this log got when it was made."""
        return self._id

    @property
    def damage(self) -> None:
        """Nothing: memory is sound."""
        return None

    async def commit(self, commit: Commit) -> CommittedEvents:
        """Append a commit; see the port for what it raises."""
        if self._closed:
            raise StoreClosed("in memory")
        check_size(commit)
        known = self._commits.get(commit.id)
        if known is not None:
            if not is_same_commit(commit, known.events):
                raise CommitIdReused(commit.id)
            return msgspec.structs.replace(known, is_repeat=True)
        check_expected(commit.expected, self._versions)
        now = self._clock.now()
        earliest = self._events[-1].commit.time if self._events else min(now, commit.time or now)
        committed = self._append(commit, commit_time(commit, now, earliest))
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
        return committed

    def _append(self, commit: Commit, time: datetime) -> CommittedEvents:
        context = commit.context
        header = CommitHeader(
            id=commit.id,
            time=time,
            correlation=context.correlation or commit.id,
            causation=context.causation,
            version=context.version,
            environment=context.environment,
            claims=dict(context.claims),
            handler=context.handler,
        )
        events = []
        for index, event in enumerate(commit.events):
            version = 0
            if event.aggregate:
                stream = Stream(event.aggregate, event.source)
                self._versions[stream] += 1
                version = self._versions[stream]
            events.append(
                CommittedEvent(
                    position=len(self._events) + index,
                    commit=header,
                    index=index,
                    type_id=event.type_id,
                    generation=event.generation,
                    source=event.source,
                    aggregate=event.aggregate,
                    version=version,
                    public=event.public,
                    content=event.content,
                )
            )
        self._events.extend(events)
        committed = CommittedEvents(tuple(events), len(self._events))
        self._commits[commit.id] = committed
        return committed

    async def read(self, selection: Selection) -> AsyncIterator[Page]:
        """Read the selected events in order, in pages."""
        position = max(selection.start, START)
        stop = min(selection.stop, len(self._events))
        while True:
            upto = max(position, min(position + PAGE_EVENTS, stop))
            events = [event for event in self._events[position:upto] if selection.matches(event)]
            yield Page(events, upto)
            position = upto
            stop = min(selection.stop, len(self._events))
            if position >= stop:
                return

    async def read_last(self, selection: Selection, count: int) -> list[CommittedEvent]:
        """Return the last ``count`` selected events, in log order."""
        found: list[CommittedEvent] = []
        for event in reversed(self._events):
            if len(found) >= count:
                break
            if selection.matches(event):
                found.append(event)
        return found[::-1]

    async def find_commit(self, commit_id: str) -> CommittedEvents | None:
        """Return a commit by its id, or ``None``."""
        return self._commits.get(commit_id)

    async def head(self) -> Position:
        """Return where the next event will stand."""
        return len(self._events)

    async def version(self, stream: Stream) -> int:
        """Return how many events an aggregate instance has."""
        return self._versions[stream]

    async def streams(self, aggregate: str = "") -> list[tuple[Stream, int]]:
        """Return the aggregate instances with their versions, sorted."""
        return sorted(
            (stream, version)
            for stream, version in self._versions.items()
            if version and (not aggregate or stream.aggregate == aggregate)
        )

    async def type_counts(self) -> dict[str, int]:
        """Return how many events there are of each event type id."""
        return dict(Counter(event.type_id for event in self._events))

    async def wait(self, position: Position) -> None:
        """Return once there is an event at or behind ``position``."""
        while len(self._events) <= position:
            await self._grown.wait()

    async def facts(self) -> StoreFacts:
        """Return what a person wants to know."""
        return StoreFacts("memory", "in memory, gone at the end", "none", len(self._events), 0)

    async def close(self) -> None:
        """Refuse further commits."""
        self._closed = True
