"""Lines of a person's own making: ``'{position} {type} {content.dish}'``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from dolittle.errors import suggest
from dolittle_cli.conditions.fields import FIELDS, MISSING, Step, Subject, follow, unknown_field
from dolittle_cli.console import printable
from dolittle_cli.errors import CommandLineError, WrongUsage

NONE: Final = "-"
"""Stands where an event lacks a field."""

_FIELD: Final = re.compile(r"(\w+)((?:\.\w[\w-]*|\[-?\d+\])*)")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(-?\d+)\]")
_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\"}


@dataclass(frozen=True)
class _Field:
    name: str
    steps: tuple[Step, ...]
    written: str


@dataclass
class LineTemplate:
    """A template, which remembers which fields of the content it has found so far."""

    parts: tuple[str | _Field, ...]
    _found: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    _events: int = 0

    def line(self, subject: Subject) -> str:
        """Return the line of an event; control characters in values are shown as escapes."""
        self._events += 1
        if isinstance(subject.content, dict):
            self._names.update(subject.content)
        return "".join(
            part if isinstance(part, str) else self._text(part, subject) for part in self.parts
        )

    def _text(self, part: _Field, subject: Subject) -> str:
        value = follow(FIELDS[part.name](subject), part.steps)
        if value is MISSING:
            return NONE
        self._found.add(part.written)
        return _value_text(value)

    def check_found(self) -> None:
        """Refuse a field that none of the events had.

        Raises:
            CommandLineError: There is one, and there were events.
        """
        for part in self.parts:
            if isinstance(part, _Field) and self._events and part.written not in self._found:
                hint = suggest(str(part.steps[0]), sorted(self._names)) if part.steps else ""
                raise CommandLineError(
                    f"none of these events has the field {{{part.written}}}", hint=hint
                )


def parse_line_template(text: str) -> LineTemplate:
    r"""Read a template: text with fields in braces; ``{{`` is a brace, ``\t`` a tab.

    Raises:
        WrongUsage: A brace has no partner, or a field is none of an event.
    """
    parts: list[str | _Field] = []
    index = 0
    while index < len(text):
        character, pair = text[index], text[index : index + 2]
        if pair in ("{{", "}}"):
            parts.append(character)
            index += 2
        elif character == "{":
            end = text.find("}", index)
            if end < 0:
                raise _refuse(text, index, "this brace is not closed", "a brace itself is {{")
            parts.append(_field(text, index, text[index + 1 : end]))
            index = end + 1
        elif character == "}":
            raise _refuse(text, index, "this brace was not opened", "a brace itself is }}")
        elif character == "\\" and text[index + 1 : index + 2] in _ESCAPES:
            parts.append(_ESCAPES[text[index + 1]])
            index += 2
        else:
            parts.append(character)
            index += 1
    return LineTemplate(tuple(parts))


def _field(text: str, index: int, written: str) -> _Field:
    found = _FIELD.fullmatch(written)
    if found is None:
        raise _refuse(text, index + 1, f"{written!r} is no field", "a field is content.dish")
    name, rest = found[1], found[2]
    if name not in FIELDS:
        reason = f"there is no field {name!r} of an event"
        raise _refuse(text, index + 1, reason, unknown_field(name))
    if rest and name != "content":
        reason = f"{name} has no fields of its own"
        raise _refuse(text, index + 1, reason, "content has: content.dish")
    steps = tuple(step[1] if step[1] else int(step[2]) for step in _STEP.finditer(rest))
    return _Field(name, steps, written)


def _refuse(text: str, column: int, reason: str, hint: str) -> WrongUsage:
    shown = text.replace("\n", " ").replace("\t", " ")
    return WrongUsage(f"-o: {reason}\n  {shown}\n  {' ' * column}^", hint=hint)


def _value_text(value: Any) -> str:
    if value is None:
        return NONE
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
