"""One line for people for each event: position, time, type, source, aggregate, content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec

from dolittle.runtime.event_json import Aliases
from dolittle.store import CommittedEvent
from dolittle_cli.console import Console, printable

TITLES: Final = ("POSITION", "TIME", "TYPE", "SOURCE", "AGGREGATE", "CONTENT")
NONE: Final = "-"
"""Stands where an event has no aggregate."""

COLUMN_MAX: Final = 40
"""Columns are padded up to here; a longer cell takes its room and pads no other line."""

_BARE: Final = re.compile(r"[\w.:/@+-]+")


class EventLines:
    """Lines for events as they come; columns grow as they must, and never shrink."""

    def __init__(self, console: Console, aliases: Aliases, *, with_date: bool) -> None:
        self._console = console
        self._aliases = aliases
        self._time_format = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"
        self._widths = [0] * (len(TITLES) - 1)

    def write(self, events: Sequence[CommittedEvent], *, titles: bool = False) -> None:
        """Write a line for each event to stdout, under titles if asked."""
        rows = [self._cells(event) for event in events]
        shown = [*rows, TITLES] if titles else rows
        for row in shown:
            for index, cell in enumerate(row[:-1]):
                if len(cell) <= COLUMN_MAX:
                    self._widths[index] = max(self._widths[index], len(cell))
        if titles:
            self._console.data(self._console.bold(self._kept(TITLES) + TITLES[-1]))
        for row in rows:
            self._console.data(self._console.cut(self._kept(row), row[-1]))

    def _cells(self, event: CommittedEvent) -> tuple[str, ...]:
        time = event.commit.time.astimezone(UTC).strftime(self._time_format)[:-3]
        aggregate = f"{event.aggregate}@{event.version}" if event.aggregate else NONE
        return (
            str(event.position),
            time,
            printable(self._aliases.alias(event.type_id)),
            printable(event.source),
            printable(aggregate),
            content_text(msgspec.json.decode(event.content)),
        )

    def _kept(self, row: Sequence[str]) -> str:
        """Return the columns that are never cut."""
        position, *others = (
            cell.rjust(width) if index == 0 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row[:-1], self._widths, strict=True))
        )
        return "  ".join([position, *others, ""])


def content_text(content: Mapping[str, Any]) -> str:
    """Return an event's fields as ``name=value``; what is no plain word is written as JSON."""
    return " ".join(f"{printable(name)}={_value(value)}" for name, value in content.items())


def _value(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return printable(json.dumps(value, ensure_ascii=False))
