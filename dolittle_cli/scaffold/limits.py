"""The grammar of a field's limits on the command line: ``ge=0``, ``pattern=^[a-z]+$``.

::

    limits = { ":" name "=" value }
    name   = ge | gt | le | lt | multiple_of     of int, float, Decimal
           | min_length | max_length             of str, list, dict
           | pattern                             of str
           | example                             of all of these but list and dict

A value goes on until the next ``:name=``, so that it may hold colons and equals signs. Those of an
entry, ``list[str:pattern=^[a-z]+$]``, also end at the bracket that closes no class of characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from dolittle.errors import suggest
from dolittle.limits import Constraint
from dolittle_cli.scaffold.samples import sample
from dolittle_cli.scaffold.typed_field import Part, TypedField, WrongField
from dolittle_cli.scaffold.types import (
    Constrained,
    FieldType,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    annotation,
)

LIMIT_CHARACTERS_MAX: Final = 80
"""Characters of a limit's value."""

DEFAULT: Final = "default"
"""The word for a default behind limits: ``quantity:int:ge=1:default=1``."""

_NUMBERS: Final = ("ge", "gt", "le", "lt", "multiple_of")
_LENGTHS: Final = ("min_length", "max_length")
_ALL: Final = (*_NUMBERS, *_LENGTHS, "pattern", "example")
_OTHER_NAMES: Final = {
    "min": "ge (or min_length of a text)", "max": "le (or max_length of a text)",
    "minimum": "ge", "maximum": "le", "minlength": "min_length", "maxlength": "max_length",
    "min_items": "min_length", "max_items": "max_length", "length": "max_length",
    "regex": "pattern", "regexp": "pattern", "matches": "pattern", "multipleof": "multiple_of",
    "sample": "example",
}  # fmt: skip
_ITEM: Final = re.compile(rf":(?=(?:{'|'.join((*_ALL, DEFAULT))})=)")


def parted(text: str, at: int) -> list[Part]:
    """Part what stands behind a field's type into ``name=value``.

    Args:
        text: Without the first colon.
        at: Where it begins in the field's text.
    """
    parts: list[Part] = []
    begin = 0
    for found in [*_ITEM.finditer(text), None]:
        end = found.start() if found else len(text)
        parts.append(Part(text[begin:end], at + begin))
        begin = found.end() if found else end
    return parts


def has_limits(text: str) -> bool:
    """Tell whether a default's text goes on with what is meant to be a limit."""
    return _ITEM.search(text) is not None


def end_of_limits(text: str, at: int) -> int:
    """Return where the limits of an entry end: at its closing bracket, or with the text.

    A bracket of a pattern's class of characters, ``[a-z]``, or behind a backslash ends nothing.

    Args:
        text: A field's.
        at: Where the limits begin.
    """
    class_at = -1
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 1
        elif class_at < 0 and sign == "[":
            class_at = at + (2 if text.startswith("^", at + 1) else 1)
        elif sign == "]" and class_at < 0:
            return at
        elif sign == "]" and at > class_at:  # as its first sign, it is one of the class
            class_at = -1
        at += 1
    return len(text)


def parse_limits(
    field: TypedField, of: FieldType, items: list[Part], *, is_entry: bool = False
) -> tuple[Constraint, Part | None]:
    """Read the limits of a field or an entry; return them and the text of the default.

    Args:
        field: What they belong to.
        of: Its type.
        items: As they are typed: ``ge=0``.
        is_entry: Whether they are those of an entry, for which no default is proposed.

    Raises:
        WrongField: A limit does not exist, does not fit the type, is no value, comes twice, or
            together they leave nothing.
    """
    given: dict[str, Any] = {}
    default: Part | None = None
    leaf = of.item if isinstance(of, Maybe) else of
    for item in items:
        name, equals, text = item.text.partition("=")
        if not equals and name in fitting(leaf):
            raise field.wrong(item.at, f"{name} has no value", f"write {name}=…")
        if not equals or name not in (*_ALL, DEFAULT):
            unknown = name if equals else item.text
            raise _unknown(field, unknown, leaf, item.at, more=() if is_entry else (DEFAULT,))
        if name in given or (name == DEFAULT and default is not None):
            raise field.wrong(item.at, f"{name} is given twice", "leave one of them")
        value = Part(text, item.at + len(name) + 1)
        if len(text) > LIMIT_CHARACTERS_MAX:
            reason = (
                f"the value of {name} has {len(text)} characters, "
                f"and at most {LIMIT_CHARACTERS_MAX} fit"
            )
            raise field.wrong(value.at, reason, "give a shorter one")
        if name == DEFAULT:
            default = value
        else:
            given[name] = _value(field, leaf, name, value)
    limits = Constraint(**given)
    _check(field, limits, items[0].at)
    return limits, default


