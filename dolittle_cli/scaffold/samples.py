"""Values that are made up for the tests that are generated, and for the commands that are shown."""

from __future__ import annotations

from typing import Final

from dolittle_cli.scaffold.layout import Group, Node, call, prefixed
from dolittle_cli.scaffold.types import (
    Code,
    Enumerated,
    FieldType,
    Foreign,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    annotation,
    member,
    python_text,
)


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
        case Listed(item):
            inner = sample(item, _one_of(word))
            if inner is None:
                return Code("[]")
            return Code(Group("[", (inner.node,), "]", "collection"), inner.imports)
        case Mapped(item):
            inner = sample(item, word)
            if inner is None:
                return Code("{}")
            item_entry = entry("a key", inner.node)
            return Code(Group("{", (item_entry,), "}", "collection"), inner.imports)
        case Maybe(item):
            return sample(item, word) or Code("None")
        case Foreign():
            return None


def stored_sample(of: FieldType, word: str) -> Node:
    """Return the JSON value that a store keeps for :func:`sample`, written as Python."""
    match of:
        case Scalar(name):
            return _STORED[name] if name != "str" else python_text(_indefinite(word))
        case Enumerated(values):
            return python_text(values[0])
        case Listed(item):
            if sample(item, word) is None:
                return "[]"
            return Group("[", (stored_sample(item, _one_of(word)),), "]", "collection")
        case Mapped(item):
            if sample(item, word) is None:
                return "{}"
            return Group("{", (entry("a key", stored_sample(item, word)),), "}", "collection")
        case Maybe(item):
            return stored_sample(item, word)
        case Foreign():
            return "None"


def typed_sample(of: FieldType, word: str) -> str:
    """Return :func:`sample` as it is typed on the command line: text as it is, JSON otherwise."""
    match of:
        case Maybe(item):
            return typed_sample(item, word)
        case Scalar() | Enumerated():
            return str(stored_sample(of, word)).strip('"').replace("True", "true")
        case _:
            return str(stored_sample(of, word)).replace("True", "true").replace("None", "null")


def entry(key: str, value: Node) -> Node:
    """Return an entry of a dict: ``"key": value``."""
    return prefixed(f'"{key}": ', value)


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
