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
from dolittle.execution import Clock, SystemClock
from dolittle.projections import (
    Outcome,
    ProjectionDeclaration,
    fold,
    new_document,
    projection_declaration_of,
    unset_fields,
)
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
class FieldChange:
    """A field that an event changed.

    Attributes:
        path: Of the field: ``ingredients``, ``address.city``, ``lines[2].count``.
        before: As JSON-like value; ``msgspec.UNSET`` where there was none.
        after: As JSON-like value; ``msgspec.UNSET`` where there is none any more.
    """

    path: str
    before: Any
    after: Any


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
                yield EventChange(event, tuple(_differences("", before, fields)))
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
    content: bytes | None = None
    last: CommittedEvent | None = None
    unread: UnreadableEvent | None = None
    keys: dict[str, None] = {}
    async for page in microservice.store.read(selection):
        for event in page.events:
            try:
                found, value = _key(microservice, declaration, event)
            except UnreadableEvent as error:
                unread = unread or error
                continue
            if found == key:
                content = _projected(microservice, declaration, key, content, event, value)
                last = event
            elif len(keys) < KEYS_KEPT_MAX:
                keys[found] = None
    until = await microservice.store.read_last(within, 1)
    return PastReadModel(
        document=None if content is None else msgspec.json.decode(content, type=projection),
        event=last,
        until=until[0] if until else None,
        keys=tuple(keys),
        unread=unread,
    )


def fields_of(instance: AggregateRoot) -> dict[str, Any]:
    """Return the fields of an aggregate instance as JSON-like values, a copy.

    What JSON has no form for is shown as Python writes it.
    """
    fields = {name: value for name, value in vars(instance).items() if not name.startswith("_")}
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields, enc_hook=repr))
    return decoded


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


def _key(
    microservice: History, declaration: ProjectionDeclaration, event: CommittedEvent
) -> tuple[str, Any]:
    value = microservice.event_types.decode(event)
    try:
        key = declaration.methods[event.type_id].key.select(value, _context(microservice, event))
    except Exception as error:  # a key's function is the user's code: it may raise anything
        raise UnreadableEvent(
            event.position,
            event.type_id,
            event.generation,
            f"its key cannot be told: {type(error).__name__}: {error}",
        ) from error
    return key, value


def _context(microservice: History, event: CommittedEvent) -> Any:
    event_type = microservice.event_types.event_type(event.type_id)
    assert event_type is not None  # it was decoded
    return context_of(event, event_type, tenant=microservice.tenant, microservice=microservice.name)


def _projected(
    microservice: History,
    declaration: ProjectionDeclaration,
    key: str,
    content: bytes | None,
    event: CommittedEvent,
    value: Any,
) -> bytes | None:
    """Return a document with one more event, as its JSON."""
    cls: Any = declaration.cls
    try:
        document = new_document(cls) if content is None else msgspec.json.decode(content, type=cls)
        outcome = fold(declaration, document, value, _context(microservice, event))
        if outcome is Outcome.KEEP:
            return content
        if outcome is Outcome.DELETE:
            return None
        missing = unset_fields(document)
        if missing:
            raise ValueError(f"the new document has no value for {', '.join(missing)}")
        encoded = msgspec.json.encode(document)
        msgspec.json.decode(encoded, type=cls)
    except Exception as error:
        raise ProjectionFailed(
            declaration.name, key, event.position, f"{type(error).__name__}: {error}"
        ) from error
    return encoded


# Times and differences


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


def _differences(path: str, before: Any, after: Any) -> list[FieldChange]:
    """Return what differs between two JSON-like values, each by the path to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        pairs = [
            (f"{path}.{name}" if path else name, before.get(name, _NO), after.get(name, _NO))
            for name in names
        ]
    elif isinstance(before, list) and isinstance(after, list):
        longest = max(len(before), len(after))
        pairs = [
            (
                f"{path}[{i}]",
                before[i] if i < len(before) else _NO,
                after[i] if i < len(after) else _NO,
            )
            for i in range(longest)
        ]
    else:
        # True == 1 in Python, and not in JSON.
        same = before == after and isinstance(before, bool) == isinstance(after, bool)
        return [] if same else [FieldChange(path, before, after)]
    return [change for where, old, new in pairs for change in _differences(where, old, new)]


_NO: Final = msgspec.UNSET
"""Stands where a value has no counterpart; ``None`` is a value."""
