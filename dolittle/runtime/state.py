"""The port of the state: positions, failing partitions and read models of one tenant.

The state can be rebuilt from the event log, so it is kept apart from it. One change is one
transaction: a projection's documents and its position move together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from dolittle.store import END, START, Position

Kind = Literal["handler", "projection", "shadow"]
"""A ``shadow`` is a build of a projection that is not delivered to and that readers never see."""

RequestKind = Literal["replay", "stop", "retry", "skip", "promote"]


class Replay(msgspec.Struct, frozen=True):
    """A replay under way.

    Attributes:
        until: Events before this position had been handled before.
        side_effects: Names of side-effect methods that are called all the same.
        unhandled: Partitions that were failing when the replay began, with the first position
            that they had not handled: from there on it is no replay for them.
        start: Where it began.
        stop: Up to here, exclusive, events are handled again; those behind are passed over.
        source: Only events of this source are handled again; empty: of all.
        speed: How many times faster than they were committed; 0: as fast as it goes.
    """

    until: Position
    side_effects: tuple[str, ...] = ()
    unhandled: Mapping[str, Position] = {}
    start: Position = START
    stop: Position = END
    source: str = ""
    speed: float = 0.0


class Processor(msgspec.Struct, frozen=True):
    """How far a handler, or one build of a projection, has got.

    Attributes:
        name: The id of the handler or projection.
        kind: ``shadow`` for the shadow build of a projection.
        build: 1 for handlers. A projection's rebuild, or its shadow, has the next number.
        is_active: Whether readers see this build.
        position: Every event before it is handled, or its partition is failing.
        fingerprint: Of the projection's code that made the documents; empty for handlers. For a
            shadow a slash and the digest of the whole package follow: a shadow is to show what
            the code as it is now makes, also what the projection calls elsewhere.
        began: Of a handler: the first event that was its own, which for one with
            ``start_from="now"`` is where the log ended when it first ran. A replay from further
            back moves it there. ``None``: the state is from before this was kept.
    """

    name: str
    kind: Kind
    build: int = 1
    is_active: bool = True
    position: Position = START
    fingerprint: str = ""
    replay: Replay | None = None
    began: Position | None = None


class FailingPartition(msgspec.Struct, frozen=True):
    """A partition whose event could not be handled.

    Attributes:
        position: Of the event; the partition's events from here on wait.
        attempts: How often it was tried, from 1.
        error: Type and message of the last error.
        retry_at: When it is tried again, UTC.
        is_parked: Whether it waits for a person instead.
        is_skipped: Whether a person said to leave out the event at this position, once it is
            its turn again.
    """

    name: str
    build: int
    partition: str
    position: Position
    attempts: int
    error: str
    traceback: str
    failed_at: datetime
    retry_at: datetime
    is_parked: bool = False
    is_skipped: bool = False

    def leaves_out(self, position: Position) -> bool:
        """Tell whether the event at a position is left out, as a person said."""
        return self.is_skipped and self.position == position


class Request(msgspec.Struct, frozen=True):
    """What a person wants of the process that delivers.

    Attributes:
        number: Given by the state; 0 before.
        kind: ``stop`` ends a replay of a handler; ``promote`` swaps in a projection's shadow.
        partition: For ``retry`` and ``skip``; empty: every failing partition.
        position: For ``replay``: where it begins.
        side_effects: For ``replay``: side-effect methods to be called all the same.
        stop: For ``replay`` of a handler, as are the next two: see :class:`Replay`.
    """

    kind: RequestKind
    name: str
    partition: str = ""
    position: Position = START
    side_effects: tuple[str, ...] = ()
    number: int = 0
    stop: Position = END
    source: str = ""
    speed: float = 0.0


class Change(msgspec.Struct, frozen=True):
    """What is written in one transaction for one processor.

    Attributes:
        processor: Its new state, replacing the old.
        failing: Partitions that began to fail, or failed again.
        recovered: Partitions that fail no longer.
        documents: Documents by key; ``None`` deletes.
    """

    processor: Processor
    failing: Sequence[FailingPartition] = ()
    recovered: Sequence[str] = ()
    documents: Mapping[str, bytes | None] = {}


class Document(NamedTuple):
    """One read model document: its key and its JSON."""

    key: str
    content: bytes


class State(Protocol):
    """Positions, failing partitions and read models of one tenant."""

    async def claim(self, store_id: str) -> bool:
        """Bind the state to an event log; clear it, and tell so, if it was another log's."""
        ...

    async def processors(self, name: str = "") -> list[Processor]:
        """Return all processors, or the builds of one, by name and build."""
        ...

    async def save(self, change: Change) -> None:
        """Write a change, all of it or nothing."""
        ...

    async def activate(self, name: str, build: int) -> None:
        """Let readers see a build; delete the other builds of that projection, save a shadow."""
        ...

    async def discard(self, name: str, build: int) -> None:
        """Delete a build with its documents and failing partitions."""
        ...

    async def failing(self, name: str = "", *, build: int = 0) -> list[FailingPartition]:
        """Return failing partitions: of one processor or all; of one build, or all but shadows."""
        ...

    async def document(self, name: str, build: int, key: str) -> bytes | None:
        """Return a document's JSON, or ``None``."""
        ...

    async def documents(
        self, name: str, build: int, *, after_key: str = "", limit: int = 100
    ) -> list[Document]:
        """Return up to ``limit`` documents with keys behind ``after_key``, sorted by key."""
        ...

    async def count(self, name: str, build: int) -> int:
        """Return how many documents a build has."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """See the state as it is now for a while, whatever other processes write.

        Nothing may be saved through this object meanwhile.
        """
        ...

    async def request(self, request: Request) -> int:
        """Leave a request for the process that delivers; return its number."""
        ...

    async def requests(self) -> list[Request]:
        """Return the requests that nobody has taken up, in order."""
        ...

    async def finish_request(self, number: int) -> None:
        """Forget a request that was taken up."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


def newest(processors: Iterable[Processor]) -> Processor | None:
    """Return the build with the highest number that is no shadow, or ``None``."""
    delivered = (item for item in processors if item.kind != "shadow")
    return max(delivered, key=lambda item: item.build, default=None)


def active(processors: Iterable[Processor]) -> Processor | None:
    """Return the build that readers see, or ``None``."""
    return next((item for item in processors if item.is_active), None)


def shadow(processors: Iterable[Processor]) -> Processor | None:
    """Return the shadow build, or ``None``; there is at most one of a projection."""
    return next((item for item in processors if item.kind == "shadow"), None)


def next_build(processors: Iterable[Processor]) -> int:
    """Return the number of the next build of a projection."""
    return max((item.build for item in processors), default=0) + 1
