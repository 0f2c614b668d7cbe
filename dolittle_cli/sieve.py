"""Reads the events of a log that are wanted: the store selects what it can, the rest is sieved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from dolittle.store import CommittedEvent, EventStore, Page, Position, Selection, subscribe

LOOKED_AT: Final = 2_000
"""Events that are looked at in one step when the last ones are searched."""

Wanted = Callable[[CommittedEvent], bool]


def _all(_: CommittedEvent) -> bool:
    return True


@dataclass(frozen=True)
class Sieve:
    """Which events are wanted.

    Attributes:
        selections: Of the past, one or several of which an event is in; all of one range.
        is_wanted: What a selected event must meet beside.
        is_sieved: Whether ``is_wanted`` refuses anything.
        following: Of what comes later, when there may be new event types.
        is_wanted_later: What an event that comes later must meet.
    """

    selections: tuple[Selection, ...]
    following: Selection
    is_wanted: Wanted = _all
    is_sieved: bool = False
    is_wanted_later: Wanted = _all

    @property
    def range(self) -> Selection:
        """Where the selections begin and end."""
        first = self.selections[0]
        return Selection(first.start, first.stop, since=first.since, until=first.until)

    @property
    def is_everything(self) -> bool:
        """Whether every event of the range is wanted."""
        return not self.is_sieved and self.selections == (self.range,)

    def within(self, start: Position, stop: Position) -> Sieve:
        """Return the same for a part of the range."""
        selections = tuple(
            msgspec.structs.replace(item, start=max(item.start, start), stop=min(item.stop, stop))
            for item in self.selections
        )
        return replace(self, selections=selections)

    async def pages(self, store: EventStore) -> AsyncIterator[Page]:
        """Read the wanted events of the past in order, in pages that may be empty.

        Raises:
            CommandLineError: A condition compares what does not compare.
            StoreDamaged: A stored commit cannot be read.
        """
        selected = (
            store.read(self.selections[0])
            if len(self.selections) == 1
            else _merged(store, self.selections)
        )
        async for page in selected:
            yield self._sieved(page)

    async def last(self, store: EventStore, count: int) -> list[CommittedEvent]:
        """Return the last wanted events, in log order.

        Raises:
            CommandLineError: A condition compares what does not compare.
            StoreDamaged: A stored commit cannot be read.
        """
        found: list[CommittedEvent] = []
        for selection in self.selections:
            found += await self._last(store, selection, count)
        found.sort(key=lambda event: event.position)
        return found[-count:] if count else []

    async def _last(
        self, store: EventStore, selection: Selection, count: int
    ) -> list[CommittedEvent]:
        if not self.is_sieved:
            return await store.read_last(selection, count)
        found: list[CommittedEvent] = []
        step = max(LOOKED_AT, count)
        while len(found) < count:
            events = await store.read_last(selection, step)
            found[:0] = [event for event in events if self.is_wanted(event)]
            if len(events) < step:
                break
            selection = msgspec.structs.replace(selection, stop=events[0].position)
            await asyncio.sleep(0)
        return found[-count:]

    async def follow(self, store: EventStore, start: Position) -> AsyncIterator[Page]:
        """Read the wanted events from a position on, then wait for more, for ever.

        Raises:
            CommandLineError: A condition compares what does not compare.
            StoreDamaged: A stored commit cannot be read.
        """
        async for page in subscribe(store, msgspec.structs.replace(self.following, start=start)):
            kept = [event for event in page.events if self.is_wanted_later(event)]
            yield Page(kept, page.next_position)

    def _sieved(self, page: Page) -> Page:
        if not self.is_sieved:
            return page
        return Page([item for item in page.events if self.is_wanted(item)], page.next_position)


async def _merged(store: EventStore, selections: Sequence[Selection]) -> AsyncIterator[Page]:
    """Read several selections as one, in log order; each of one range, none overlapping."""
    readings = [aiter(store.read(selection)) for selection in selections]
    read: list[Page] = [Page((), selection.start) for selection in selections]
    is_done = [False] * len(readings)
    waiting: list[CommittedEvent] = []
    told = min(page.next_position for page in read)
    while not all(is_done):
        # The one that is furthest behind holds up the others.
        index = min(
            (number for number in range(len(readings)) if not is_done[number]),
            key=lambda number: read[number].next_position,
        )
        try:
            read[index] = await anext(readings[index])
            waiting += read[index].events
        except StopAsyncIteration:
            is_done[index] = True
        open_ends = [
            page.next_position for page, done in zip(read, is_done, strict=True) if not done
        ]
        reached = min(open_ends) if open_ends else max(page.next_position for page in read)
        ready = sorted((e for e in waiting if e.position < reached), key=lambda e: e.position)
        if ready or reached > told:
            waiting = [event for event in waiting if event.position >= reached]
            told = reached
            yield Page(ready, reached)
