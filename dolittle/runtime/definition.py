"""Loads a microservice's package and finds its declarations; reports all problems together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from dolittle.aggregates import AggregateRootDeclaration, check_aggregate_root
from dolittle.declarations import MARK, Declaration, Problem
from dolittle.errors import DeclarationErrors, Unknown
from dolittle.events import EventTypeDeclaration, check_event_type
from dolittle.handlers import EventHandlerDeclaration, check_event_handler
from dolittle.projections import ProjectionDeclaration, check_projection
from dolittle.runtime.importing import import_package
from dolittle.runtime.making import unfilled_arguments
from dolittle.serialization import EventTypes
from dolittle.upcasters import (
    UpcasterDeclaration,
    chains,
    check_upcasters,
    upcaster_declaration_of,
)
from dolittle.values import ValueDeclaration, check_value

D = TypeVar("D", bound=Declaration)


@dataclass(frozen=True)
class Definition:
    """What a microservice declares, checked. The dictionaries go by class name."""

    package: str
    event_types: EventTypes
    aggregates: dict[str, AggregateRootDeclaration] = field(default_factory=dict)
    handlers: dict[str, EventHandlerDeclaration] = field(default_factory=dict)
    projections: dict[str, ProjectionDeclaration] = field(default_factory=dict)

    def aggregate(self, name: str) -> AggregateRootDeclaration:
        """Return an aggregate root by its class name or id.

        Raises:
            Unknown: There is none.
        """
        return _find("aggregate", name, self.aggregates)

    def handler(self, name: str) -> EventHandlerDeclaration:
        """Return an event handler by its class name or id.

        Raises:
            Unknown: There is none.
        """
        return _find("event handler", name, self.handlers)

    def projection(self, name: str) -> ProjectionDeclaration:
        """Return a projection by its class name or id.

        Raises:
            Unknown: There is none.
        """
        return _find("projection", name, self.projections)


def load_definition(package: str, root: Path) -> Definition:
    """Import every module of a package and check what they declare; see ``import_package``.

    Raises:
        DeclarationErrors: A module does not import or a declaration cannot work; with all
            problems of all modules.
    """
    modules, problems = import_package(package, root)
    return _define(package, list(_declarations(modules)), list(_upcasters(modules)), problems)


def define(package: str, declared: list[Any]) -> Definition:
    """Build a definition from decorated classes and upcasters, without a package: for tests.

    Raises:
        DeclarationErrors: A declaration cannot work.
    """
    found = [item.__dict__[MARK] for item in declared if MARK in item.__dict__]
    upcasters = [item for item in found if isinstance(item, UpcasterDeclaration)]
    return _define(package, [item for item in found if item not in upcasters], upcasters, [])


def _define(
    package: str,
    found: list[Declaration],
    upcasters: list[UpcasterDeclaration],
    problems: list[Problem],
) -> Definition:
    events = [item for item in found if isinstance(item, EventTypeDeclaration)]
    aggregates = [item for item in found if isinstance(item, AggregateRootDeclaration)]
    handlers = [item for item in found if isinstance(item, EventHandlerDeclaration)]
    projections = [item for item in found if isinstance(item, ProjectionDeclaration)]
    values = [item for item in found if isinstance(item, ValueDeclaration)]
    checks: list[tuple[list[Any], Callable[[Any], None]]] = [
        (values, check_value),
        (events, check_event_type),
        (aggregates, check_aggregate_root),
        (handlers, check_event_handler),
        (projections, check_projection),
    ]
    for declarations, check in checks:
        for declaration in declarations:
            check(declaration)
            problems += declaration.problems
    for declaration in handlers:
        problems += _handler_problems(declaration)
    for event in _from_elsewhere(events, aggregates, handlers, projections):
        check_event_type(event)
        problems += event.problems
        events.append(event)
    processors = [*handlers, *projections]
    problems += _duplicates("event type", events, _event_identity)
    problems += _duplicates("aggregate root", aggregates, _id)
    problems += _duplicates("handler or projection", processors, _id)
    problems += _same_names("event type", events, lambda item: str(item.event_type.id))
    problems += check_upcasters(events, upcasters)
    problems += _same_names("aggregate root", aggregates, _id)
    problems += _same_names("handler or projection", processors, _id)
    if problems:
        ordered = sorted(set(problems), key=lambda p: (p.path, p.line, p.message))
        raise DeclarationErrors(package, [(p.path, p.line, p.message, p.hint) for p in ordered])
    return Definition(
        package,
        EventTypes((item.cls for item in events), chains(upcasters)),
        {item.name: item for item in aggregates},
        {item.name: item for item in handlers},
        {item.name: item for item in projections},
    )


def _declarations(modules: list[ModuleType]) -> Iterator[Declaration]:
    seen: set[int] = set()
    for module in modules:
        for value in list(vars(module).values()):
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            declaration = value.__dict__.get(MARK)
            if isinstance(declaration, Declaration) and id(declaration) not in seen:
                seen.add(id(declaration))
                yield declaration


def _upcasters(modules: list[ModuleType]) -> Iterator[UpcasterDeclaration]:
    for module in modules:
        for value in list(vars(module).values()):
            declaration = upcaster_declaration_of(value)
            if declaration is not None and value.__module__ == module.__name__:
                yield declaration


def _from_elsewhere(
    events: list[EventTypeDeclaration],
    aggregates: list[AggregateRootDeclaration],
    handlers: list[EventHandlerDeclaration],
    projections: list[ProjectionDeclaration],
) -> list[EventTypeDeclaration]:
    """Return the event types that are used here and declared outside of the package."""
    used: list[Any] = [cls for aggregate in aggregates for cls in aggregate.folds]
    for methods in [item.methods for item in handlers] + [item.methods for item in projections]:
        used += [method.event_class for method in methods.values()]
    known = {id(event) for event in events}
    found: dict[int, EventTypeDeclaration] = {}
    for cls in used:
        declaration = cls.__dict__.get(MARK)
        if isinstance(declaration, EventTypeDeclaration) and id(declaration) not in known:
            found[id(declaration)] = declaration
    return list(found.values())


def _handler_problems(declaration: EventHandlerDeclaration) -> Iterator[Problem]:
    """Find the arguments of a handler's ``__init__`` that nobody fills in."""
    for argument in unfilled_arguments(declaration.cls):
        yield declaration.place.problem(
            f"event handler {declaration.name}: nobody fills in {argument} of its __init__",
            "only an argument annotated with Microservice is filled in; give others a default",
        )


