"""Event handlers: classes that react to event types with side effects. Declarations only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar, overload

from dolittle.declarations import (
    MARK,
    Declaration,
    Reaction,
    calling_place,
    method_place,
    reactions_of,
    takes_context,
)
from dolittle.events import event_type_reacted_to

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

HANDLES_MARK: Final = "__dolittle_handles__"
SIDE_EFFECT_MARK: Final = "__dolittle_side_effect__"
CONCURRENCY_MAX: Final = 1_000
"""Partitions of one handler in work at a time."""

StartFrom = Literal["beginning", "now"]


@dataclass(frozen=True)
class HandlerMethod:
    """One method of an event handler.

    Attributes:
        takes_context: Whether it has a second parameter, for the ``EventContext``.
        is_side_effect: Whether a replay leaves it out unless it is named.
    """

    name: str
    event_class: type
    function: Callable[..., Any]
    takes_context: bool
    is_async: bool
    is_side_effect: bool


@dataclass
class EventHandlerDeclaration(Declaration):
    """What ``@event_handler`` attaches to a class.

    Attributes:
        id: Names its position in the state; the class name unless given.
        partitioned: Whether order is kept per event source (else over everything).
        concurrency: How many partitions may be in work at a time.
        start_from: Where a handler begins that has no position yet.
        methods: By event type id.
    """

    id: str = ""
    partitioned: bool = True
    concurrency: int = 1
    start_from: StartFrom = "beginning"
    methods: Mapping[str, HandlerMethod] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it: the class name."""
        return self.cls.__name__


def handles(event_class: type, /) -> Callable[[F], F]:
    """Mark a method of an event handler: ``(self, event)`` or ``(self, event, context)``.

    It may be ``def`` (run in a thread, so that blocking never stalls the host) or ``async def``.
    """

    def mark(function: F) -> F:
        reactions = [*getattr(function, HANDLES_MARK, ()), Reaction(event_class, {})]
        setattr(function, HANDLES_MARK, reactions)
        return function

    return mark


def side_effect(function: F) -> F:
    """Mark a handler's method as one with effects outside: a replay leaves it out unless named."""
    setattr(function, SIDE_EFFECT_MARK, True)
    return function


@overload
def event_handler(cls: type[T], /) -> type[T]: ...


@overload
def event_handler(
    id: str = ...,
    /,
    *,
    partitioned: bool = ...,
    concurrency: int = ...,
    start_from: StartFrom = ...,
) -> Callable[[type[T]], type[T]]: ...


def event_handler(
    cls_or_id: Any = "",
    /,
    *,
    partitioned: bool = True,
    concurrency: int = 1,
    start_from: StartFrom = "beginning",
) -> Any:
    """Declare a class to be an event handler.

    Args:
        cls_or_id: The class, or the id under which its position is kept (default: its name).
        partitioned: Keep order per event source, and let a failing event hold up its event
            source only. ``False``: keep order over everything, and wait at a failing event.
        concurrency: How many event sources may be in work at a time, 1 to ``CONCURRENCY_MAX``.
        start_from: Where it begins when it is new: at the ``"beginning"`` of the log, or
            ``"now"``, with the first event after it was first started.
    """
    place = calling_place()

    def declare(cls: type, id: str) -> type:
        return _declare(
            cls,
            EventHandlerDeclaration(
                cls,
                place,
                id=id,
                partitioned=partitioned,
                concurrency=concurrency,
                start_from=start_from,
            ),
        )

    if isinstance(cls_or_id, type):
        return declare(cls_or_id, cls_or_id.__name__)
    return lambda cls: declare(cls, cls_or_id or cls.__name__)


def handler_declaration_of(cls: type) -> EventHandlerDeclaration | None:
    """Return the declaration of an event handler, or ``None`` if the class is none."""
    found = cls.__dict__.get(MARK)
    return found if isinstance(found, EventHandlerDeclaration) else None


def check_event_handler(declaration: EventHandlerDeclaration) -> None:
    """Add to a declaration what can only be known once every module is imported."""
    place, name = declaration.place, declaration.name
    if not 1 <= declaration.concurrency <= CONCURRENCY_MAX:
        declaration.problems.append(
            place.problem(
                f"event handler {name}: concurrency {declaration.concurrency} "
                f"is not between 1 and {CONCURRENCY_MAX}"
            )
        )
    if declaration.concurrency > 1 and not declaration.partitioned:
        declaration.problems.append(
            place.problem(f"event handler {name}: concurrency needs partitions")
        )
    if declaration.start_from not in ("beginning", "now"):
        declaration.problems.append(
            place.problem(
                f"event handler {name}: start_from is {declaration.start_from!r}",
                'it is "beginning" or "now"',
            )
        )
    methods: dict[str, HandlerMethod] = {}
    for function, reaction in reactions_of(declaration.cls, HANDLES_MARK):
        where = method_place(function)
        method = f"{name}.{function.__name__}"
        event_type = event_type_reacted_to(reaction, function, declaration, "handles")
        if event_type is None:
            continue
        if event_type.id in methods:
            declaration.problems.append(
                where.problem(f"{name}: two methods handle {event_type.alias}", "keep one of them")
            )
        methods[event_type.id] = HandlerMethod(
            function.__name__,
            reaction.event_class,
            function,
            takes_context(function, declaration, method),
            inspect.iscoroutinefunction(function),
            hasattr(function, SIDE_EFFECT_MARK),
        )
    if not methods and not declaration.problems:
        declaration.problems.append(
            place.problem(
                f"event handler {name} handles nothing",
                "mark a method with @handles(EventType)",
            )
        )
    declaration.methods = methods


def _declare(cls: type, declaration: EventHandlerDeclaration) -> type:
    setattr(cls, MARK, declaration)
    return cls
