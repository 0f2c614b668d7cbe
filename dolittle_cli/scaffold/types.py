"""The types of fields, and the Python and JSON that is written for each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.layout import Group, Node, call

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


FieldType = Scalar | Enumerated | Listed | Mapped | Maybe | Foreign


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


def sample(of: FieldType, word: str) -> Code | None:
    """Return a value for a test, or ``None`` where none can be thought of.

    Args:
        of: The type.
        word: What a text is about: ``dish`` gives ``"a dish"``.
    """
    match of:
        case Scalar("str"):
            return Code(python_text(_indefinite(word)))
        case Scalar(name):
            return _SAMPLES[name]
        case Enumerated(values, name, module):
            imports = frozenset([(module, name)] if module else [])
            return Code(f"{name}.{member(values[0])}", imports)
        case Listed(item):
            inner = sample(item, _one_of(word))
            if inner is None:
                return Code("[]")
            return Code(Group("[", (inner.node,), "]", "collection"), inner.imports)
        case Mapped(item):
            inner = sample(item, word)
            if inner is None:
                return Code("{}")
            entry = prefixed_entry("a key", inner.node)
            return Code(Group("{", (entry,), "}", "collection"), inner.imports)
        case Maybe(item):
            return sample(item, word) or Code("None")
        case Foreign():
            return None


def stored_sample(of: FieldType, word: str) -> Node:
    """Return the JSON value that a store keeps for :func:`sample`, written as Python."""
    match of:
        case Scalar(name):
            return _STORED[name] if name != "str" else python_text(_indefinite(word))
        case Enumerated(values):
            return python_text(values[0])
        case Listed(item):
            if sample(item, word) is None:
                return "[]"
            return Group("[", (stored_sample(item, _one_of(word)),), "]", "collection")
        case Mapped(item):
            if sample(item, word) is None:
                return "{}"
            return Group(
                "{", (prefixed_entry("a key", stored_sample(item, word)),), "}", "collection"
            )
        case Maybe(item):
            return stored_sample(item, word)
        case Foreign():
            return "None"


def typed_sample(of: FieldType, word: str) -> str:
    """Return :func:`sample` as it is typed on the command line: text as it is, JSON otherwise."""
    match of:
        case Maybe(item):
            return typed_sample(item, word)
        case Scalar() | Enumerated():
            return str(stored_sample(of, word)).strip('"').replace("True", "true")
        case _:
            return str(stored_sample(of, word)).replace("True", "true")


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
        case Foreign():
            return None


def enums(of: FieldType) -> list[Enumerated]:
    """Return the enum classes in a type that the generated module must define."""
    match of:
        case Enumerated(module=""):
            return [of]
        case Listed(item) | Mapped(item) | Maybe(item):
            return enums(item)
        case _:
            return []


def named_enums(of: FieldType, name: str) -> FieldType:
    """Return a type with the enum class in it named."""
    match of:
        case Enumerated():
            return replace(of, name=name)
        case Listed(item) | Mapped(item) | Maybe(item):
            return replace(of, item=named_enums(item, name))
        case _:
            return of


def take_over(field: Field, of: FieldType) -> Field | None:
    """Return a field that values of a type can be assigned to, or ``None`` if they do not fit.

    An enum that the field would define takes the class of the type, if the words are the same.
    """
    wanted = field.type
    if _alike(of, wanted):
        found = of
    elif isinstance(wanted, Maybe) and _alike(of, wanted.item):
        found = Maybe(of)
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
        case (
            (Listed(one), Listed(other)) | (Mapped(one), Mapped(other)) | (Maybe(one), Maybe(other))
        ):
            return _alike(one, other)
        case _:
            return of == wanted


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


def prefixed_entry(key: str, value: Node) -> Node:
    """Return an entry of a dict: ``"key": value``."""
    if isinstance(value, Group):
        return replace(value, opening=f'"{key}": {value.opening}')
    return f'"{key}": {value}'


def _indefinite(word: str) -> str:
    if _is_plural(word):
        return f"some {word}"
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"


def _one_of(word: str) -> str:
    """Return what one item of a list is about: ``tags`` → ``tag``."""
    return word[:-1] if _is_plural(word) else word


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))


_UTC: Final = frozenset({("datetime", "UTC"), ("datetime", "datetime")})
_SAMPLES: Final = {
    "int": Code("3"),
    "float": Code("1.5"),
    "bool": Code("True"),
    "Decimal": Code(call("Decimal", ['"9.50"']), frozenset({_IMPORTS["Decimal"]})),
    "date": Code(call("date", ["2026", "1", "31"]), frozenset({_IMPORTS["date"]})),
    "datetime": Code(call("datetime", ["2026", "1", "31", "12", "tzinfo=UTC"]), _UTC),
    "UUID": Code(call("UUID", ["int=7"]), frozenset({_IMPORTS["UUID"]})),
}
_STORED: Final = {
    "int": "3",
    "float": "1.5",
    "bool": "True",
    "Decimal": '"9.50"',
    "date": '"2026-01-31"',
    "datetime": '"2026-01-31T12:00:00Z"',
    "UUID": '"00000000-0000-0000-0000-000000000007"',
}
_NOTHING: Final = {
    "str": Code('""'),
    "int": Code("0"),
    "float": Code("0.0"),
    "bool": Code("False"),
    "Decimal": Code(call("Decimal", ["0"]), frozenset({_IMPORTS["Decimal"]})),
}
