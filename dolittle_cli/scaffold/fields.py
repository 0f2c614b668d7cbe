"""The grammar of fields on the command line: ``name:type=default``, ``name:type:limit=value``.

::

    field   = name ":" type [ "=" default | limits [ ":default=" default ] ]
    type    = ( scalar | value | "list[" entry "]" | "dict[str," entry "]" | enum ) [ "?" ]
    entry   = type [ limits ]
    scalar  = str | int | float | bool | Decimal | date | datetime | UUID
    value   = the class of a value object
    enum    = "enum(" word, … ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.layout import Node, call
from dolittle_cli.scaffold.limits import (
    constrained,
    has_limits,
    parse_limits,
    parted,
    value_of,
)
from dolittle_cli.scaffold.names import check_field_name
from dolittle_cli.scaffold.type_grammar import TypeParser
from dolittle_cli.scaffold.typed_field import Part, TypedField
from dolittle_cli.scaffold.types import (
    Code,
    Constrained,
    Enumerated,
    Field,
    FieldType,
    Foreign,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    Valued,
    annotation,
    enums,
    member,
    named_enums,
    python_text,
    without_limits,
)

DEFAULT_CHARACTERS_MAX: Final = 80
"""Characters of a default."""

INLINE_CHARACTERS_MAX: Final = 74
"""Characters of a constrained field with its default, so that it fits as a parameter too."""

_NONES: Final = ("none", "None", "null")


def parse_fields(
    texts: Sequence[str],
    owner: str,
    *,
    taken: Collection[str] = (),
    values: Mapping[str, Valued] | None = None,
) -> list[Field]:
    """Read fields as they are typed, those without a default first.

    Args:
        texts: One field each.
        owner: The class that gets them; an enum is named after it and its field.
        taken: Names that the class has for something else.
        values: The value objects that there are, by name.

    Raises:
        WrongUsage: A name, a type, a limit or a default cannot be used, or a name comes twice.
    """
    fields: dict[str, Field] = {}
    for text in texts:
        found = parse_field(text, owner, taken=taken, values=values)
        if found.name in fields:
            raise WrongUsage(f"the field {found.name!r} is given twice", hint="leave one of them")
        fields[found.name] = found
    return sorted(fields.values(), key=lambda item: item.default is not None)


def parse_field(
    text: str,
    owner: str,
    *,
    taken: Collection[str] = (),
    values: Mapping[str, Valued] | None = None,
) -> Field:
    """Read one field; see :func:`parse_fields`.

    Raises:
        WrongUsage: Its name, type, limits or default cannot be used.
    """
    name, colon, rest = text.partition(":")
    if not colon or not rest:
        raise WrongUsage(
            f"{text!r} is no field",
            hint=f"write name:type or name:type=default, e.g. {_example(name)}",
        )
    check_field_name(name, taken=taken)
    typed = TypedField(text)
    found, end = TypeParser(typed, len(name) + 1, values or {}).parse()
    own_name = owner + "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    of = named_enums(found, own_name)
    sign, behind = text[end : end + 1], Part(text[end + 1 :], end + 1)
    default_text: Part | None = behind if sign == "=" else None
    if sign == ":":
        limits, default_text = parse_limits(typed, of, parted(behind.text, behind.at))
        of = constrained(typed, of, limits, behind.at)
    elif sign and has_limits(behind.text):
        first = parted(behind.text, behind.at)[1]
        raise typed.wrong(
            first.at,
            "a limit stands behind the default",
            f"put the default last: {text[:end]}:{_turned(behind)}",
        )
    default = Code("None") if isinstance(of, Maybe) else None
    if default_text is not None:
        default = _default(typed, of, default_text)
    return _short(Field(name, of, default), own_name)


def _turned(behind: Part) -> str:
    default, *limits = (item.text for item in parted(behind.text, behind.at))
    return ":".join([*limits, f"default={default}"])


def _short(field: Field, alias: str) -> Field:
    """Give constrained types names of their own where the field's line is too long.

    First those of its entries, then its own too.
    """
    default = f" = {field.default.node}" if field.default else ""
    of = field.type
    for is_named in (False, True):
        if len(f"{field.name}: {annotation(of).node}{default}") > INLINE_CHARACTERS_MAX:
            of = _named(field.type, alias, is_named=is_named)
    return replace(field, type=of)


def _named(of: FieldType, alias: str, *, is_named: bool) -> FieldType:
    """Name the constrained types of entries, and with ``is_named`` the outermost one too."""
    match of:
        case Maybe(item):
            return replace(of, item=_named(item, alias, is_named=is_named))
        case Listed(item) | Mapped(item):
            return replace(of, item=_named(item, f"{alias}Entry", is_named=True))
        case Constrained(item):
            inner = _named(item, alias, is_named=True)
            return replace(of, item=inner, alias=alias if is_named else "")
        case _:
            return of


def is_field(text: str) -> bool:
    """Tell whether something typed is meant to be a field."""
    return ":" in text


def _default(field: TypedField, of: FieldType, part: Part) -> Code:
    text = part.text
    if len(text) > DEFAULT_CHARACTERS_MAX:
        raise field.wrong(
            part.at,
            f"a default has at most {DEFAULT_CHARACTERS_MAX} characters, this one has {len(text)}",
            "give a short one, and change it in the generated file",
        )
    try:
        found = _value(of, text)
    except (ValueError, InvalidOperation) as error:
        wanted = "value of the enum" if enums(of) else annotation(without_limits(of)).node
        reason = f"the default {text!r} is no {wanted}"
        raise field.wrong(part.at, reason, _default_hint(of)) from error
    broken = _broken_limit(of, text)
    if broken:
        raise field.wrong(
            part.at,
            f"the default does not fit its limits: {broken}",
            "change the default or the limit",
        )
    return found


def _broken_limit(of: FieldType, text: str) -> str:
    """Return what a default's text, which fits the type, breaks."""
    if isinstance(of, Maybe):
        return "" if text in _NONES else _broken_limit(of.item, text)
    if not isinstance(of, Constrained):
        return ""
    value: Any = [] if isinstance(of.item, Listed | Mapped) else None
    if isinstance(of.item, Scalar):
        value = value_of(of.item.name, text)
    return of.limits.violation(value)


