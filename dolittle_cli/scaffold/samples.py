"""Values that are made up for the tests that are generated, and for the commands that are shown."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from dolittle.limits import Constraint
from dolittle_cli.scaffold.layout import Group, Node, call, keyword, prefixed
from dolittle_cli.scaffold.patterns import matching_text
from dolittle_cli.scaffold.types import (
    Code,
    Constrained,
    Enumerated,
    FieldType,
    Foreign,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    Valued,
    annotation,
    member,
    python_text,
)

ENTRIES_MAX: Final = 5
"""How many entries of a list or dict are made up."""

_KEYS: Final = ("a key", "another key", "a third key", "a fourth key", "a fifth key")
_TEXT_CHARACTERS_MAX: Final = 60
"""Characters of a text that is made up."""


def sample(of: FieldType, word: str) -> Code | None:
    """Return a value for a test, or ``None`` where none can be thought of.

    Args:
        of: The type.
        word: What a text is about: ``dish`` gives ``"a dish"``.
    """
    match of:
        case Scalar("str"):
            return Code(python_text(_indefinite(word)))
        case Scalar(name):
            return _SAMPLES[name]
        case Enumerated(values, name, module):
            imports = frozenset([(module, name)] if module else [])
            return Code(f"{name}.{member(values[0])}", imports)
        case Listed() | Mapped():
            return _sample_container(of, 1, word)
        case Maybe(item):
            return sample(item, word) or Code("None")
        case Valued():
            return _sample_value(of)
        case Constrained(item, limits):
            return _sample_within(item, limits, word)
        case Foreign():
            return None


def stored_sample(of: FieldType, word: str) -> Node:
    """Return the JSON value that a store keeps for :func:`sample`, written as Python."""
    match of:
        case Scalar(name):
            return _STORED[name] if name != "str" else python_text(_indefinite(word))
        case Enumerated(values):
            return python_text(values[0])
        case Listed() | Mapped():
            return _stored_container(of, 1, word)
        case Maybe(item):
            return stored_sample(item, word)
        case Valued(fields=fields):
            entries = [
                entry(field.name, stored_sample(field.type, field.name.replace("_", " ")))
                for field in fields
            ]
            return Group("{", tuple(entries), "}", "collection")
        case Constrained(item, limits):
            return _stored_within(item, limits, word)
        case Foreign():
            return "None"


def typed_sample(of: FieldType, word: str) -> str:
    """Return :func:`sample` as it is typed on the command line: text as it is, JSON otherwise."""
    value = ast.literal_eval(str(stored_sample(of, word)))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def entry(key: str, value: Node) -> Node:
    """Return an entry of a dict: ``"key": value``."""
    return prefixed(f'"{key}": ', value)


def _sample_container(of: Listed | Mapped, count: int, word: str) -> Code:
    """Return a list or dict of so many entries; without any where none can be thought of."""
    inner = sample(of.item, _one_of(word) if isinstance(of, Listed) else word)
    nodes = (inner.node,) * count if inner else ()
    return Code(_container(of, nodes), inner.imports if inner and count else frozenset())


def _stored_container(of: Listed | Mapped, count: int, word: str) -> Node:
    if sample(of.item, word) is None:
        return _container(of, ())
    inner = stored_sample(of.item, _one_of(word) if isinstance(of, Listed) else word)
    return _container(of, (inner,) * count)


def _container(of: Listed | Mapped, nodes: tuple[Node, ...]) -> Node:
    if isinstance(of, Listed):
        return Group("[", nodes, "]", "collection") if nodes else "[]"
    entries = tuple(entry(key, node) for key, node in zip(_KEYS, nodes, strict=False))
    return Group("{", entries, "}", "collection") if entries else "{}"


def _sample_value(of: Valued) -> Code | None:
    items: list[Node] = []
    imports = {(of.module, of.name)}
    for field in of.fields:
        value = sample(field.type, field.name.replace("_", " "))
        if value is None:
            return None
        items.append(keyword(field.name, value.node))
        imports |= value.imports
    return Code(call(of.name, items), frozenset(imports))


def _sample_within(of: FieldType, limits: Constraint, word: str) -> Code | None:
    """Return a value that fits its limits, or ``None`` where none is found."""
    match of:
        case Scalar(name):
            value = _within(name, limits, word)
            return None if value is None else _written(value, _imports_of(name))
        case Listed() | Mapped():
            count = _entries(limits)
            if count is None or (count and sample(of.item, word) is None):
                return None
            return _sample_container(of, count, word)
        case _:
            return sample(of, word)


def _stored_within(of: FieldType, limits: Constraint, word: str) -> Node:
    match of:
        case Scalar(name):
            value = _within(name, limits, word)
            if isinstance(value, str | Decimal):
                return python_text(str(value))
            return repr(value)
        case Listed() | Mapped():
            return _stored_container(of, _entries(limits) or 0, word)
        case _:
            return stored_sample(of, word)


def _entries(limits: Constraint) -> int | None:
    """Return how many entries are made up: one, or as many as it must be."""
    least, most = limits.min_length or 0, limits.max_length
    count = max(least, 1) if most is None else min(max(least, 1), most)
    return count if count <= ENTRIES_MAX else None


def _within(name: str, limits: Constraint, word: str) -> Any:
    """Return the first value thought of that fits its limits, or ``None``."""
    candidates = _texts(limits, word) if name == "str" else _numbers(name, limits)
    return next((value for value in candidates if not limits.violation(value)), None)


def _texts(limits: Constraint, word: str) -> Iterator[str]:
    if limits.example is not None:
        yield limits.example
    plain = _indefinite(word)
    found = matching_text(limits.pattern) if limits.pattern else None
    for text in (plain, word, found):
        if text is not None:
            yield text
            yield text[: limits.max_length]
            if (limits.min_length or 0) <= _TEXT_CHARACTERS_MAX:
                yield text.ljust(limits.min_length or 0, text[-1:] or "x")


def _numbers(name: str, limits: Constraint) -> Iterator[Any]:
    """Think of numbers: a plain one, then those at the bounds and between them."""
    if limits.example is not None:
        yield limits.example
    make: Any = {"int": int, "float": float, "Decimal": Decimal}[name]
    yield {"int": 3, "float": 1.5, "Decimal": Decimal("9.50")}[name]
    bounds = [
        Decimal(str(bound))
        for bound in (limits.ge, limits.gt, limits.le, limits.lt)
        if bound is not None
    ]
    step = Decimal(str(limits.multiple_of)) if limits.multiple_of is not None else None
    if step is not None:
        starts = [(bound / step).to_integral_value(ROUND_CEILING) for bound in bounds]
        wanted = [(start + more) * step for start in [*starts, Decimal(0)] for more in (0, 1, -1)]
    else:
        ends = [bound + more for bound in bounds for more in (0, 1, -1)]
        wanted = [*ends, (min(bounds) + max(bounds)) / 2] if bounds else []
    for number in wanted:
        if name != "int" or number == number.to_integral_value():
            yield make(number)


def _written(value: Any, imports: Code) -> Code:
    if isinstance(value, Decimal):
        return Code(call("Decimal", [python_text(str(value))]), imports.imports)
    return Code(python_text(value) if isinstance(value, str) else repr(value))


def _imports_of(name: str) -> Code:
    return annotation(Scalar(name))


def _indefinite(word: str) -> str:
    if _is_plural(word):
        return f"some {word}"
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"


def _one_of(word: str) -> str:
    """Return what one item of a list is about: ``tags`` → ``tag``."""
    return word[:-1] if _is_plural(word) else word


def _is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))


_UTC: Final = frozenset({("datetime", "UTC"), ("datetime", "datetime")})
_SAMPLES: Final = {
    "int": Code("3"),
    "float": Code("1.5"),
    "bool": Code("True"),
    "Decimal": Code(call("Decimal", ['"9.50"']), annotation(Scalar("Decimal")).imports),
    "date": Code(call("date", ["2026", "1", "31"]), annotation(Scalar("date")).imports),
    "datetime": Code(call("datetime", ["2026", "1", "31", "12", "tzinfo=UTC"]), _UTC),
    "UUID": Code(call("UUID", ["int=7"]), annotation(Scalar("UUID")).imports),
}
_STORED: Final = {
    "int": "3",
    "float": "1.5",
    "bool": "True",
    "Decimal": '"9.50"',
    "date": '"2026-01-31"',
    "datetime": '"2026-01-31T12:00:00Z"',
    "UUID": '"00000000-0000-0000-0000-000000000007"',
}
