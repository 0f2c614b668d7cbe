"""Constraints on fields: limits that stand beside a type, checked before anything is stored.

They hold for what is new: an event that is about to be committed, the arguments of a command, the
state that a command leads to, a read model's document. What is stored already is read as it is,
so that a constraint may become tighter without making old events unreadable.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import inspect

Number = int | float | Decimal
Check = Callable[[Any, str], str]
"""Takes a value and where it is; returns what is wrong with it, or nothing."""

SHOWN_CHARACTERS_MAX: Final = 80
"""Characters of a value in a message."""

CLASSES_MAX: Final = 4096
"""How many classes' checks are kept."""

_MARK: Final = "dolittle.constraint"
_NUMBERS: Final = (inspect.IntType, inspect.FloatType, inspect.DecimalType)
_SIZED: Final = (inspect.StrType, inspect.ListType, inspect.DictType)
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
                re.compile(self.pattern)
            except (re.error, OverflowError, TypeError) as error:
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


def constraint(
    *,
    ge: Number | None = None,
    gt: Number | None = None,
    le: Number | None = None,
    lt: Number | None = None,
    multiple_of: Number | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    example: Any = None,
) -> msgspec.Meta:
    """Limit the values of a field, as in ``quantity: Annotated[int, constraint(ge=1)]``.

    The arguments are those of :class:`Constraint`. Limits that mean nothing for the field's type,
    or contradict one another, are problems that are reported when the microservice is loaded.
    """
    made = Constraint(ge, gt, le, lt, multiple_of, min_length, max_length, pattern, example)
    return msgspec.Meta(
        examples=None if example is None else [example],
        extra_json_schema=made.schema() if not made.contradiction() else {},
        extra={_MARK: made},
    )


def violation_of(value: object) -> str:
    """Return which constraint a struct breaks, nested values included, or nothing."""
    cls: type = type(value)
    check = _check_of(cls)
    return check(value, "$") if check else ""


def check_of_type(of: Any) -> Check | None:
    """Return a check of values of any type, or ``None`` where nothing is constrained.

    Raises:
        TypeError: The type is none that ``msgspec`` knows.
    """
    return _compiled(inspect.type_info(of), {})


def constraint_problems(cls: type, noun: str = "field") -> list[str]:
    """Return what is wrong with the constraints of a struct class's own fields and defaults.

    Args:
        cls: A struct class.
        noun: What one field is called in the messages.
    """
    try:
        info = inspect.type_info(cls)
    except (TypeError, NameError, AttributeError, ValueError):
        return []  # it cannot be stored, which is reported as a problem of its own
    problems = []
    for item in getattr(info, "fields", ()):
        found = list(_problems(item.type))
        default = item.default
        if not found and default is not msgspec.NODEFAULT:
            check = _compiled(item.type, {})
            reason = check(default, item.name) if check else ""
            found = [f"its default does not fit: {reason}"] if reason else []
        problems += [f"{noun} {item.name!r}: {reason}" for reason in found]
    return problems


def type_problems(of: Any) -> list[str]:
    """Return what is wrong with the constraints in a type."""
    return list(_problems(inspect.type_info(of)))


@functools.lru_cache(maxsize=CLASSES_MAX)
def _check_of(cls: type) -> Check | None:
    return _compiled(inspect.type_info(cls), {})


def _compiled(node: inspect.Type, seen: dict[type, Check]) -> Check | None:
    """Turn a type into a check; ``None`` where nothing in it is constrained."""
    match node:
        case inspect.Metadata(type=inner, extra=extra):
            own = (extra or {}).get(_MARK)
            checks = [_compiled(inner, seen), _limits(own) if own else None]
            return _all(tuple(check for check in checks if check))
        case inspect.UnionType(types=types):
            options = [(_class_of(item), _compiled(item, seen)) for item in types]
            return _one_of(tuple((cls, check) for cls, check in options if check))
        case (
            inspect.ListType(item_type=inner)
            | inspect.SetType(item_type=inner)
            | inspect.FrozenSetType(item_type=inner)
            | inspect.VarTupleType(item_type=inner)
        ):
            return _each(_compiled(inner, seen))
        case inspect.TupleType(item_types=inners):
            return _parts(tuple((i, _compiled(inner, seen)) for i, inner in enumerate(inners)))
        case inspect.DictType(key_type=key, value_type=inner):
            return _entries(_compiled(key, seen), _compiled(inner, seen))
        case inspect.StructType(cls=cls) | inspect.DataclassType(cls=cls):
            return _attributes(cls, node.fields, seen)
        case _:
            return None


