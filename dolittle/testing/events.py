"""Given events, then read models or handled events: tests of projections and event handlers."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any, Self, TypedDict, TypeVar, Unpack

import msgspec

from dolittle.errors import PayloadDoesNotFit
from dolittle.events import EventContext, EventType, event_type_of
from dolittle.handlers import check_event_handler, handler_declaration_of
from dolittle.projections import (
    Outcome,
    ProjectionDeclaration,
    check_projection,
    fold,
    key_text,
    new_document,
    projection_declaration_of,
    unset_fields,
)
from dolittle.testing.clock import NOON
from dolittle.testing.comparing import documents_differ
from dolittle.testing.declared import checked, stored_and_read
from dolittle.testing.running import run_to_end

R = TypeVar("R")

SOURCE = "an event source"
"""What events in a test are about, unless it says otherwise."""


class ContextValues(TypedDict, total=False):
    """The fields of an ``EventContext``, each of which may be given."""

    position: int
    time: datetime
    event_type: EventType
    source: str
    aggregate: str
    version: int
    commit: str
    event_id: str
    correlation: str
    causation: str
    public: bool
    tenant: str
    microservice: str
    is_replay: bool


def event_context(**overrides: Unpack[ContextValues]) -> EventContext:
    """Return an event context for calling a handler's method by hand.

    Without overrides: position 0, noon of 1 January 2026 UTC, tenant ``development``, and ids
    that belong together. Commit, event and correlation ids follow the position.
    """
    position = overrides.get("position", 0)
    commit = overrides.get("commit", f"commit-{position}")
    plain = EventContext(
        position=position,
        time=NOON,
        event_type=EventType("AnEvent", alias="AnEvent"),
        source=SOURCE,
        commit=commit,
        event_id=f"{commit}/0",
        correlation=commit,
        microservice="a_microservice",
    )
    return msgspec.structs.replace(plain, **overrides)


def given_events(*events: object, source: str = SOURCE, at: datetime = NOON) -> GivenEvents:
    """Begin a test of a projection or an event handler with committed events.

    ::

        given_events(
            DishPrepared(dish="Bean Blaster Taco", chef="Mr. Taco"), source="Dolittle Tacos"
        ).then_read_model(
            DishCounter, "Bean Blaster Taco", DishCounter(dish="Bean Blaster Taco", count=1)
        )

    Args:
        events: In the order of the event log.
        source: What all of them are about.
        at: When all of them were committed; aware.

    Raises:
        TypeError: Something is no event.
        DeclarationErrors: An event type cannot be stored.
        PayloadDoesNotFit: A value does not fit its field.
    """
    return GivenEvents(()).and_events(*events, source=source, at=at)


class GivenEvents:
    """Committed events; made by :func:`given_events`."""

    def __init__(self, committed: tuple[tuple[object, EventContext], ...]) -> None:
        self._committed = committed

    def and_events(self, *events: object, source: str = SOURCE, at: datetime = NOON) -> GivenEvents:
        """Return these events with some more behind them, of another source or time.

        Raises:
            TypeError: Something is no event.
            DeclarationErrors: An event type cannot be stored.
            PayloadDoesNotFit: A value does not fit its field.
        """
        more = tuple(
            (event, _context(event, position, source, at))
            for position, event in enumerate(stored_and_read(events), start=len(self._committed))
        )
        return GivenEvents(self._committed + more)

    def then_read_model(self, projection: type[R], key: object, expected: R) -> Self:
        """Assert the read model that a projection makes of the events for one key.

        Raises:
            AssertionError: There is none, or another one.
            TypeError: The class is no projection.
            DeclarationErrors: The projection cannot work.
            PayloadDoesNotFit: A read model cannot be stored.
        """
        __tracebackhide__ = True
        text, name = key_text(key), projection.__name__
        documents = self.read_models(projection)
        if text not in documents:
            raise AssertionError(
                f"expected read model {name} {text!r}:\n  {expected!r}\n"
                f"actual read model: none; {_keys(name, documents)}"
            )
        if documents[text] != expected:
            raise AssertionError(documents_differ(name, text, expected, documents[text]))
        return self

    def then_no_read_model(self, projection: type[object], key: object) -> Self:
        """Assert that a projection keeps no read model for a key: never made, or deleted.

        Raises:
            AssertionError: There is one.
            TypeError: The class is no projection.
            DeclarationErrors: The projection cannot work.
        """
        __tracebackhide__ = True
        found = self.read_models(projection).get(key_text(key))
        if found is not None:
            raise AssertionError(
                f"expected read model {projection.__name__} {key_text(key)!r}: none\n"
                f"actual read model:\n  {found!r}"
            )
        return self

    def handled_by(self, handler: object) -> list[str]:
        """Handle the events in order and return the names of the methods that were called.

        Async methods are run to their end. What a method raises passes through. Side effects
        are called too: nothing is replayed here.

        Args:
            handler: An instance of an event handler's class.

        Raises:
            TypeError: It is no instance of an event handler.
            DeclarationErrors: The handler cannot work.
        """
        declared = handler_declaration_of(type(handler))
        if isinstance(handler, type) or declared is None:
            name = getattr(handler, "__name__", repr(handler))
            raise TypeError(
                f"{name} is no event handler: give an instance of a class with @event_handler"
            )
        methods = checked(declared, check_event_handler).methods
        called = []
        for event, context in self._committed:
            method = methods.get(context.event_type.id)
            if method is None:
                continue
            arguments = (event, context) if method.takes_context else (event,)
            run_to_end(method.function(handler, *arguments))
            called.append(method.name)
        return called

    def read_models(self, projection: type[R]) -> dict[str, R]:
        """Return the read models that a projection makes of the events, by key.

        Raises:
            TypeError: The class is no projection.
            DeclarationErrors: The projection cannot work.
            PayloadDoesNotFit: A read model cannot be stored.
        """
        declared = projection_declaration_of(projection) if isinstance(projection, type) else None
        if declared is None:
            name = getattr(projection, "__name__", repr(projection))
            raise TypeError(f"{name} is no projection: decorate the class with @projection")
        declaration = checked(declared, check_projection)
        documents: dict[str, Any] = {}
        for event, context in self._committed:
            _project(declaration, documents, event, context)
        return documents


def _context(event: object, position: int, source: str, at: datetime) -> EventContext:
    event_type = event_type_of(event)
    if event_type is None:
        raise TypeError(f"{event!r} is no event")
    return event_context(
        position=position, time=at, event_type=event_type, source=source, public=event_type.public
    )


def _project(
    declaration: ProjectionDeclaration,
    documents: dict[str, Any],
    event: object,
    context: EventContext,
) -> None:
    method = declaration.methods.get(context.event_type.id)
    if method is None:
        return
    key = method.key.select(event, context)
    stored = documents.get(key)
    document = new_document(declaration.cls) if stored is None else copy.deepcopy(stored)
    outcome = fold(declaration, document, event, context)
    if outcome is Outcome.DELETE:
        documents.pop(key, None)
    elif outcome is None:
        unset = unset_fields(document)
        if unset:
            raise AssertionError(
                f"{declaration.name}.{method.name} made a read model {key!r} without "
                f"{', '.join(unset)}: set it there, or give the field a default"
            )
        documents[key] = _stored_and_read(declaration, document)


def _stored_and_read(declaration: ProjectionDeclaration, document: Any) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(document), type=declaration.cls)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise PayloadDoesNotFit(f"projection {declaration.name}", str(error)) from error


def _keys(name: str, documents: dict[str, Any]) -> str:
    if not documents:
        return f"{name} made nothing of these events"
    return f"{name} has the keys: {', '.join(repr(key) for key in documents)}"
