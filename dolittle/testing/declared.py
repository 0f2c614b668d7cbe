"""Holds declarations and events against the rules that apply when a microservice is loaded."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from dolittle.declarations import MARK, Declaration, Problem
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.events import EventTypeDeclaration, check_event_type, event_type_of
from dolittle.serialization import EventTypes, encode
from dolittle.store import CommitHeader, CommittedEvent
from dolittle.upcasters import chains, check_upcasters, upcaster_declaration_of
from dolittle.values import ValueDeclaration, check_value

D = TypeVar("D", bound=Declaration)
T = TypeVar("T")


def checked(declaration: D, check: Callable[[D], None]) -> D:
    """Check a copy of a declaration, so that a test changes nothing that other tests see.

    Raises:
        DeclarationErrors: The declaration cannot work.
    """
    copy = dataclasses.replace(declaration, problems=list(declaration.problems))
    check(copy)
    _refuse(copy.cls, copy.problems)
    return copy


def stored_and_read(events: Iterable[object]) -> list[object]:
    """Return events as they come back from a store: encoded, then decoded.

    Raises:
        TypeError: Something is no event.
        DeclarationErrors: An event type cannot be stored.
        PayloadDoesNotFit: A value does not fit its field, or would be read back as another one.
    """
    return [_stored_and_read(event) for event in events]


def stored_content(event: object) -> dict[str, Any]:
    """Return what a store keeps of an event, or of a value object: JSON values, by field.

    A test that holds it fixed notices a change that would make stored events unreadable.

    Raises:
        TypeError: It is neither.
        DeclarationErrors: The event type or the value object cannot be stored.
        PayloadDoesNotFit: A value does not fit its field.
    """
    declaration = vars(type(event)).get(MARK)
    if isinstance(declaration, ValueDeclaration):
        checked(declaration, check_value)
    else:
        stored_and_read([event])
    content: dict[str, Any] = msgspec.json.decode(encode(event))
    return content


def read_content(
    event_class: type[T], content: Mapping[str, Any], *, generation: int, upcasters: Any = ()
) -> T:
    """Return a stored event's content as it is read now, through the upcasters of its class.

    Args:
        event_class: The event type, in its newest generation.
        content: JSON values by field, as that generation was stored.
        generation: The generation that the content is of, from 1.
        upcasters: The functions; default: those of the module of the class.

    Raises:
        DeclarationErrors: The event type cannot be stored, or an upcaster is missing.
        UnreadableEvent: An upcaster failed, or what it made does not fit the class.
    """
    module = sys.modules[event_class.__module__]
    found = [
        item
        for item in map(upcaster_declaration_of, upcasters or vars(module).values())
        if item is not None and item.event_class is event_class
    ]
    event_type = event_type_of(event_class)
    declaration = vars(event_class).get(MARK)
    if event_type is None or not isinstance(declaration, EventTypeDeclaration):
        raise TypeError(f"{event_class.__name__} is no event type")
    checked(declaration, check_event_type)
    _refuse(event_class, check_upcasters([declaration], found))
    header = CommitHeader("test", datetime(2026, 1, 1, tzinfo=UTC), "test")
    stored = CommittedEvent(
        0, header, 0, event_type.id, generation, "a source", "", 0, False,
        msgspec.json.encode(content),
    )  # fmt: skip
    read: T = EventTypes([event_class], chains(found)).decode(stored)
    return read


def _stored_and_read(event: object) -> object:
    if isinstance(event, type):
        raise TypeError(f"{event.__name__} is a class: give an event, {event.__name__}(…)")
    if event_type_of(event) is None:
        raise TypeError(
            f"{event!r} is no event: decorate the class {type(event).__name__} with @event_type"
        )
    declaration = vars(type(event))[MARK]
    if isinstance(declaration, EventTypeDeclaration):
        checked(declaration, check_event_type)
    read: object = msgspec.json.decode(encode(event), type=type(event))
    if read != event:
        raise PayloadDoesNotFit(
            f"event type {type(event).__name__}",
            f"{event!r} would be read back as {read!r}",
            hint="give each field a value of its own type",
        )
    return read


def _refuse(cls: type, problems: Iterable[Problem]) -> None:
    found = [(item.path, item.line, item.message, item.hint) for item in problems]
    if found:
        raise DeclarationErrors(cls.__module__.partition(".")[0], found)
