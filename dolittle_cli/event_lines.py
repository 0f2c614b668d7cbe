"""Lines for people for each event: position, time, type, source, aggregate, content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec

from dolittle.runtime.event_json import Aliases
from dolittle.store import CommittedEvent
from dolittle_cli.console import Console, blank, printable, width_of

TITLES: Final = ("POSITION", "TIME", "TYPE", "SOURCE", "AGGREGATE", "CONTENT")
WIDE_TITLES: Final = (*TITLES[:-1], "CORRELATION", "CAUSATION", "ID", TITLES[-1])
NONE: Final = "-"
"""Stands where an event has no aggregate, or nothing is known to have caused it."""

COLUMN_MAX: Final = 40
"""Columns are padded up to here; a longer cell takes its room and pads no other line."""

NARROW: Final = 60
"""On a terminal with fewer columns than this an event takes three lines, and wherever what is
never cut does not fit into one."""

_BARE: Final = re.compile(r"[\w.:/@+-]+")


class EventLines:
    """Lines for events as they come; columns grow as they must, and never shrink."""

    def __init__(
        self, console: Console, aliases: Aliases, *, with_date: bool, is_wide: bool = False
    ) -> None:
        """Make it.

        Args:
            console: Takes the lines.
            aliases: Of the event types of what :meth:`write` takes.
            with_date: Whether a time has its date.
            is_wide: Whether correlation, causation and id are shown too.
        """
        self._console = console
        self._aliases = aliases
        self._time_format = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"
        self._titles = WIDE_TITLES if is_wide else TITLES
        self._widths = [0] * (len(self._titles) - 1)

    def write(self, events: Sequence[CommittedEvent], *, titles: bool = False) -> None:
        """Write a line for each event to stdout, under titles if asked."""
        self.write_together([(event, self._aliases, "") for event in events], titles=titles)

    def write_together(
        self, events: Sequence[tuple[CommittedEvent, Aliases, str]], *, titles: bool = False
    ) -> None:
        """Write events of several microservices: each with its aliases, behind its prefix."""
        rows = [(self._cells(event, aliases), prefix) for event, aliases, prefix in events]
        for row in (*(row for row, _ in rows), *([self._titles] if titles else ())):
            for index, cell in enumerate(row[:-1]):
                if len(cell) <= COLUMN_MAX:
                    self._widths[index] = max(self._widths[index], len(cell))
        if self._is_narrow(rows[0][1] if rows else ""):
            for row, prefix in rows:
                self._write_narrow(row, prefix)
            return
        if titles:
            text = self._console.bold(self._kept(self._titles) + self._titles[-1])
            self._console.data(blank(rows[0][1] if rows else "") + text)
        for row, prefix in rows:
            self._console.data(self._console.cut(prefix + self._kept(row), row[-1]))

    def _is_narrow(self, prefix: str) -> bool:
        kept = width_of(prefix) + sum(self._widths) + 2 * len(self._widths)
        return self._console.is_terminal and self._console.columns < max(NARROW, kept)

    def _write_narrow(self, row: Sequence[str], prefix: str) -> None:
        """Write an event on lines of their own: what would be one line breaks anywhere."""
        position, time, event_type, *others, content = row
        self._console.data(f"{prefix}{position} {time} {event_type}")
        self._console.data(f"{prefix}  {' '.join(others)}")
        self._console.data(self._console.cut(f"{prefix}  ", content))

    def _cells(self, event: CommittedEvent, aliases: Aliases) -> tuple[str, ...]:
        commit = event.commit
        time = commit.time.astimezone(UTC).strftime(self._time_format)[:-3]
        aggregate = f"{event.aggregate}@{event.version}" if event.aggregate else NONE
        ids = (commit.correlation, commit.causation or NONE, event.id)
        return (
            str(event.position),
            time,
            printable(aliases.alias(event.type_id)),
            printable(event.source),
            printable(aggregate),
            *(map(printable, ids) if self._titles is WIDE_TITLES else ()),
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
    return " ".join(f"{printable(name)}={value_text(value)}" for name, value in content.items())


def value_text(value: Any) -> str:
    """Return a value as a plain word, or as JSON where it is none."""
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return printable(json.dumps(value, ensure_ascii=False))