def constrained(field: TypedField, of: FieldType, limits: Constraint, at: int) -> FieldType:
    """Return a type with its limits, if a value for a test can be made up within them.

    Args:
        field: What has the type.
        of: The type.
        limits: None may be given; then the type is returned.
        at: Where the limits begin.

    Raises:
        WrongField: No value can be made up.
    """
    if not limits.given():
        return of
    if isinstance(of, Maybe):
        return Maybe(constrained(field, of.item, limits, at))
    found = Constrained(of, limits)
    if sample(found, field.name.replace("_", " ")) is None:
        raise field.wrong(
            at,
            "no value that fits its limits could be made up, for its test",
            f"give one: {field.name}:…:example=VALUE"
            if isinstance(of, Scalar)
            else "ask for fewer entries here, and change it in the generated file",
        )
    return found


def fitting(of: FieldType) -> tuple[str, ...]:
    """Return the limits that a type may have."""
    match of:
        case Scalar("str"):
            return (*_LENGTHS, "pattern", "example")
        case Scalar("int" | "float" | "Decimal"):
            return (*_NUMBERS, "example")
        case Listed() | Mapped():
            return _LENGTHS
        case _:
            return ()


def value_of(name: str, text: str) -> Any:
    """Return the value of a text of a scalar type; ``ValueError`` where it is none."""
    if name == "str":
        if not text.isprintable():
            raise ValueError(text)
        return text
    makers: Mapping[str, Any] = {"int": int, "float": float, "Decimal": Decimal}
    return makers[name](text)


def _value(field: TypedField, of: FieldType, name: str, part: Part) -> Any:
    kind_of = str(annotation(of).node)
    if name not in fitting(of):
        raise field.wrong(
            part.at - len(name) - 1,
            f"the limit {name} means nothing for {_article(kind_of)} {kind_of}",
            f"for that there is: {', '.join(fitting(of)) or 'none'}",
        )
    if name in _LENGTHS:
        kind = "int"
    else:
        assert isinstance(of, Scalar)  # what fits a list or a dict is a length
        kind = "str" if name == "pattern" else of.name
    text = part.text
    try:
        return value_of(kind, text)
    except (ValueError, InvalidOperation) as error:
        unknown = re.search(r":(\w*)(=|$)", text)
        if unknown is not None and kind != "str":
            at = part.at + unknown.start(1)
            raise _unknown(field, unknown[1], of, at, more=(DEFAULT,)) from error
        wanted = "text" if kind == "str" else kind
        hint = f"e.g. {name}={_EXAMPLES[kind]}"
        if "=" in text:
            hint += f"; a default stands last: {field.name}:{kind_of}:…:default=VALUE"
        raise field.wrong(part.at, f"{name}={text} is no {wanted}", hint) from error


def _check(field: TypedField, limits: Constraint, at: int) -> None:
    reason = limits.contradiction()
    if reason:
        raise field.wrong(at, reason, "change one of the limits")
    if limits.example is not None and limits.violation(limits.example):
        reason = f"the example does not fit: {limits.violation(limits.example)}"
        raise field.wrong(at, reason, "give one that does")


def _unknown(
    field: TypedField, name: str, of: FieldType, at: int, *, more: Sequence[str]
) -> WrongField:
    better = _OTHER_NAMES.get(name.lower())
    names = fitting(of)
    if not names:
        hint = f"{_article(str(annotation(of).node))} {annotation(of).node} has no limits"
    else:
        hint = f"did you mean {better}?" if better else suggest(name, [*names, *more])
    return field.wrong(at, f"there is no limit {name!r}", hint)


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" and not noun.startswith("UUID") else "a"


_EXAMPLES: Final = {"int": "1", "float": "0.5", "Decimal": "0.01", "str": "^[a-z]+$"}
