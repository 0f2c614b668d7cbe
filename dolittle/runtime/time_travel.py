"""The past, folded in memory from the event log: an aggregate at a version, a read model then.

Nothing here writes, and stored read models are not looked at::

    async with Microservice.open(deliver=False) as kitchen:
        past = await aggregate_at(kitchen, Kitchen, "Dolittle Tacos", 2)
        print(past.instance.ingredients)
        model = await read_model_at(kitchen, DishCounter, "Burrito", an_hour_ago)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from dolittle.aggregates import AggregateRoot, AggregateRootDeclaration, declaration_of
from dolittle.errors import NotYet, ProjectionFailed, Unknown, UnreadableEvent
from dolittle.events import EventContext
from dolittle.execution import Clock, SystemClock
from dolittle.projections import (
    Outcome,
    ProjectionDeclaration,
    fold,
    new_document,
    projection_declaration_of,
    unset_fields,
)
from dolittle.runtime.field_changes import FieldChange, changes, fields_of
from dolittle.serialization import EventTypes, context_of
from dolittle.store import CommittedEvent, EventStore, Position, Selection, Stream

A = TypeVar("A", bound=AggregateRoot)
T = TypeVar("T")

KEYS_KEPT_MAX: Final = 1_000
"""Keys that are remembered, to name them where the one that was asked for does not exist."""

_INSTANT: Final = timedelta(microseconds=1)
"""The steps of commit times; an event at the very time that is asked for is counted."""


class History(Protocol):
    """What the past is folded from; a ``Microservice`` is one."""

    @property
    def name(self) -> str:
        """The microservice's name."""
        ...

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        ...

    @property
    def store(self) -> EventStore:
        """The event log of the tenant."""
        ...

    @property
    def event_types(self) -> EventTypes:
        """The event types of the microservice."""
        ...


@dataclass(frozen=True)
class PastInstance(Generic[A]):
    """An aggregate instance as it was.

    Attributes:
        instance: With its fields and its version then; version 0: it had no events yet.
        event: The last event that it had then; ``None`` at version 0.
    """

    instance: A
    event: CommittedEvent | None


@dataclass(frozen=True)
class EventChange:
    """What one event did to an aggregate instance.

    Attributes:
        event: The event; its ``version`` is the instance's version with it.
        fields: The fields that it changed, in the order of the class; it may have changed none.
    """

    event: CommittedEvent
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class PastReadModel(Generic[T]):
    """A read model as it was.

    Attributes:
        document: ``None`` where there was none under this key.
        event: The last event of that key; ``None`` where there was none.
        until: The last event of the log that was counted; ``None`` where there was none.
        keys: Keys that other events of the projection had until then, at most ``KEYS_KEPT_MAX``.
        unread: The first event whose key cannot be told since it cannot be read, if any.
    """

    document: T | None
    event: CommittedEvent | None
    until: CommittedEvent | None
    keys: tuple[str, ...]
    unread: UnreadableEvent | None


async def aggregate_at(
    microservice: History,
    root: type[A],
    source: str,
    at: int | datetime,
    *,
    clock: Clock | None = None,
) -> PastInstance[A]:
    """Return an aggregate instance as it was at a version or at a time.

    Args:
        microservice: Whose event log.
        root: The aggregate root's class.
        source: The event source.
        at: A version (after so many of its events, from 0), or a time (aware; an event that
            was committed at that very time is counted).
        clock: Tells whether a time has come.

    Raises:
        Unknown: The class is no aggregate root.
        NotYet: The version has not been reached, or the time has not come.
        UnreadableEvent: An event that the instance folds cannot be read.
    """
    declaration = _aggregate(root)
    until = _until(at, clock) if isinstance(at, datetime) else None
    instance = root(source)
    last: CommittedEvent | None = None
    async with aclosing(_events(microservice, declaration, source, until)) as events:
        async for event in events:
            if not isinstance(at, datetime) and instance.version >= at:
                break
            _fold(instance, event, declaration, microservice.event_types)
            last = event
    if not isinstance(at, datetime) and at > instance.version:
        raise _no_version(declaration, source, at, instance.version)
    return PastInstance(instance, last)