def _id(declaration: Any) -> str:
    return str(declaration.id)


def _event_identity(declaration: Any) -> str:
    event_type = declaration.event_type
    suffix = f" generation {event_type.generation}" if event_type.generation > 1 else ""
    return f"{event_type.id}{suffix}"


def _duplicates(
    kind: str, declarations: list[Any], identity: Callable[[Any], str]
) -> list[Problem]:
    first: dict[str, Declaration] = {}
    problems = []
    for declaration in declarations:
        key = identity(declaration)
        earlier = first.setdefault(key, declaration)
        if earlier is not declaration:
            problems.append(
                declaration.place.problem(
                    f"{kind} {declaration.cls.__name__} has the id {key!r}, "
                    f"which {earlier.cls.__name__} ({earlier.place.path}:{earlier.place.line}) has",
                    "give one of them another name or an id of its own",
                )
            )
    return problems


def _same_names(kind: str, declarations: list[Any], id_of: Callable[[Any], str]) -> list[Problem]:
    names: dict[str, Any] = {}
    by_id = {id_of(declaration): declaration for declaration in declarations}
    problems = []
    for declaration in declarations:
        name = declaration.cls.__name__
        earlier = names.setdefault(name, declaration)
        namesake = by_id.get(name, declaration)
        if namesake.cls.__name__ != name and id_of(declaration) != name:
            problems.append(
                declaration.place.problem(
                    f"{kind} {declaration.cls.__name__}: {namesake.cls.__name__} has this "
                    f"name as its id ({namesake.place.path}:{namesake.place.line})",
                    "people ask for it by that name: rename the class",
                )
            )
        if id_of(earlier) != id_of(declaration):
            problems.append(
                declaration.place.problem(
                    f"{kind} {declaration.cls.__name__}: another one has this class name "
                    f"({earlier.place.path}:{earlier.place.line})",
                    "people ask for it by that name: rename one of them",
                )
            )
    return problems


def _find(kind: str, name: str, known: dict[str, D]) -> D:
    if name in known:
        return known[name]
    for declaration in known.values():
        if _id(declaration) == name:
            return declaration
    raise Unknown(kind, name, known)
