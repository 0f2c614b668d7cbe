"""The port of the event store, and the rules that every engine keeps.

One store holds the event log of one tenant of one microservice. An engine implements
:class:`EventStore`; nothing above it knows which engine it is. Positions are opaque outside an
engine: they can be compared and handed back, never computed with.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from dolittle.errors import CommitTimeRefused, CommitTooLarge, StoreError, WrongExpectedVersion
from dolittle.execution import ExecutionContext

Position = int

START: Final[Position] = 0
"""Where every event log begins."""

END: Final[Position] = 2**63 - 1
"""Beyond the last event of every event log, for ever."""

COMMIT_EVENTS_MAX: Final = 10_000
"""Events in one commit. A commit is written, checked and answered whole."""

COMMIT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of content in one commit, so that a reader's buffer has a bound."""

NAME_CHARACTERS_MAX: Final = 1_000
"""Characters of an event source, an event type's id, a commit id, a correlation."""


class Stream(NamedTuple):
    """One aggregate instance: an aggregate root's id and an event source."""

    aggregate: str
    source: str


class EventToCommit(msgspec.Struct, frozen=True, gc=False):
    """An event that is to be committed. It cannot be part of a cycle either.

    Attributes:
        content: One JSON object, encoded.
        aggregate: The id of the aggregate root that applied it; empty if none did.
    """

    type_id: str
    source: str
    content: bytes
    generation: int = 1
    public: bool = False
    aggregate: str = ""


class Commit(msgspec.Struct, frozen=True):
    """One atomic append of 1 to ``COMMIT_EVENTS_MAX`` events: all of them or none.

    Attributes:
        id: Names this commit for ever. The same id again answers what the first one answered.
        expected: For some aggregate instances the version that they must have now (how many
            events they have, 0 for none).
        time: When it was made, if that is known already, because it is brought in from another
            log; aware. Without it, the engine's clock tells.
    """

    id: str
    events: tuple[EventToCommit, ...]
    context: ExecutionContext
    expected: Mapping[Stream, int] = {}
    time: datetime | None = None


class CommitHeader(msgspec.Struct, frozen=True, gc=False):
    """What the events of one commit share.

    It cannot be part of a cycle, so the collector need not look at it (``gc=False``): a replay
    makes millions.

    Attributes:
        time: UTC; never goes back within an event log.
        correlation: Never empty.
        causation: Empty if nothing is known to have caused it.
        version: Of the microservice that committed; may be empty.
        environment: May be empty.
        handler: The id of the event handler that made it; empty if none did, or if it was
            committed before that was recorded.
    """

    id: str
    time: datetime
    correlation: str
    causation: str = ""
    version: str = ""
    environment: str = ""
    claims: Mapping[str, str] = {}
    handler: str = ""


class CommittedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it stands in the event log.

    Attributes:
        position: Its place in the log.
        commit: What it shares with the other events of its commit.
        index: Its place in its commit, from 0.
        content: One JSON object, encoded.
        aggregate: The id of the aggregate root that applied it; empty if none did.
        version: How many events the aggregate instance had with this one; 0 if none applied it.
    """

    position: Position
    commit: CommitHeader
    index: int
    type_id: str
    generation: int
    source: str
    aggregate: str
    version: int
    public: bool
    content: bytes

    @property
    def id(self) -> str:
        """The event's own id: its commit's id, a slash, and its place in the commit."""
        return f"{self.commit.id}/{self.index}"


class EncodedEvent(Protocol):
    """What it takes to decode an event: its type, its generation, and its content.

    ``content`` may be a view into what was read (``msgspec.Raw``), to be decoded and let go of.
    """

    @property
    def type_id(self) -> str:
        """The stored id of the event type."""
        ...

    @property
    def generation(self) -> int:
        """The generation that was stored."""
        ...

    @property
    def content(self) -> bytes:
        """One JSON object, encoded."""
        ...


EventClasses = tuple[tuple[str, int, type], ...]
"""Into what contents are decoded: a stored event type id, a generation, and its class."""


class UnbuiltEvents(Sequence[CommittedEvent]):
    """Events of a page or an answer, all of which are built when somebody looks at one."""

    __slots__ = ()

    @property
    @abstractmethod
    def type_ids(self) -> list[str]:
        """The event type id of each of them; for this none is built."""

    def contents(self, classes: EventClasses) -> list[Any] | None:  # noqa: ARG002 - for engines
        """Return the content of each as an instance of its class, or ``None``: decode each.

        An engine can only have them where all of a page are of these types and generations. It
        may take the question as a wish, and have them for pages that are read later.
        """
        return None

    @property
    @abstractmethod
    def encoded(self) -> Sequence[EncodedEvent]:
        """What it takes to decode each of them; for this none is built."""


def encoded(events: Sequence[CommittedEvent]) -> Sequence[EncodedEvent]:
    """Return what it takes to decode some events; for this none is built."""
    return events.encoded if isinstance(events, UnbuiltEvents) else events


def type_ids(events: Sequence[CommittedEvent]) -> list[str]:
    """Return the event type id of each event; for this none is built."""
    if isinstance(events, UnbuiltEvents):
        return events.type_ids
    return [event.type_id for event in events]


class CommittedEvents(msgspec.Struct, frozen=True):
    """The answer to a commit.

    Attributes:
        events: In their order, with positions and versions; may be :class:`UnbuiltEvents`.
        next_position: Where reading goes on behind this commit.
        is_repeat: Whether the commit had been made before and is only answered again.
    """

    events: Sequence[CommittedEvent]
    next_position: Position
    is_repeat: bool = False

    @property
    def id(self) -> str:
        """The commit's id."""
        return self.events[0].commit.id

    @property
    def position(self) -> Position:
        """The position of the last event: what a reader must have seen to have seen all."""
        return self.events[-1].position


