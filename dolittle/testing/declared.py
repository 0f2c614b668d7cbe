"""Holds declarations and events against the rules that apply when a microservice is loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from dolittle.declarations import MARK, Declaration, Problem
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.events import EventTypeDeclaration, check_event_type, event_type_of
from dolittle.serialization import encode
from dolittle.values import ValueDeclaration, check_value

D = TypeVar("D", bound=Declaration)


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
