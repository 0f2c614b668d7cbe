"""Event types, and what a handler is told about an event beside its content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, dataclass_transform, overload

import msgspec

from dolittle.constraints import constraint_problems
from dolittle.declarations import (
    MARK,
    Declaration,
    Place,
    Reaction,
    calling_place,
    json_problems,
    make_struct,
    method_place,
)

T = TypeVar("T")


@dataclass(frozen=True)
class EventType:
    """An event type's stored identity.

    Attributes:
        id: Any string, unique within a microservice. Default: the class name.
        generation: 1 for the first shape, then 2, 3, …
        alias: What people read; always the class name.
        public: Whether its events may be read by other microservices.
    """

    id: str
    generation: int = 1
    alias: str = ""
    public: bool = False


@dataclass
class EventTypeDeclaration(Declaration):
    """What ``@event_type`` attaches to a class."""

    event_type: EventType = EventType("")


class EventContext(msgspec.Struct, frozen=True):
    """What is known about an event beside its content.

    Attributes:
        position: Its place in the event log of its tenant.
        time: When it was committed, UTC. Never earlier than that of the event before it.
        event_type: Its stored identity.
        source: What it is about.
        aggregate: The id of the aggregate root that applied it; empty if none did.
        version: How many events that aggregate instance had with this one; 0 if none applied it.
        commit: The id of its commit.
        event_id: Its own id: the commit's id, a slash, and its place in the commit from 0.
        correlation: What belongs together.
        causation: The ``event_id`` or request that caused it; empty if nothing did.
        public: Whether other microservices may read it.
        tenant: The tenant's name.
        microservice: The microservice's name.
        is_replay: Whether it had been handled before and is now handled again on request.
    """

    position: int
    time: datetime
    event_type: EventType
    source: str
    aggregate: str = ""
    version: int = 0
    commit: str = ""
    event_id: str = ""
    correlation: str = ""
    causation: str = ""
    public: bool = False
    tenant: str = "development"
    microservice: str = ""
    is_replay: bool = False


@overload
def event_type(cls: type[T], /) -> type[T]: ...


@overload
def event_type(
    id: str = ..., /, *, generation: int = ..., public: bool = ...
) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True)
def event_type(cls_or_id: Any = "", /, *, generation: int = 1, public: bool = False) -> Any:
    """Declare a class to be an event type: a fact, named in the past tense.

    The annotated fields become the event's content. The class is rebuilt as an immutable
    ``msgspec.Struct``: it is created with its fields as arguments, compares by value, and is
    checked by type checkers like a frozen dataclass.

    Args:
        cls_or_id: The class (``@event_type``) or its stored id (``@event_type("…")``). The id
            is what the store remembers: it may stay when the class is renamed. Default: the
            class name.
        generation: The shape's number, from 1.
        public: Whether its events may be read by other microservices.
    """
    place = calling_place()
    if isinstance(cls_or_id, type):
        return _declare(cls_or_id, place, "", generation, public)
    return lambda cls: _declare(cls, place, cls_or_id, generation, public)


def _declare(cls: type, place: Place, id: str, generation: int, public: bool) -> type:
    declaration = EventTypeDeclaration(
        cls, place, event_type=EventType(id or cls.__name__, generation, cls.__name__, public)
    )
    name = cls.__name__
    if not isinstance(generation, int) or generation < 1:
        declaration.problems.append(
            place.problem(f"event type {name}: generation {generation!r} is not 1 or more")
        )
    try:
        made = make_struct(cls, frozen=True, namespace={MARK: declaration})
    except TypeError as error:
        declaration.problems.append(place.problem(f"event type {name}: {error}"))
        setattr(cls, MARK, declaration)
        return cls
    declaration.cls = made
    return made


def check_event_type(declaration: EventTypeDeclaration) -> None:
    """Add to a declaration what can only be known once every module is imported."""
    if declaration.problems:
        return
    for reason in json_problems(declaration.cls):
        declaration.problems.append(
            declaration.place.problem(
                f"event type {declaration.cls.__name__}: {reason}",
                "use str, int, float, bool, Decimal, date, datetime, UUID, an enum, "
                "a list or dict of these, or a value object",
            )
        )
    for reason in constraint_problems(declaration.cls):
        declaration.problems.append(
            declaration.place.problem(f"event type {declaration.cls.__name__}: {reason}")
        )


def event_type_of(cls: object) -> EventType | None:
    """Return the event type of a class (or of an event), or ``None`` if it is no event type."""
    owner = cls if isinstance(cls, type) else type(cls)
    declaration = owner.__dict__.get(MARK)
    return declaration.event_type if isinstance(declaration, EventTypeDeclaration) else None


def event_type_reacted_to(
    reaction: Reaction, method: Callable[..., Any], declaration: Declaration, mark: str
) -> EventType | None:
    """Return the event type that ``on`` or ``handles`` is given; note it down if it is none.

    Args:
        reaction: What the decorator says.
        method: The method that it marks.
        declaration: Of the method's class; gets the problem.
        mark: ``on`` or ``handles``.
    """
    given = reaction.event_class
    event_type = event_type_of(given) if isinstance(given, type) else None
    if event_type is None:
        name = getattr(given, "__name__", repr(given))
        where = f"{declaration.cls.__name__}.{method.__name__}"
        declaration.problems.append(
            method_place(method).problem(
                f"{where}: @{mark}({name}) is for no event type",
                f"decorate {name} with @event_type",
            )
        )
    return event_type