class Selection(msgspec.Struct, frozen=True):
    """Which events to read. What is left empty does not restrict.

    Attributes:
        start: From this position on, inclusive.
        stop: Up to this position, exclusive.
        types: Event type ids; any of them.
        since: From this time on, inclusive; aware.
        until: Up to this time, exclusive; aware.
    """

    start: Position = START
    stop: Position = END
    types: frozenset[str] = frozenset()
    source: str = ""
    aggregate: str = ""
    correlation: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, event: CommittedEvent) -> bool:
        """Tell whether an event is selected."""
        return (
            self.start <= event.position < self.stop
            and (not self.types or event.type_id in self.types)
            and (not self.source or event.source == self.source)
            and (not self.aggregate or event.aggregate == self.aggregate)
            and (not self.correlation or event.commit.correlation == self.correlation)
            and (self.since is None or event.commit.time >= self.since)
            and (self.until is None or event.commit.time < self.until)
        )


class Page(NamedTuple):
    """Some selected events in order, and where reading goes on behind them.

    ``next_position`` has also passed events that were looked at and not selected, so that a
    reader of rare events makes progress. ``events`` may be empty, and they may be
    :class:`UnbuiltEvents`.
    """

    events: Sequence[CommittedEvent]
    next_position: Position


class StoreFacts(NamedTuple):
    """What a person wants to know about a store.

    Attributes:
        engine: ``file``, ``memory`` …
        location: Where the data is, in words for people.
        durability: What a commit that was answered survives: ``fsync`` or a weaker word.
        events: How many events there are.
        size_bytes: On disk; 0 where nothing is on disk.
    """

    engine: str
    location: str
    durability: str
    events: int
    size_bytes: int


class EventStore(Protocol):
    """The event log of one tenant: append, read, wait. All methods may be called concurrently.

    After :meth:`close`, commits raise ``StoreClosed``.
    """

    @property
    def id(self) -> str:
        """An id that this log got when it was made; another log has another one."""
        ...

    @property
    def damage(self) -> StoreError | None:
        """What keeps the log from taking commits, as far as it is known; ``None`` if it is sound.

        What lies before the damage can be read all the same.
        """
        ...

    async def commit(self, commit: Commit) -> CommittedEvents:
        """Append a commit, atomically; return when it is durable.

        Raises:
            WrongExpectedVersion: An aggregate instance has another version; nothing is written.
            CommitIdReused: The id names a commit with other events; nothing is written.
            CommitTooLarge: Over ``COMMIT_EVENTS_MAX`` or ``COMMIT_BYTES_MAX``.
            CommitTimeRefused: It brings a time before the log's last event or after now.
            CommitOutcomeUnknown: The disk failed; repeat with the same id after reopening.
            StoreFull: No space; nothing is written.
            StoreReadOnly: The place cannot be written to.
            StoreDamaged: Stored events are damaged; nothing is written.
            StoreClosed: The store was closed.
        """
        ...

    def read(self, selection: Selection) -> AsyncIterator[Page]:
        """Read the selected events in order, up to the end that the log has when it gets there.

        Pages hold at most some thousand events, so memory stays flat. At least one page comes,
        even if nothing is selected: its ``next_position`` tells where the end was.

        Raises:
            StoreDamaged: A stored commit cannot be read.
        """
        ...

    async def read_last(self, selection: Selection, count: int) -> list[CommittedEvent]:
        """Return the last ``count`` selected events, in log order."""
        ...

    async def find_commit(self, commit_id: str) -> CommittedEvents | None:
        """Return a commit by its id, whole, or ``None``."""
        ...

    async def head(self) -> Position:
        """Return where the next event will stand: behind every event there is."""
        ...

    async def version(self, stream: Stream) -> int:
        """Return how many events an aggregate instance has, 0 for none."""
        ...

    async def streams(self, aggregate: str = "") -> list[tuple[Stream, int]]:
        """Return the aggregate instances (of one aggregate root) with their versions, sorted."""
        ...

    async def type_counts(self) -> dict[str, int]:
        """Return how many events there are of each event type id."""
        ...

    async def wait(self, position: Position) -> None:
        """Return once there is an event at or behind ``position``; wait as long as it takes.

        Wakes within milliseconds of a commit of any process, and uses no processor time
        meanwhile. Cancel the task to stop waiting.
        """
        ...

    async def facts(self) -> StoreFacts:
        """Return what a person wants to know."""
        ...

    async def close(self) -> None:
        """Finish the commits under way and let go of everything. A second call does nothing."""
        ...