def _limits(own: Constraint) -> Check:
    def check(value: Any, at: str) -> str:
        if value is None or value is msgspec.UNSET:
            return ""
        reason = own.violation(value)
        return f"{reason} - at `{at}`" if reason else ""

    return check


def _all(checks: tuple[Check, ...]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None
    return lambda value, at: next((r for c in checks if (r := c(value, at))), "")


def _one_of(options: tuple[tuple[Any, Check], ...]) -> Check | None:
    if not options:
        return None

    def check(value: Any, at: str) -> str:
        for cls, found in options:
            if isinstance(value, cls):
                return found(value, at)
        return ""

    return check


def _each(inner: Check | None) -> Check | None:
    if inner is None:
        return None
    return lambda value, at: next(
        (r for i, item in enumerate(_plain(value)) if (r := inner(item, f"{at}[{i}]"))), ""
    )


def _parts(inners: tuple[tuple[int, Check | None], ...]) -> Check | None:
    checked = [(index, inner) for index, inner in inners if inner]
    if not checked:
        return None
    return lambda value, at: next(
        (r for i, inner in checked if (r := inner(value[i], f"{at}[{i}]"))), ""
    )


def _entries(key: Check | None, inner: Check | None) -> Check | None:
    if key is None and inner is None:
        return None

    def check(value: Any, at: str) -> str:
        for name, item in _plain(value, dict).items():
            reason = key(name, f"{at}[...]") if key else ""
            reason = reason or (inner(item, f"{at}[{name!r}]") if inner else "")
            if reason:
                return reason
        return ""

    return check


def _attributes(cls: type, items: tuple[Any, ...], seen: dict[type, Check]) -> Check | None:
    """Check a struct's fields; one that contains itself is looked up when it is met again."""
    if cls in seen:
        return seen[cls]
    checked: list[tuple[str, str, Check]] = []

    def check(value: Any, at: str) -> str:
        for name, shown, inner in checked:
            found = getattr(value, name)
            if found is not msgspec.UNSET:
                reason = inner(found, f"{at}.{shown}")
                if reason:
                    return reason
        return ""

    seen[cls] = check
    for item in items:
        inner = _compiled(item.type, seen)
        if inner:
            checked.append((item.name, item.encode_name, inner))
    return check if checked else None


def _plain(value: Any, empty: Any = tuple) -> Any:
    return empty() if value is msgspec.UNSET else value


def _class_of(node: inspect.Type) -> Any:
    """Return the class of a type's values, as ``isinstance`` wants it."""
    while isinstance(node, inspect.Metadata):
        node = node.type
    cls = getattr(node, "cls", None)
    return cls or _CLASSES.get(type(node), object)


def _problems(node: inspect.Type) -> Iterator[str]:
    """Find constraints that mean nothing for their type, in a type but not in nested classes."""
    match node:
        case inspect.Metadata(type=inner, extra=extra):
            own = (extra or {}).get(_MARK)
            if own is not None:
                yield from _problems_of(own, inner)
            yield from _problems(inner)
        case inspect.UnionType(types=inners) | inspect.TupleType(item_types=inners):
            for inner in inners:
                yield from _problems(inner)
        case inspect.DictType(key_type=key, value_type=inner):
            yield from _problems(key)
            yield from _problems(inner)
        case _:
            item: inspect.Type | None = getattr(node, "item_type", None)
            if item is not None:
                yield from _problems(item)


def _problems_of(own: Constraint, node: inspect.Type) -> Iterator[str]:
    options = node.types if isinstance(node, inspect.UnionType) else (node,)
    for option in options:
        if isinstance(option, inspect.NoneType):
            continue
        while isinstance(option, inspect.Metadata):
            option = option.type
        is_text = isinstance(option, inspect.StrType)
        name = own.misfit(isinstance(option, _NUMBERS), is_text, isinstance(option, _SIZED))
        if name:
            of = type(option).__name__.removesuffix("Type").lower()
            yield f"the constraint {name} means nothing for a {of}"
            return
    reason = own.contradiction()
    if reason:
        yield f"the constraint cannot be met: {reason}"
    elif own.example is not None and own.violation(own.example):
        yield f"the example does not fit: {own.violation(own.example)}"


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
_CLASSES: Final[dict[type, Any]] = {
    inspect.IntType: int,
    inspect.FloatType: (int, float),
    inspect.DecimalType: Decimal,
    inspect.StrType: str,
    inspect.ListType: list,
    inspect.DictType: dict,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
    inspect.TupleType: tuple,
    inspect.VarTupleType: tuple,
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
