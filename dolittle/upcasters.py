"""Upcasters: plain functions that turn a stored generation of an event type into the next one."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dolittle.declarations import MARK, Place, Problem, method_place
from dolittle.events import EventType, EventTypeDeclaration, event_type_of

Content = dict[str, Any]
F = TypeVar("F", bound=Callable[[Content], Content])


@dataclass
class UpcasterDeclaration:
    """What ``@upcaster`` attaches to a function.

    Attributes:
        event_class: The event type's class as it is now.
        from_generation: What the function takes; it returns the content of the next one.
    """

    event_class: Any
    from_generation: int
    function: Callable[[Content], Content]

    @property
    def place(self) -> Place:
        """Where the function is defined."""
        return method_place(self.function)


def upcaster(event_class: type, /, *, from_generation: int) -> Callable[[F], F]:
    """Declare a function to turn the content of one generation into that of the next.

    A stored event of an older generation goes through the chain of its upcasters when it is
    read; what is stored stays as it is. The function takes the content as a dictionary of JSON
    values, may change it, and returns it. It reads no clock and nothing outside.

    Args:
        event_class: The event type, in its newest generation.
        from_generation: The generation that the function takes, from 1.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, UpcasterDeclaration(event_class, from_generation, function))
        return function

    return mark


def upcaster_declaration_of(value: object) -> UpcasterDeclaration | None:
    """Return the declaration of an upcaster, or ``None`` if the value is none."""
    found = getattr(value, MARK, None) if inspect.isfunction(value) else None
    return found if isinstance(found, UpcasterDeclaration) else None


def chains(
    declarations: Iterable[UpcasterDeclaration],
) -> Mapping[str, tuple[Callable[[Content], Content], ...]]:
    """Return for each event type id its upcasters, from generation 1 on, checked before."""
    found: dict[str, dict[int, Callable[[Content], Content]]] = {}
    for declaration in declarations:
        event_type = event_type_of(declaration.event_class)
        if event_type is not None:
            steps = found.setdefault(event_type.id, {})
            steps[declaration.from_generation] = declaration.function
    return {
        type_id: tuple(steps[generation] for generation in sorted(steps))
        for type_id, steps in found.items()
    }


def check_upcasters(
    events: Iterable[EventTypeDeclaration], upcasters: Iterable[UpcasterDeclaration]
) -> list[Problem]:
    """Return what is wrong with upcasters: a hole in a chain, one too many, no event type."""
    problems: list[Problem] = []
    declared: Counter[tuple[str, int]] = Counter()
    for declaration in upcasters:
        event_type = event_type_of(declaration.event_class)
        name = declaration.function.__name__
        if not isinstance(declaration.event_class, type) or event_type is None:
            problems.append(declaration.place.problem(f"upcaster {name} is for no event type"))
            continue
        problems += _problems_of(declaration, event_type)
        declared[event_type.id, declaration.from_generation] += 1
        if declared[event_type.id, declaration.from_generation] > 1:
            problems.append(
                declaration.place.problem(
                    f"upcaster {name}: another one takes generation "
                    f"{declaration.from_generation} of {event_type.alias}",
                    "keep one of them",
                )
            )
    for event in _newest(events):
        for generation in range(1, event.event_type.generation):
            if not declared[event.event_type.id, generation]:
                problems.append(_hole(event, generation))
    return problems


def _problems_of(declaration: UpcasterDeclaration, event_type: EventType) -> list[Problem]:
    name, place = declaration.function.__name__, declaration.place
    problems = []
    if not 1 <= declaration.from_generation < event_type.generation:
        problems.append(
            place.problem(
                f"upcaster {name} takes generation {declaration.from_generation}, "
                f"but {event_type.alias} is generation {event_type.generation}",
                "an upcaster leads from a generation to the next, up to the class's own",
            )
        )
    if inspect.iscoroutinefunction(declaration.function):
        problems.append(place.problem(f"upcaster {name} cannot be async: it only changes values"))
    return problems


def _newest(events: Iterable[EventTypeDeclaration]) -> list[EventTypeDeclaration]:
    newest: dict[str, EventTypeDeclaration] = {}
    for event in events:
        known = newest.setdefault(event.event_type.id, event)
        if known.event_type.generation < event.event_type.generation:
            newest[event.event_type.id] = event
    return list(newest.values())


def _hole(event: EventTypeDeclaration, generation: int) -> Problem:
    alias, newest = event.event_type.alias, event.event_type.generation
    return event.place.problem(
        f"event type {alias} is generation {newest}, and nothing turns generation {generation} "
        f"into {generation + 1}",
        f"write a function and mark it @upcaster({alias}, from_generation={generation})",
    )
