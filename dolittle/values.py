"""Value objects: small immutable classes that events, commands and read models are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

from dolittle.constraints import constraint_problems
from dolittle.declarations import (
    MARK,
    Declaration,
    calling_place,
    json_problems,
    make_struct,
)

T = TypeVar("T")


@dataclass
class ValueDeclaration(Declaration):
    """What ``@value`` attaches to a class."""


@dataclass_transform(frozen_default=True)
def value(cls: type[T], /) -> type[T]:
    """Declare a class to be a value object: what it is, is what it holds.

    The class is rebuilt as an immutable ``msgspec.Struct``: it is created with its fields as
    arguments, compares by value, and may be the type of a field of an event, an aggregate root, a
    projection, a command or another value object. Its constraints hold wherever it stands.
    """
    declaration = ValueDeclaration(cls, calling_place())
    try:
        made = make_struct(cls, frozen=True, namespace={MARK: declaration})
    except TypeError as error:
        declaration.problems.append(declaration.place.problem(f"value {cls.__name__}: {error}"))
        setattr(cls, MARK, declaration)
        return cls
    declaration.cls = made
    return made


def check_value(declaration: ValueDeclaration) -> None:
    """Add to a declaration what can only be known once every module is imported."""
    if declaration.problems:
        return
    cls = declaration.cls
    for reason in [*json_problems(cls), *constraint_problems(cls)]:
        declaration.problems.append(declaration.place.problem(f"value {cls.__name__}: {reason}"))