async def subscribe(store: EventStore, selection: Selection) -> AsyncIterator[Page]:
    """Read the selected events, then wait for more, for ever; end by breaking out of the loop.

    A page comes whenever the log has grown, even if nothing in it is selected.
    """
    position = selection.start
    while position < selection.stop:
        rest = msgspec.structs.replace(selection, start=position)
        async for page in store.read(rest):
            yield page
            position = page.next_position
        await store.wait(position)


def check_size(commit: Commit) -> None:
    """Refuse a commit that is over a limit.

    Raises:
        CommitTooLarge: Over ``COMMIT_EVENTS_MAX`` or ``COMMIT_BYTES_MAX``, or a name is over
            ``NAME_CHARACTERS_MAX``.
        ValueError: The commit has no events or an empty id, type or source.
    """
    if not commit.events or not commit.id:
        raise ValueError("a commit has an id and at least one event")
    if len(commit.events) > COMMIT_EVENTS_MAX:
        raise CommitTooLarge(len(commit.events), COMMIT_EVENTS_MAX, "events")
    context = commit.context
    events = commit.events
    # Of types and aggregate roots a commit has few. Each of these is made by one step of the
    # interpreter, which is felt in every commit.
    types, sources = {event.type_id for event in events}, [event.source for event in events]
    if not (all(types) and all(sources)):
        raise ValueError("an event has a type and a source")
    names = (commit.id, context.correlation, context.causation, context.handler)
    roots = {event.aggregate for event in events}
    longest = max(map(len, (*names, *types, *sources, *roots)))
    total = sum([len(event.content) for event in events])
    if total > COMMIT_BYTES_MAX:
        raise CommitTooLarge(total, COMMIT_BYTES_MAX, "bytes of content")
    if longest > NAME_CHARACTERS_MAX:
        raise CommitTooLarge(longest, NAME_CHARACTERS_MAX, "characters in a name")


def check_expected(expected: Mapping[Stream, int], actual: Mapping[Stream, int]) -> None:
    """Hold expected versions against actual ones; the rule that every engine calls.

    Raises:
        WrongExpectedVersion: For the first stream whose version differs.
    """
    for stream, version in expected.items():
        found = actual[stream]
        if found != version:
            raise WrongExpectedVersion(stream.aggregate, stream.source, version, found)


def commit_time(commit: Commit, now: datetime, earliest: datetime) -> datetime:
    """Return the time that a commit gets; the rule that every engine calls.

    Args:
        commit: May bring a time of its own.
        now: What the engine's clock tells; aware.
        earliest: The time of the last event before it; aware.

    Raises:
        CommitTimeRefused: It brings a time before ``earliest`` or after ``now``.
    """
    if commit.time is None:
        # The clock of a machine may be set back; a log's time never goes back.
        return max(now, earliest)
    latest = max(now, earliest)
    if not earliest <= commit.time <= latest:
        raise CommitTimeRefused(commit.id, commit.time, earliest, latest)
    return commit.time


def is_same_commit(commit: Commit, events: Sequence[CommittedEvent]) -> bool:
    """Tell whether a repeated commit carries the events that were stored under its id."""
    return len(commit.events) == len(events) and all(
        (new.type_id, new.generation, new.source, new.aggregate, new.public, new.content)
        == (old.type_id, old.generation, old.source, old.aggregate, old.public, old.content)
        for new, old in zip(commit.events, events, strict=True)
    )