def _value(of: FieldType, text: str) -> Code:
    """Write a default's text as Python; ``ValueError`` where it does not fit the type."""
    match of:
        case Maybe(item):
            return Code("None") if text in _NONES else _value(item, text)
        case Constrained(item):
            return _value(item, text)
        case Enumerated(values, name):
            if text not in values:
                raise ValueError(text)
            return Code(f"{name}.{member(text)}")
        case Listed() | Mapped():
            wanted = "[]" if isinstance(of, Listed) else "{}"
            if text != wanted:
                raise ValueError(text)
            return Code(wanted)
        case Scalar(name):
            return _scalar(name, text)
        case Foreign() | Valued():
            raise ValueError(text)


def _scalar(name: str, text: str) -> Code:
    imports = annotation(Scalar(name)).imports
    return Code(_WRITERS[name](text), imports) if name != "datetime" else _moment(text)


def _text(text: str) -> Node:
    if not text.isprintable():
        raise ValueError(text)
    return python_text(text)


def _float(text: str) -> Node:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return repr(value).replace("e+", "e")


def _truth(text: str) -> Node:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.capitalize()


def _decimal(text: str) -> Node:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return call("Decimal", [python_text(str(number))])


def _date(text: str) -> Node:
    day = date.fromisoformat(text)
    return call("date", [str(day.year), str(day.month), str(day.day)])


_WRITERS: Final[dict[str, Callable[[str], Node]]] = {
    "str": _text,
    "int": lambda text: str(int(text)),
    "float": _float,
    "bool": _truth,
    "Decimal": _decimal,
    "date": _date,
    "UUID": lambda text: call("UUID", [python_text(str(UUID(text)))]),
}


def _moment(text: str) -> Code:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(text)
    utc = moment.astimezone(UTC)
    parts = [utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond]
    while len(parts) > 3 and parts[-1] == 0:
        parts.pop()
    imports = frozenset({("datetime", "UTC"), ("datetime", "datetime")})
    return Code(call("datetime", [*map(str, parts), "tzinfo=UTC"]), imports)


def _default_hint(of: FieldType) -> str:
    match of:
        case Maybe(item) | Constrained(item):
            return _default_hint(item)
        case Valued(name):
            return f"a {name} has no default here; it may be absent: {name}?"
        case Enumerated(values):
            return f"one of: {', '.join(values)}"
        case Listed():
            return "a list begins empty: =[]"
        case Mapped():
            return "a dict begins empty: ={}"
        case Scalar("bool"):
            return "true or false"
        case Scalar("date"):
            return "e.g. 2026-01-31"
        case Scalar("datetime"):
            return "with its time zone, e.g. 2026-01-31T12:00:00Z"
        case Scalar("str"):
            return "one line of text without control characters"
        case _:
            return "give one that fits, or none"


def _example(name: str) -> str:
    return f"{name}:str" if re.fullmatch(r"[a-z][a-z0-9_]*", name) else "dish:str"
