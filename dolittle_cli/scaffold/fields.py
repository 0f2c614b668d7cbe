"""The grammar of fields on the command line: ``name:type=default``.

::

    field   = name ":" type [ "=" default ]
    type    = ( scalar | "list[" type "]" | "dict[str," type "]" | "enum(" word, … ")" ) [ "?" ]
    scalar  = str | int | float | bool | Decimal | date | datetime | UUID
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID

from dolittle.errors import suggest
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.layout import Node, call
from dolittle_cli.scaffold.names import check_field_name
from dolittle_cli.scaffold.types import (
    SCALARS,
    Code,
    Enumerated,
    Field,
    FieldType,
    Foreign,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    annotation,
    enums,
    member,
    named_enums,
    python_text,
)

NESTING_MAX: Final = 3
"""How deep lists and dicts may nest."""

DEFAULT_CHARACTERS_MAX: Final = 80
"""Characters of a default."""

_OTHER_NAMES: Final = {
    "string": "str", "text": "str", "varchar": "str", "char": "str",
    "integer": "int", "number": "int", "long": "int", "bigint": "int",
    "boolean": "bool", "double": "float", "real": "float",
    "decimal": "Decimal", "money": "Decimal", "numeric": "Decimal",
    "timestamp": "datetime", "time": "datetime", "day": "date",
    "uuid": "UUID", "guid": "UUID", "id": "UUID",
    "array": "list[str]", "list": "list[str]", "map": "dict[str,str]", "dict": "dict[str,str]",
    "object": "dict[str,str]", "json": "dict[str,str]", "enum": "enum(new,paid)",
}  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
_SHELL: Final = "put it in quotes: 'tags:list[str]' 'note:str?' 'status:enum(new,paid)=new'"


def parse_fields(texts: Sequence[str], owner: str, *, taken: Collection[str] = ()) -> list[Field]:
    """Read fields as they are typed, those without a default first.

    Args:
        texts: One field each.
        owner: The class that gets them; an enum is named after it and its field.
        taken: Names that the class has for something else.

    Raises:
        WrongUsage: A name, a type or a default cannot be used, or a name comes twice.
    """
    fields: dict[str, Field] = {}
    for text in texts:
        found = parse_field(text, owner, taken=taken)
        if found.name in fields:
            raise WrongUsage(f"the field {found.name!r} is given twice", hint="leave one of them")
        fields[found.name] = found
    return sorted(fields.values(), key=lambda item: item.default is not None)


def parse_field(text: str, owner: str, *, taken: Collection[str] = ()) -> Field:
    """Read one field; see :func:`parse_fields`.

    Raises:
        WrongUsage: Its name, type or default cannot be used.
    """
    name, colon, rest = text.partition(":")
    if not colon or not rest:
        raise WrongUsage(
            f"{text!r} is no field",
            hint=f"write name:type or name:type=default, e.g. {_example(name)}",
        )
    check_field_name(name, taken=taken)
    type_text, equals, default_text = rest.partition("=")
    parser = _TypeParser(name, type_text.replace(" ", ""))
    enum_name = owner + "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    of = named_enums(parser.parse(), enum_name)
    if not equals:
        return Field(name, of, Code("None") if isinstance(of, Maybe) else None)
    if len(default_text) > DEFAULT_CHARACTERS_MAX:
        raise WrongUsage(
            f"field {name!r}: a default has at most {DEFAULT_CHARACTERS_MAX} characters, "
            f"this one has {len(default_text)}",
            hint="give a short one, and change it in the generated file",
        )
    return Field(name, of, _default(name, of, default_text))


def is_field(text: str) -> bool:
    """Tell whether something typed is meant to be a field."""
    return ":" in text


class _TypeParser:
    """Reads one type from left to right."""

    def __init__(self, field: str, text: str) -> None:
        self._field, self._text, self._at = field, text, 0

    def parse(self) -> FieldType:
        found = self._type(depth=0)
        if self._at < len(self._text):
            raise self._wrong(f"{self._text[self._at :]!r} is too much", _SHELL)
        return found

    def _type(self, depth: int) -> FieldType:
        if depth > NESTING_MAX:
            raise self._wrong(
                f"types nest at most {NESTING_MAX} deep", "make a class of it, by hand"
            )
        match = re.compile(r"[A-Za-z_0-9]*").match(self._text, self._at)
        word = match[0] if match else ""
        self._at += len(word)
        found: FieldType
        if word == "list" and self._takes("["):
            found = Listed(self._type(depth + 1))
            self._expect("]")
        elif word == "dict" and self._takes("["):
            if not self._takes("str"):
                raise self._wrong("the keys of a dict are str", "JSON has no others: dict[str,int]")
            self._expect(",")
            found = Mapped(self._type(depth + 1))
            self._expect("]")
        elif word == "enum" and self._takes("("):
            found = self._enum()
        elif word in SCALARS:
            found = Scalar(word)
        else:
            raise self._unknown(word)
        return Maybe(found) if self._takes("?") else found

    def _enum(self) -> FieldType:
        end = self._text.find(")", self._at)
        if end < 0:
            raise self._wrong("the ')' of enum( is missing", _SHELL)
        values = self._text[self._at : end].split(",")
        self._at = end + 1
        for value in values:
            if not _WORD.fullmatch(value):
                raise self._wrong(f"{value!r} is no value of an enum", "e.g. enum(new,paid)")
        if len({member(value) for value in values}) < len(values):
            raise self._wrong("two values of the enum are the same", "leave one of them")
        return Enumerated(tuple(values))

    def _takes(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _expect(self, text: str, hint: str = _SHELL) -> None:
        if not self._takes(text):
            raise self._wrong(f"{text!r} is missing in {self._text!r}", hint)

    def _unknown(self, word: str) -> WrongUsage:
        better = _OTHER_NAMES.get(word.lower())
        names = (*SCALARS, "list[…]", "dict[str,…]", "enum(…)")
        hint = f"did you mean {better}?" if better else suggest(word, names)
        return self._wrong(f"there is no type {word!r}", hint)

    def _wrong(self, reason: str, hint: str) -> WrongUsage:
        return WrongUsage(f"field {self._field!r}: {reason}", hint=hint)


def _default(field: str, of: FieldType, text: str) -> Code:
    try:
        return _value(of, text)
    except (ValueError, InvalidOperation) as error:
        wanted = "value of the enum" if enums(of) else annotation(of).node
        raise WrongUsage(
            f"field {field!r}: the default {text!r} is no {wanted}", hint=_default_hint(of)
        ) from error


def _value(of: FieldType, text: str) -> Code:
    """Write a default's text as Python; ``ValueError`` where it does not fit the type."""
    match of:
        case Maybe(item):
            return Code("None") if text in ("none", "None", "null") else _value(item, text)
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
        case Foreign():
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
        case Maybe(item):
            return _default_hint(item)
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
