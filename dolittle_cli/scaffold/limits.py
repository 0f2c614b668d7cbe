"""The grammar of a field's limits on the command line: ``ge=0``, ``pattern=^[a-z]+$``.

::

    limits = { ":" name "=" value }
    name   = ge | gt | le | lt | multiple_of     of int, float, Decimal
           | min_length | max_length             of str, list, dict
           | pattern                             of str
           | example                             of all of these but list and dict

A value goes on until the next ``:name=``, so that it may hold colons and equals signs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from dolittle.errors import suggest
from dolittle.limits import Constraint
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.types import FieldType, Listed, Mapped, Maybe, Scalar, annotation

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


def parted(text: str) -> list[str]:
    """Part what stands behind a field's type into ``name=value``, without the first colon."""
    return _ITEM.split(text)


def has_limits(text: str) -> bool:
    """Tell whether a default's text goes on with what is meant to be a limit."""
    return _ITEM.search(text) is not None


def parse_limits(field: str, of: FieldType, items: list[str]) -> tuple[Constraint, str | None]:
    """Read the limits of a field; return them and the text of its default.

    Args:
        field: Its name, for messages.
        of: Its type.
        items: As they are typed: ``ge=0``.

    Raises:
        WrongUsage: A limit does not exist, does not fit the type, is no value, comes twice, or
            together they leave nothing.
    """
    given: dict[str, Any] = {}
    default: str | None = None
    leaf = of.item if isinstance(of, Maybe) else of
    for item in items:
        name, equals, text = item.partition("=")
        if not equals and name in fitting(leaf):
            raise WrongUsage(f"field {field!r}: {name} has no value", hint=f"write {name}=…")
        if not equals or name not in (*_ALL, DEFAULT):
            raise _unknown(field, name if equals else item, leaf)
        if name in given or (name == DEFAULT and default is not None):
            raise WrongUsage(f"field {field!r}: {name} is given twice", hint="leave one of them")
        if len(text) > LIMIT_CHARACTERS_MAX:
            raise WrongUsage(
                f"field {field!r}: the value of {name} has {len(text)} characters, "
                f"and at most {LIMIT_CHARACTERS_MAX} fit",
                hint="give a shorter one",
            )
        if name == DEFAULT:
            default = text
        else:
            given[name] = _value(field, leaf, name, text)
    limits = Constraint(**given)
    _check(field, limits)
    return limits, default


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


def _value(field: str, of: FieldType, name: str, text: str) -> Any:
    if name not in fitting(of):
        kind = annotation(of).node
        raise WrongUsage(
            f"field {field!r}: the limit {name} means nothing for {_article(str(kind))} {kind}",
            hint=f"for that there is: {', '.join(fitting(of)) or 'none'}",
        )
    if name in _LENGTHS:
        kind = "int"
    else:
        assert isinstance(of, Scalar)  # what fits a list or a dict is a length
        kind = "str" if name == "pattern" else of.name
    try:
        return value_of(kind, text)
    except (ValueError, InvalidOperation) as error:
        unknown = re.search(r":(\w*)(=|$)", text)
        if unknown is not None and kind != "str":
            raise _unknown(field, unknown[1], of) from error
        wanted = "text" if kind == "str" else kind
        hint = f"e.g. {name}={_EXAMPLES[kind]}"
        if "=" in text:
            hint += f"; a default stands last: {field}:{annotation(of).node}:…:default=VALUE"
        raise WrongUsage(f"field {field!r}: {name}={text} is no {wanted}", hint=hint) from error


def _check(field: str, limits: Constraint) -> None:
    reason = limits.contradiction()
    if reason:
        raise WrongUsage(f"field {field!r}: {reason}", hint="change one of the limits")
    if limits.example is not None and limits.violation(limits.example):
        raise WrongUsage(
            f"field {field!r}: the example does not fit: {limits.violation(limits.example)}",
            hint="give one that does",
        )


def _unknown(field: str, name: str, of: FieldType) -> WrongUsage:
    better = _OTHER_NAMES.get(name.lower())
    names = fitting(of)
    if not names:
        hint = f"{_article(str(annotation(of).node))} {annotation(of).node} has no limits"
    else:
        hint = f"did you mean {better}?" if better else suggest(name, [*names, DEFAULT])
    return WrongUsage(f"field {field!r}: there is no limit {name!r}", hint=hint)


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" and not noun.startswith("UUID") else "a"


_EXAMPLES: Final = {"int": "1", "float": "0.5", "Decimal": "0.01", "str": "^[a-z]+$"}
