"""Bytes on disk against the events' own JSON; measured when the logs are prepared."""

from __future__ import annotations

import json

from benchmarks.measuring import Contestant, Figures, Row, Target, Work


def size(work: Work, prepared: str) -> Figures:
    """Return what the preparation of a log found."""
    figures: Figures = json.loads((work.data / f"{prepared}.json").read_text())
    return figures


def _row(id: str, title: str, log: str) -> Row:
    names = {"dolittle": log, **{n: f"{n} {log}" for n in ("sqlite", "eventsourcing", "umadb")}}
    return Row(
        id,
        title,
        tuple(
            Contestant(
                name,
                "disk:size",
                {"prepared": prepared},
                is_peer=name in ("eventsourcing", "umadb"),
                is_once=True,
            )
            for name, prepared in names.items()
        ),
        (
            Target("log, index and the rest, of the JSON", "dolittle", "ratio", at_most=1.3),
            Target("the log alone, of the JSON", "dolittle", "log alone", at_most=1.3),
        ),
        needs=tuple(names.values()),
    )


ROWS = (
    _row("disk", "bytes on disk, events committed 100 at a time", "batches"),
    _row("disk-singles", "bytes on disk, events committed 1 at a time", "scattered"),
)
