"""The grammar of a field's type on the command line: ``list[int:ge=1]``, ``enum(new,paid)?``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dolittle.errors import suggest
from dolittle_cli.scaffold.limits import constrained, end_of_limits, parse_limits, parted
from dolittle_cli.scaffold.typed_field import TypedField, WrongField
from dolittle_cli.scaffold.types import (
    SCALARS,
    Enumerated,
    FieldType,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    Valued,
    member,
)

NESTING_MAX: Final = 3
"""How deep lists and dicts may nest."""

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
_NAME: Final = re.compile(r"[A-Za-z_0-9]*")
_SHELL: Final = "put it in quotes: 'tags:list[str]' 'note:str?' 'status:enum(new,paid)=new'"
_IN_PATTERN: Final = r"in a pattern, a bracket that is meant itself is written \[ or \]"


class TypeParser:
    """Reads one type from left to right."""

    def __init__(self, field: TypedField, at: int, values: Mapping[str, Valued]) -> None:
        """Read a field from a place on.

        Args:
            field: As it is typed.
            at: Where its type begins.
            values: The value objects that there are, by name.
        """
        self._field, self._text, self._at = field, field.text, at
        self._values = values

    def parse(self) -> tuple[FieldType, int]:
        """Return the type, and where it ends: before ``:``, ``=`` or with the text.

        An enum in it has no name yet.

        Raises:
            WrongField: What stands there means no type.
        """
        found = self._type(depth=0)
        self._skip_spaces()
        if self._at < len(self._text) and self._text[self._at] not in ":=":
            rest = re.split("[:=]", self._text[self._at :])[0]
            raise self._wrong(f"{rest!r} is too much", _SHELL)
        return found, self._at

    def _type(self, depth: int) -> FieldType:
        self._skip_spaces()
        begin = self._at
        if depth > NESTING_MAX:
            raise self._wrong(
                f"types nest at most {NESTING_MAX} deep", "make a class of it, by hand"
            )
        match = _NAME.match(self._text, self._at)
        word = match[0] if match else ""
        self._at += len(word)
        found: FieldType
        if word == "list" and self._takes("["):
            found = Listed(self._entry(depth + 1))
        elif word == "dict" and self._takes("["):
            if not self._takes("str"):
                raise self._wrong("the keys of a dict are str", "JSON has no others: dict[str,int]")
            self._expect(",")
            found = Mapped(self._entry(depth + 1))
        elif word == "enum" and self._takes("("):
            found = self._enum()
        elif word in SCALARS:
            found = Scalar(word)
        elif word in self._values:
            found = self._values[word]
        else:
            raise self._unknown(word, begin)
        return Maybe(found) if self._takes("?") else found

    def _entry(self, depth: int) -> FieldType:
        """Read the type of a list's or dict's entries, with their limits and the bracket."""
        found = self._type(depth)
        hint = _SHELL
        if self._takes("="):
            raise self._no_default(self._at)
        if self._takes(":"):
            begin, self._at = self._at, end_of_limits(self._text, self._at)
            text = self._text[begin : self._at]
            limits, default = parse_limits(self._field, found, parted(text, begin), is_entry=True)
            if default is not None:
                raise self._no_default(default.at)
            found = constrained(self._field, found, limits, begin)
            hint = _IN_PATTERN if limits.pattern else hint
        self._expect("]", hint)
        return found

    def _no_default(self, at: int) -> WrongField:
        return self._field.wrong(
            at,
            "an entry has no default",
            f"the field itself may have one, e.g. {self._field.name}:list[…]=[]",
        )

    def _enum(self) -> FieldType:
        end = self._text.find(")", self._at)
        if end < 0:
            raise self._wrong("the ')' of enum( is missing", _SHELL)
        values: list[str] = []
        for text in self._text[self._at : end].split(","):
            value = text.strip()
            if not _WORD.fullmatch(value):
                raise self._wrong(f"{value!r} is no value of an enum", "e.g. enum(new,paid)")
            if member(value) in map(member, values):
                raise self._wrong("two values of the enum are the same", "leave one of them")
            values.append(value)
            self._at += len(text) + 1
        return Enumerated(tuple(values))

    def _takes(self, text: str) -> bool:
        self._skip_spaces()
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _expect(self, text: str, hint: str = _SHELL) -> None:
        if not self._takes(text):
            raise self._wrong(f"{text!r} is missing", hint)

    def _skip_spaces(self) -> None:
        while self._text.startswith(" ", self._at):
            self._at += 1

    def _unknown(self, word: str, at: int) -> WrongField:
        better = _OTHER_NAMES.get(word.lower())
        names = (*SCALARS, *sorted(self._values), "list[…]", "dict[str,…]", "enum(…)")
        hint = f"did you mean {better}?" if better else suggest(word, names)
        if not better and word[:1].isupper() and not hint.startswith("did you mean"):
            hint = f"add it as a value object first: dolittle add value {word}"
        return self._field.wrong(at, f"there is no type {word!r}", hint)

    def _wrong(self, reason: str, hint: str) -> WrongField:
        return self._field.wrong(self._at, reason, hint)
