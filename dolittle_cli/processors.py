"""How handlers and projections are shown: in lists, one by one, and their failing partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

from dolittle.runtime.event_json import time_json
from dolittle.runtime.microservice import ProcessorStatus
from dolittle.runtime.state import FailingPartition
from dolittle_cli.console import Console

LAG_COUNTED_MAX: Final = 10_000
"""A lag is counted up to here. Source: ``Microservice.processor_status``."""


def status_word(status: ProcessorStatus) -> str:
    """Return what a person wants to know first."""
    if not status.is_started:
        return "not started"
    if any(row.is_parked for row in status.failing):
        return "parked"
    if status.failing:
        return "failing"
    if status.is_replaying:
        return "replaying" if status.kind == "handler" else "rebuilding"
    return "lagging" if status.behind else "level"


def status_json(status: ProcessorStatus) -> dict[str, Any]:
    """Return a status as JSON-like values; failing partitions as a number."""
    return {
        status.kind: status.name,
        "id": status.id,
        "status": status_word(status),
        "position": status.position if status.is_started else None,
        "lag": status.behind,
        "failing": len(status.failing),
    }


def failing_json(row: FailingPartition) -> dict[str, Any]:
    """Return a failing partition as JSON-like values, with its traceback."""
    return {
        "partition": row.partition,
        "position": row.position,
        "attempts": row.attempts,
        "failed_at": time_json(row.failed_at),
        "retry_at": None if row.is_parked else time_json(row.retry_at),
        "is_parked": row.is_parked,
        "error": row.error,
        "traceback": row.traceback,
    }


def position_text(status: ProcessorStatus) -> str:
    """Return a position, or ``-`` where it has none yet."""
    return str(status.position) if status.is_started else "-"


def lag_text(status: ProcessorStatus) -> str:
    """Return how many events are still to come, as far as they are counted."""
    if status.behind >= LAG_COUNTED_MAX:
        return f"{LAG_COUNTED_MAX:,} or more"
    return str(status.behind)


def write_failing(console: Console, rows: Sequence[FailingPartition]) -> None:
    """Write failing partitions as a table to stdout."""
    if not rows:
        return
    console.data("")
    console.table(
        ("failing partition", "position", "attempts", "next try", "error"),
        [
            (
                row.partition or "(all)",
                str(row.position),
                str(row.attempts),
                "parked"
                if row.is_parked
                else row.retry_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
                row.error,
            )
            for row in rows
        ],
    )
