"""The grammar of a field's type on the command line: ``list[Line]``, ``enum(new,paid)?``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dolittle.errors import suggest
from dolittle_cli.errors import WrongUsage
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
_SHELL: Final = "put it in quotes: 'tags:list[str]' 'note:str?' 'status:enum(new,paid)=new'"


class TypeParser:
    """Reads one type from left to right."""

    def __init__(self, field: str, text: str, values: Mapping[str, Valued]) -> None:
        self._field, self._text, self._at = field, text, 0
        self._values = values

    def parse(self) -> FieldType:
        """Return the type that the whole text means; an enum in it has no name yet.

        Raises:
            WrongUsage: It means none.
        """
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
        elif word in self._values:
            found = self._values[word]
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
        names = (*SCALARS, *sorted(self._values), "list[…]", "dict[str,…]", "enum(…)")
        hint = f"did you mean {better}?" if better else suggest(word, names)
        if not better and word[:1].isupper() and not hint.startswith("did you mean"):
            hint = f"add it as a value object first: dolittle add value {word}"
        return self._wrong(f"there is no type {word!r}", hint)

    def _wrong(self, reason: str, hint: str) -> WrongUsage:
        return WrongUsage(f"field {self._field!r}: {reason}", hint=hint)
