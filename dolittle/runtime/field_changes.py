"""The fields of an aggregate instance as JSON-like values, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dolittle.aggregates import AggregateRoot


@dataclass(frozen=True)
class FieldChange:
    """A field that an event changed.

    Attributes:
        path: Of the field: ``ingredients``, ``address.city``, ``lines[2].count``.
        before: As JSON-like value; ``msgspec.UNSET`` where there was none.
        after: As JSON-like value; ``msgspec.UNSET`` where there is none any more.
    """

    path: str
    before: Any
    after: Any


def fields_of(instance: AggregateRoot) -> dict[str, Any]:
    """Return the fields of an aggregate instance as JSON-like values, a copy.

    What JSON has no form for is shown as Python writes it.
    """
    fields = {name: value for name, value in vars(instance).items() if not name.startswith("_")}
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fields, enc_hook=repr))
    return decoded


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """Return what differs between two states of one instance, nested fields by their paths."""
    return _differences("", before, after)


def _differences(path: str, before: Any, after: Any) -> list[FieldChange]:
    """Return what differs between two JSON-like values, each by the path to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        pairs = [
            (f"{path}.{name}" if path else name, before.get(name, _NO), after.get(name, _NO))
            for name in names
        ]
    elif isinstance(before, list) and isinstance(after, list):
        longest = max(len(before), len(after))
        pairs = [
            (
                f"{path}[{i}]",
                before[i] if i < len(before) else _NO,
                after[i] if i < len(after) else _NO,
            )
            for i in range(longest)
        ]
    else:
        # True == 1 in Python, and not in JSON.
        same = before == after and isinstance(before, bool) == isinstance(after, bool)
        return [] if same else [FieldChange(path, before, after)]
    return [change for where, old, new in pairs for change in _differences(where, old, new)]


_NO: Final = msgspec.UNSET
"""Stands where a value has no counterpart; ``None`` is a value."""
