"""Writes down what was expected and what came instead, for a failing assertion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def events_differ(expected: Sequence[object], actual: Sequence[object], remark: str = "") -> str:
    """Return the message for events that are not the expected ones."""
    lines = ["expected events:", *_listed(expected), "actual events:", *_listed(actual)]
    if len(expected) == len(actual):
        for number, (wanted, found) in enumerate(zip(expected, actual, strict=True), start=1):
            if wanted != found:
                lines.append(f"first difference, event {number}: {_difference(wanted, found)}")
                break
    if remark:
        lines.append(remark)
    return "\n".join(lines)


def documents_differ(name: str, key: str, expected: object, actual: object) -> str:
    """Return the message for a read model that is not the expected one."""
    return "\n".join(
        [
            f"expected read model {name} {key!r}:",
            f"  {expected!r}",
            "actual read model:",
            f"  {actual!r}",
            f"difference: {_difference(expected, actual)}",
        ]
    )


def _listed(events: Sequence[object]) -> list[str]:
    return [f"  {event!r}" for event in events] or ["  none"]


def _difference(expected: Any, actual: Any) -> str:
    if type(expected) is not type(actual):
        return f"{type(expected).__name__} was expected, {type(actual).__name__} came"
    parts = [
        f"{field}: {getattr(expected, field)!r} was expected, {getattr(actual, field)!r} came"
        for field in type(expected).__struct_fields__
        if getattr(expected, field) != getattr(actual, field)
    ]
    return "; ".join(parts)