async def aggregate_changes(
    microservice: History, root: type[AggregateRoot], source: str, after: int, until: int
) -> AsyncIterator[EventChange]:
    """Yield what each event from one version to another changed.

    Args:
        microservice: Whose event log.
        root: The aggregate root's class.
        source: The event source.
        after: The version to begin at, exclusive: its event is not among them.
        until: The version to end at, inclusive.

    Raises:
        Unknown: The class is no aggregate root.
        NotYet: A version has not been reached.
        UnreadableEvent: An event that the instance folds cannot be read.
        ValueError: ``after`` is above ``until``, or below 0.
    """
    if not 0 <= after <= until:
        raise ValueError(f"from version {after} to {until} is no way forward")
    declaration = _aggregate(root)
    reached = await microservice.store.version(Stream(declaration.id, source))
    if until > reached:
        raise _no_version(declaration, source, until, reached)
    instance = root(source)
    before: dict[str, Any] | None = None
    async with aclosing(_events(microservice, declaration, source, None)) as events:
        async for event in events:
            if instance.version >= until:
                return
            if instance.version >= after and before is None:
                before = fields_of(instance)
            _fold(instance, event, declaration, microservice.event_types)
            if before is not None:
                fields = fields_of(instance)
                yield EventChange(event, tuple(changes(before, fields)))
                before = fields


async def read_model_at(
    microservice: History,
    projection: type[T],
    key: str,
    at: Position | datetime,
    *,
    clock: Clock | None = None,
) -> PastReadModel[T]:
    """Return the document of a key as it was after the event at a position, or at a time.

    It is folded anew from the events, with the projection's code as it is now. An event whose
    key cannot be told, because it cannot be read, is passed over, as delivery does.

    Args:
        microservice: Whose event log.
        projection: The projection's class.
        key: The key's text.
        at: A position, whose event is counted, or a time (aware; events of that very time are
            counted).
        clock: Tells whether a time has come.

    Raises:
        Unknown: The class is no projection.
        NotYet: The position is beyond the last event, or the time has not come.
        ProjectionFailed: An event of that key cannot be folded.
    """
    declaration = projection_declaration_of(projection)
    if declaration is None:
        raise Unknown("projection", projection.__name__, ())
    within = await _within(microservice.store, at, clock)
    selection = msgspec.structs.replace(within, types=frozenset(declaration.methods))
    folding = _Folding(microservice, declaration, key)
    async for page in microservice.store.read(selection):
        for event in page.events:
            folding.take(event)
    until = await microservice.store.read_last(within, 1)
    content = folding.content
    return PastReadModel(
        document=None if content is None else msgspec.json.decode(content, type=projection),
        event=folding.last,
        until=until[0] if until else None,
        keys=tuple(folding.keys),
        unread=folding.unread,
    )


# Aggregates


def _aggregate(root: type[AggregateRoot]) -> AggregateRootDeclaration:
    declaration = declaration_of(root)
    if declaration is None:
        raise Unknown("aggregate root", root.__name__, ())
    return declaration


async def _events(
    microservice: History,
    declaration: AggregateRootDeclaration,
    source: str,
    until: datetime | None,
) -> AsyncGenerator[CommittedEvent, None]:
    selection = Selection(source=source, aggregate=declaration.id, until=until)
    async with aclosing(microservice.store.read(selection)) as pages:  # type: ignore[type-var]
        async for page in pages:
            for event in page.events:
                yield event


def _fold(
    instance: Any,
    event: CommittedEvent,
    declaration: AggregateRootDeclaration,
    event_types: EventTypes,
) -> None:
    """Fold a stored event; one without an ``@on`` method counts and is not decoded."""
    if event_types.class_of(event.type_id) in declaration.folds:
        instance._fold(event_types.decode(event))
    else:
        instance._version += 1


