"""Shows what differs between the read models that readers see and a shadow of them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from dolittle.runtime.shadows import Difference, KeyChange
from dolittle_cli.console import Console, printable
from dolittle_cli.past import NONE, field_json, value_text

FIELDS_MAX: Final = 20
"""Fields of one read model that are shown to a person; with ``--json`` all are."""

_SIGNS: Final = {"added": "+", "changed": "~", "deleted": "-"}


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as JSON-like values."""
    return {
        "projection": difference.projection,
        "id": difference.id,
        "before": difference.before or None,
        "after": difference.after,
        "position": difference.position,
        "unlike": difference.unlike,
        "added": difference.added,
        "changed": difference.changed,
        "deleted": difference.deleted,
        "same": difference.same,
        "failing_before": list(difference.failing_before),
        "failing": [
            {"key": row.partition, "position": row.position, "error": row.error}
            for row in difference.failing
        ],
        "keys": [
            {
                "key": item.key,
                "change": item.kind,
                "fields": [field_json(field) for field in item.fields],
            }
            for item in difference.keys
        ],
    }


def write_difference(console: Console, difference: Difference) -> None:
    """Write a difference for people: counts, then keys, then fields."""
    before = f"build {difference.before}" if difference.before else "nothing"
    console.data(
        console.bold(
            f"{difference.projection}: {difference.added:,} added, {difference.changed:,} changed, "
            f"{difference.deleted:,} deleted, {difference.same:,} the same"
        )
    )
    console.data(
        f"  before: {before}; after: build {difference.after}, the shadow; "
        f"both up to position {difference.position}"
    )
    if difference.unlike:
        console.note(
            f"{difference.unlike:,} events came while they were compared: one has them, the other "
            "has not; repeat it when fewer come"
        )
    for item in difference.keys:
        _write_key(console, item)
    rest = difference.changes - len(difference.keys)
    if rest:
        noun = "read model differs" if rest == 1 else "read models differ"
        console.note(f"{rest:,} more {noun}: -n {difference.changes} shows all")
    for row in difference.failing:
        known = " (as it does now)" if row.partition in difference.failing_before else ""
        console.data(
            console.cut(
                f"  ! {printable(row.partition)} ",
                printable(f"fails at position {row.position}{known}: {row.error}"),
            )
        )


def _write_key(console: Console, item: KeyChange) -> None:
    console.data(f"  {_SIGNS[item.kind]} {printable(item.key)}")
    for field in item.fields[:FIELDS_MAX]:
        texts = [
            NONE if value is msgspec.UNSET else printable(value_text(value))
            for value in (field.before, field.after)
        ]
        shown = texts[1] if item.kind == "added" else " -> ".join(texts)
        console.data(console.cut(f"      {printable(field.path)}: ", shown))
    rest = len(item.fields) - FIELDS_MAX
    if rest > 0:
        console.data(f"      and {rest:,} more: --json shows all")
