"""Loads a microservice's package and finds its declarations; reports all problems together."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from dolittle.aggregates import AggregateRootDeclaration, check_aggregate_root
from dolittle.declarations import MARK, Declaration, Problem
from dolittle.errors import DeclarationErrors, Unknown
from dolittle.events import EventTypeDeclaration, check_event_type
from dolittle.handlers import EventHandlerDeclaration, check_event_handler
from dolittle.projections import ProjectionDeclaration, check_projection
from dolittle.serialization import EventTypes
from dolittle.upcasters import (
    UpcasterDeclaration,
    chains,
    check_upcasters,
    upcaster_declaration_of,
)

D = TypeVar("D", bound=Declaration)

API_MODULE: Final = "api"
"""The module of a service's own ASGI application; it is imported by the host only."""


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
    """Import every module of a package and check what they declare.

    ``root`` (and ``root/src``, where there is one) is put in front of the import path, and
    stays there. ``<package>.api`` and ``__main__`` modules are left out.

    Raises:
        DeclarationErrors: A module does not import or a declaration cannot work; with all
            problems of all modules.
    """
    for folder in (root / "src", root):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    problems: list[Problem] = []
    modules = list(_import_all(package, root, problems))
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
    checks: list[tuple[list[Any], Callable[[Any], None]]] = [
        (events, check_event_type),
        (aggregates, check_aggregate_root),
        (handlers, check_event_handler),
        (projections, check_projection),
    ]
    for declarations, check in checks:
        for declaration in declarations:
            check(declaration)
            problems += declaration.problems
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


def _import_all(package: str, root: Path, problems: list[Problem]) -> Iterator[ModuleType]:
    module = _import(package, root, problems)
    if module is None:
        return
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{package}."):
        last = info.name.rpartition(".")[2]
        if last == "__main__" or info.name == f"{package}.{API_MODULE}":
            continue
        if info.ispkg:
            yield from _import_all(info.name, root, problems)
        else:
            found = _import(info.name, root, problems)
            if found is not None:
                yield found


def _import(name: str, root: Path, problems: list[Problem]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            problems.append(
                Problem(
                    str(root),
                    0,
                    f"there is no package {name!r} in this folder",
                    "is [microservice] package in dolittle.toml right?",
                )
            )
        else:
            problems.append(_import_problem(name, root, error))
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything; it is reported
        problems.append(_import_problem(name, root, error))
    return None


def _import_problem(name: str, root: Path, error: BaseException) -> Problem:
    if isinstance(error, SyntaxError) and error.filename:
        return Problem(error.filename, error.lineno or 0, f"syntax error: {error.msg}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    path, line = (own[-1].filename, own[-1].lineno or 0) if own else (str(root), 0)
    return Problem(path, line, f"{name} does not import: {type(error).__name__}: {error}")


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
    problems = []
    for declaration in declarations:
        earlier = names.setdefault(declaration.cls.__name__, declaration)
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