def _no_version(
    declaration: AggregateRootDeclaration, source: str, asked: int, reached: int
) -> NotYet:
    last = f"the last is version {reached}" if reached else "it has no events"
    return NotYet(f"version {asked} of {declaration.name} {source!r}", last)


# Projections


async def _within(store: EventStore, at: Position | datetime, clock: Clock | None) -> Selection:
    if isinstance(at, datetime):
        return Selection(until=_until(at, clock))
    last = await store.read_last(Selection(), 1)
    if not last or at > last[0].position:
        known = f"the last is position {last[0].position}" if last else "it has no events"
        raise NotYet(f"position {at} of the event log", known)
    # Positions are not computed with: the stop is where reading goes on behind the event.
    async with aclosing(store.read(Selection(start=at))) as pages:  # type: ignore[type-var]
        async for page in pages:
            for event in page.events:
                if event.position > at:
                    return Selection(stop=event.position)
    return Selection()


class _Folding:
    """One read model while its events are folded."""

    def __init__(self, microservice: History, declaration: ProjectionDeclaration, key: str) -> None:
        self._microservice, self._declaration, self._key = microservice, declaration, key
        self.content: bytes | None = None
        self.last: CommittedEvent | None = None
        self.unread: UnreadableEvent | None = None
        self.keys: dict[str, None] = {}

    def take(self, event: CommittedEvent) -> None:
        """Fold an event if it is of the key.

        Raises:
            ProjectionFailed: It is, and cannot be folded.
        """
        try:
            value = self._microservice.event_types.decode(event)
            context = self._context(event)
            found = self._select(event, value, context)
        except UnreadableEvent as error:
            self.unread = self.unread or error
            return
        if found != self._key:
            if len(self.keys) < KEYS_KEPT_MAX:
                self.keys[found] = None
            return
        try:
            self.content = self._folded(value, context)
        except Exception as error:
            raise ProjectionFailed(
                self._declaration.name,
                self._key,
                event.position,
                f"{type(error).__name__}: {error}",
            ) from error
        self.last = event

    def _context(self, event: CommittedEvent) -> EventContext:
        event_type = self._microservice.event_types.event_type(event.type_id)
        assert event_type is not None  # it was decoded
        return context_of(
            event,
            event_type,
            tenant=self._microservice.tenant,
            microservice=self._microservice.name,
        )

    def _select(self, event: CommittedEvent, value: Any, context: EventContext) -> str:
        try:
            return self._declaration.methods[event.type_id].key.select(value, context)
        except Exception as error:  # a key's function is the user's code: it may raise anything
            raise UnreadableEvent(
                event.position,
                event.type_id,
                event.generation,
                f"its key cannot be told: {type(error).__name__}: {error}",
            ) from error

    def _folded(self, value: Any, context: EventContext) -> bytes | None:
        """Return the document with one more event, as its JSON, checked against its class."""
        cls: Any = self._declaration.cls
        before = self.content
        document = new_document(cls) if before is None else msgspec.json.decode(before, type=cls)
        outcome = fold(self._declaration, document, value, context)
        if outcome is Outcome.KEEP:
            return before
        if outcome is Outcome.DELETE:
            return None
        missing = unset_fields(document)
        if missing:
            raise ValueError(f"the new document has no value for {', '.join(missing)}")
        content = msgspec.json.encode(document)
        msgspec.json.decode(content, type=cls)
        return content


# Times


def _until(time: datetime, clock: Clock | None) -> datetime:
    """Return the exclusive bound that counts the events of a time.

    Raises:
        NotYet: The time has not come.
    """
    now = (clock or SystemClock()).now()
    if time > now:
        shown = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
        current = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise NotYet(f"the time {shown}", f"it is {current} now")
    return time + _INSTANT
