"""Constraints on fields: limits that stand beside a type, checked before anything is stored.

They hold for what is new: an event that is about to be committed, the arguments of a command, the
state that a command leads to, a read model's document. What is stored already is read as it is,
so that a constraint may become tighter without making old events unreadable.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import inspect

from dolittle.limits import Constraint, Number

Check = Callable[[Any, str], str]
"""Takes a value and where it is; returns what is wrong with it, or nothing."""

CLASSES_MAX: Final = 4096
"""How many classes' checks are kept."""

_MARK: Final = "dolittle.constraint"
_NUMBERS: Final = (inspect.IntType, inspect.FloatType, inspect.DecimalType)
_SIZED: Final = (inspect.StrType, inspect.ListType, inspect.DictType)


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
    """Limit the values of a field.

    Written behind its type: ``quantity: Annotated[int, constraint(ge=1)]``.

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
