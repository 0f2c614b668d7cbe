"""The types of fields, and the Python that is written for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from dolittle.limits import Constraint
from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.layout import Group, Node, call, keyword

SCALARS: Final = ("str", "int", "float", "bool", "Decimal", "date", "datetime", "UUID")

_IMPORTS: Final[dict[str, Import]] = {
    "Decimal": ("decimal", "Decimal"),
    "date": ("datetime", "date"),
    "datetime": ("datetime", "datetime"),
    "UUID": ("uuid", "UUID"),
}


@dataclass(frozen=True)
class Code:
    """An expression, and what must be imported for it."""

    node: Node
    imports: frozenset[Import] = frozenset()


@dataclass(frozen=True)
class Scalar:
    """One of ``SCALARS``."""

    name: str


@dataclass(frozen=True)
class Enumerated:
    """One of some words: a ``StrEnum`` class.

    Attributes:
        module: Where the class is; empty: in the module that is generated.
    """

    values: tuple[str, ...]
    name: str = ""
    module: str = ""


@dataclass(frozen=True)
class Listed:
    """``list[item]``."""

    item: FieldType


@dataclass(frozen=True)
class Mapped:
    """``dict[str, item]``."""

    item: FieldType


@dataclass(frozen=True)
class Maybe:
    """``item | None``."""

    item: FieldType


@dataclass(frozen=True)
class Foreign:
    """A type that somebody wrote by hand and that is only repeated here.

    Attributes:
        text: As it stands in the source.
        imports: What its names need.
    """

    text: str
    imports: frozenset[Import] = frozenset()


@dataclass(frozen=True)
class Valued:
    """A value object of the package.

    Attributes:
        fields: What it is made of.
    """

    name: str
    module: str
    fields: tuple[Field, ...] = dataclasses.field(default=(), compare=False)


@dataclass(frozen=True)
class Constrained:
    """``Annotated[item, constraint(…)]``.

    Attributes:
        alias: The name it goes by where it is too long for a field's line; empty: it has none.
        module: Where the alias is; empty: in the module that is generated.
    """

    item: FieldType
    limits: Constraint
    alias: str = ""
    module: str = ""


FieldType = Scalar | Enumerated | Listed | Mapped | Maybe | Foreign | Valued | Constrained


@dataclass(frozen=True)
class Field:
    """A field of an event, an aggregate root or a projection.

    Attributes:
        default: ``None``: it must be given.
        is_constant: Whether the default is a constant, which may be repeated elsewhere.
    """

    name: str
    type: FieldType
    default: Code | None = None
    is_constant: bool = True


def annotation(of: FieldType) -> Code:
    """Return how a type is written behind a field's name."""
    match of:
        case Scalar(name):
            found = _IMPORTS.get(name)
            return Code(name, frozenset([found] if found else []))
        case Enumerated(name=name, module=module):
            return Code(name, frozenset([(module, name)] if module else []))
        case Listed(item):
            inner = annotation(item)
            return replace(inner, node=f"list[{inner.node}]")
        case Mapped(item):
            inner = annotation(item)
            return replace(inner, node=f"dict[str, {inner.node}]")
        case Maybe(item):
            inner = annotation(item)
            return replace(inner, node=f"{inner.node} | None")
        case Foreign(text, imports):
            return Code(text, imports)
        case Valued(name, module):
            return Code(name, frozenset([(module, name)]))
        case Constrained(alias=alias, module=module) if alias:
            return Code(alias, frozenset([(module, alias)] if module else []))
        case Constrained():
            written = written_out(of)
            return replace(written, node=str(written.node))


def written_out(of: Constrained) -> Code:
    """Return ``Annotated[…]``, also for a type that goes by an alias."""
    inner = annotation(of.item)
    limits = []
    imports = inner.imports | {("typing", "Annotated"), ("dolittle", "constraint")}
    for name, value in of.limits.given().items():
        limits.append(keyword(name, _limit(name, value)))
        if isinstance(value, Decimal) and value != value.to_integral_value():
            imports |= {_IMPORTS["Decimal"]}
    node = Group("Annotated[", (inner.node, call("constraint", limits)), "]", "call")
    return Code(node, imports)


def _limit(name: str, value: Any) -> Node:
    if isinstance(value, Decimal):
        if name != "example" and value == value.to_integral_value():
            return str(int(value))
        return call("Decimal", [python_text(str(value))])
    if not isinstance(value, str):
        return repr(value)
    is_raw = name == "pattern" and "\\" in value and '"' not in value
    return f'r"{value}"' if is_raw and not value.endswith("\\") else python_text(value)


def without_limits(of: FieldType) -> FieldType:
    """Return a type without its constraints."""
    match of:
        case Constrained(item):
            return without_limits(item)
        case Listed(item) | Mapped(item) | Maybe(item):
            return replace(of, item=without_limits(item))
        case _:
            return of


def limits_of(of: FieldType) -> list[Constrained]:
    """Return the constrained types that the generated module must define an alias for.

    Those of entries come first, since the others are made of them.
    """
    match of:
        case Constrained(alias=alias, module=""):
            return [*limits_of(of.item), *([of] if alias else [])]
        case Listed(item) | Mapped(item) | Maybe(item):
            return limits_of(item)
        case _:
            return []


def nothing(of: FieldType) -> Code | None:
    """Return what a field holds before anything has happened, or ``None`` if that is not clear."""
    match of:
        case Scalar(name):
            return _NOTHING.get(name)
        case Listed():
            return Code("[]")
        case Mapped():
            return Code("{}")
        case Maybe():
            return Code("None")
        case Enumerated(values, name, module):
            return Code(
                f"{name}.{member(values[0])}", frozenset([(module, name)] if module else [])
            )
        case Constrained(item, limits):
            return _nothing_within(item, limits)
        case Foreign() | Valued():
            return None


