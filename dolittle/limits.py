"""The limits of one field: what they mean, and how a JSON schema says them."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

Number = int | float | Decimal
SHOWN_CHARACTERS_MAX: Final = 80
"""Characters of a value in a message."""

_WORDS: Final = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "multiple_of": "a multiple of",
    "pattern": "a match of",
}
_IN_SCHEMAS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}


@dataclass(frozen=True)
class Constraint:
    """The limits of one field; those that are ``None`` do not limit.

    Attributes:
        ge: Numbers: at least.
        gt: Numbers: more than.
        le: Numbers: at most.
        lt: Numbers: less than.
        multiple_of: Numbers: times a whole number; more than 0.
        min_length: Text: characters; lists and dicts: entries. At least.
        max_length: The same, at most.
        pattern: Text: a regular expression that is found somewhere in it; ``^`` and ``$`` tie it
            to the ends.
        example: A value that fits, shown in schemas and used in generated tests.
    """

    ge: Number | None = None
    gt: Number | None = None
    le: Number | None = None
    lt: Number | None = None
    multiple_of: Number | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    example: Any = None

    def given(self) -> dict[str, Any]:
        """Return what is not ``None``, by name."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if value is not None}

    def misfit(self, is_number: bool, is_text: bool, is_sized: bool) -> str:
        """Return the name of a limit that means nothing for a kind of values, or nothing."""
        for name in self.given():
            if name in ("min_length", "max_length"):
                means_something = is_sized
            elif name == "pattern":
                means_something = is_text
            else:
                means_something = is_number or name == "example"
            if not means_something:
                return name
        return ""

    def contradiction(self) -> str:
        """Return why these limits cannot be meant, or nothing."""
        for name in ("ge", "gt", "le", "lt", "multiple_of"):
            value = getattr(self, name)
            if value is not None and not _is_finite(value):
                return f"{name}={value!r} is no number to compare with"
        if self.multiple_of is not None and self.multiple_of <= 0:
            return f"multiple_of={self.multiple_of} is not more than 0"
        for name in ("min_length", "max_length"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 0):
                return f"{name}={value!r} is no length"
        if self.pattern is not None:
            try:
                with warnings.catch_warnings():
                    # What may mean something else in a later Python is not stored in a schema.
                    warnings.simplefilter("error")
                    re.compile(self.pattern)
            except (re.error, OverflowError, TypeError, Warning) as error:
                return f"pattern={self.pattern!r} is no regular expression: {error}"
        return self._empty_range()

    def violation(self, value: Any) -> str:
        """Return what is wrong with a value of the right type, or nothing."""
        for name, limit in self.given().items():
            if name != "example" and not _HOLDS[name](value, limit):
                return f"expected {_wanted(name, limit, value)}, got {_shown(value)}"
        return ""

    def schema(self) -> dict[str, Any]:
        """Return the limits as JSON Schema says them; for lengths, of each type that has one."""
        found: dict[str, Any] = {}
        for name, value in self.given().items():
            if name in _IN_SCHEMAS:
                found[_IN_SCHEMAS[name]] = _json_number(value)
            elif name != "example":
                extreme = name.removesuffix("_length")
                found |= {f"{extreme}{noun}": value for noun in ("Length", "Items", "Properties")}
        return found

    def _empty_range(self) -> str:
        least = [value for value in (self.ge, self.gt) if value is not None]
        most = [value for value in (self.le, self.lt) if value is not None]
        if least and most:
            low, high = max(least), min(most)
            is_open = low == self.gt or high == self.lt
            if low > high or (low == high and is_open):
                return f"no number is between {low} and {high}"
        if None not in (self.min_length, self.max_length) and (
            (self.min_length or 0) > (self.max_length or 0)
        ):
            return f"no length is between {self.min_length} and {self.max_length}"
        return ""


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and math.isfinite(value)


def _is_multiple(value: Any, of: Any) -> bool:
    # A float is taken as people read it: 0.3 is a multiple of 0.1.
    return Decimal(str(value)) % Decimal(str(of)) == 0


def _comparable(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Refuse what is no finite number, which compares with nothing."""
    return lambda value, limit: math.isfinite(value) and holds(value, limit)


_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "ge": _comparable(lambda value, limit: value >= limit),
    "gt": _comparable(lambda value, limit: value > limit),
    "le": _comparable(lambda value, limit: value <= limit),
    "lt": _comparable(lambda value, limit: value < limit),
    "multiple_of": _comparable(_is_multiple),
    "min_length": lambda value, limit: len(value) >= limit,
    "max_length": lambda value, limit: len(value) <= limit,
    "pattern": lambda value, limit: re.search(limit, value) is not None,
}


def _wanted(name: str, limit: Any, value: Any) -> str:
    if name in _WORDS:
        return f"{_WORDS[name]} {limit!r}" if name == "pattern" else f"{_WORDS[name]} {limit}"
    noun = "character" if isinstance(value, str) else "entry"
    if limit != 1:
        noun = "characters" if isinstance(value, str) else "entries"
    return f"at {'least' if name == 'min_length' else 'most'} {limit} {noun}"


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, int | float | Decimal) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def _json_number(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