def _nothing_within(of: FieldType, limits: Constraint) -> Code | None:
    """Return what holds nothing, if the limits allow it."""
    empty: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "Decimal": Decimal(0)}
    match of:
        case Listed() | Mapped():
            value: Any = []
        case Scalar(name) if name in empty:
            value = empty[name]
        case _:
            return nothing(of)
    return None if limits.violation(value) else nothing(of)


def enums(of: FieldType) -> list[Enumerated]:
    """Return the enum classes in a type that the generated module must define."""
    match of:
        case Enumerated(module=""):
            return [of]
        case Listed(item) | Mapped(item) | Maybe(item) | Constrained(item):
            return enums(item)
        case _:
            return []


def named_enums(of: FieldType, name: str) -> FieldType:
    """Return a type with the enum class in it named."""
    match of:
        case Enumerated():
            return replace(of, name=name)
        case Listed(item) | Mapped(item) | Maybe(item) | Constrained(item):
            return replace(of, item=named_enums(item, name))
        case _:
            return of


def take_over(field: Field, of: FieldType) -> Field | None:
    """Return a field that values of a type can be assigned to, or ``None`` if they do not fit.

    An enum that the field would define takes the class of the type, if the words are the same.
    """
    wanted = field.type
    if _alike(of, wanted):
        found = _adopted(of, wanted)
    elif isinstance(wanted, Maybe) and _alike(of, wanted.item):
        found = Maybe(_adopted(of, wanted.item))
    elif (of, wanted) == (Scalar("int"), Scalar("float")):
        found = wanted
    else:
        return None
    return replace(field, type=found, default=_renamed(field, found))


def seen_from_outside(field: Field, module: str) -> Field:
    """Return a field as another module sees it, where its enum class must be imported."""
    found = in_module(field.type, module)
    return replace(field, type=found, default=_renamed(field, found))


def _alike(of: FieldType, wanted: FieldType) -> bool:
    """Tell whether types are the same; an enum that is not defined yet is like any of its words."""
    match of, wanted:
        case Enumerated(), Enumerated(module=""):
            return of.values == wanted.values
        case Constrained(), Constrained():
            return of.limits == wanted.limits and _alike(of.item, wanted.item)
        case Constrained(item), _:
            return _alike(item, wanted)
        case (
            (Listed(one), Listed(other)) | (Mapped(one), Mapped(other)) | (Maybe(one), Maybe(other))
        ):
            return _alike(one, other)
        case _:
            return of == wanted


def _adopted(of: FieldType, wanted: FieldType) -> FieldType:
    """Return a type for a field that is like it, without the limits that the field has not."""
    if isinstance(of, Constrained):
        return of if isinstance(wanted, Constrained) else _adopted(of.item, wanted)
    if isinstance(of, Listed | Mapped | Maybe) and isinstance(wanted, Listed | Mapped | Maybe):
        return replace(of, item=_adopted(of.item, wanted.item))
    return of


def definitions(fields: Sequence[Field]) -> dict[str, Any]:
    """Return what a module must define for its fields, as its template is given it.

    ``enums``: classes, as name and values; ``aliases``: constrained types, as name and code.
    """
    aliases = [found for item in fields for found in limits_of(item.type)]
    return {
        "enums": [(found.name, found.values) for item in fields for found in enums(item.type)],
        "aliases": [(found.alias, written_out(found).node) for found in aliases],
    }


def needs_of(fields: Sequence[Field]) -> list[Code | Import]:
    """Return what a module must import for its fields, their defaults and its definitions."""
    needed: list[Code | Import] = []
    for item in fields:
        needed += [annotation(item.type), *map(written_out, limits_of(item.type))]
        needed += [item.default] if item.default else []
        needed += [("enum", "StrEnum")] if enums(item.type) else []
    return needed


def _renamed(field: Field, of: FieldType) -> Code | None:
    """Return a field's default for the enum class of another type."""
    leaf = of.item if isinstance(of, Maybe) else of
    if field.default is None or not isinstance(leaf, Enumerated):
        return field.default
    name, dot, value = str(field.default.node).partition(".")
    return replace(annotation(leaf), node=f"{leaf.name}.{value}") if dot and name else field.default


def in_module(of: FieldType, module: str) -> FieldType:
    """Return a type as another module sees it, where its enum class must be imported."""
    match of:
        case Enumerated(module=""):
            return replace(of, module=module)
        case Listed(item) | Mapped(item) | Maybe(item):
            return replace(of, item=in_module(item, module))
        case Constrained(item, alias=alias):
            place = of.module or module if alias else ""
            return replace(of, item=in_module(item, module), module=place)
        case _:
            return of


def member(value: str) -> str:
    """Return the member of an enum for a value: ``in-work`` → ``IN_WORK``."""
    return value.upper().replace("-", "_")


def python_text(text: str) -> str:
    """Return a string literal with the quotes that the formatter prefers: few escapes, then ``"``.

    Source: the string rule of the Black code style.
    """
    plain = repr(text)
    body = plain[1:-1]
    if plain[0] == '"':
        return plain
    if '"' not in text:
        return f'"{body}"'
    if text.count('"') <= text.count("'"):
        escaped = body.replace("\\'", "'").replace('"', '\\"')
        return f'"{escaped}"'
    return plain


_NOTHING: Final = {
    "str": Code('""'),
    "int": Code("0"),
    "float": Code("0.0"),
    "bool": Code("False"),
    "Decimal": Code(call("Decimal", ["0"]), frozenset({_IMPORTS["Decimal"]})),
}
