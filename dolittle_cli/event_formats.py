"""The forms in which events are shown: what ``-o`` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final, Protocol

import msgspec

from dolittle.errors import suggest
from dolittle.runtime.event_json import event_json
from dolittle.store import CommittedEvent
from dolittle_cli.aliases import Aliases
from dolittle_cli.console import Console, blank, printable, width_of
from dolittle_cli.errors import WrongUsage
from dolittle_cli.event_lines import EventLines, value_text
from dolittle_cli.exported import as_cloud_event, exported
from dolittle_cli.line_template import LineTemplate, parse_line_template
from dolittle_cli.project import Place

FORMATS: Final = ("short", "wide", "columns", "json", "jsonl", "cloudevents")


@dataclass(frozen=True)
class Origin:
    """Where events come from.

    Attributes:
        prefix: Stands before each line for people, where several are shown at once.
    """

    place: Place
    aliases: Aliases
    prefix: str = ""


Shown = tuple[CommittedEvent, Origin]
"""An event and where it comes from."""


class EventFormat(Protocol):
    """Writes events to stdout."""

    @property
    def is_for_people(self) -> bool:
        """Whether headings may stand between its lines."""
        ...

    def write(self, events: Sequence[Shown]) -> None:
        """Write events, in order."""
        ...

    def check(self) -> None:
        """Refuse what was asked for and could not be shown, once the past is shown.

        Raises:
            CommandLineError: A field of a template is in no event.
        """
        ...


def make_format(name: str, console: Console, *, with_date: bool, titles: bool) -> EventFormat:
    """Return a form by its name, or by a template with braces.

    Args:
        name: One of ``FORMATS``, or a template.
        console: Takes the lines.
        with_date: Whether times for people have their date.
        titles: Whether lines for people stand under titles.

    Raises:
        WrongUsage: It is none.
    """
    if name in ("short", "wide"):
        return _Lines(console, with_date=with_date, is_wide=name == "wide", titles=titles)
    if name == "columns":
        return _Columns(console, with_date=with_date)
    if name in ("json", "jsonl"):
        return _Json(console, is_indented=name == "json")
    if name == "cloudevents":
        return _CloudEvents(console)
    if "{" in name or "}" in name:
        return _Template(console, parse_line_template(name))
    raise WrongUsage(
        f"-o {name!r} is no form of output",
        hint=f"{suggest(name, FORMATS)}; or a template: '{{position}} {{type}} {{content.dish}}'",
    )


class _Lines:
    """One line an event."""

    is_for_people = True

    def __init__(self, console: Console, *, with_date: bool, is_wide: bool, titles: bool) -> None:
        self._lines = EventLines(console, Aliases(), with_date=with_date, is_wide=is_wide)
        self._needs_titles = titles

    def write(self, events: Sequence[Shown]) -> None:
        if events:
            self._lines.write_together(
                [(event, origin.aliases, origin.prefix) for event, origin in events],
                titles=self._needs_titles,
            )
            self._needs_titles = False

    def check(self) -> None:
        """Nothing was asked for that could be missing."""


class _Columns:
    """One line an event, with a column for each field of its content; titles by event type.

    On a terminal that the titles do not fit into, an event takes a line for each column.
    """

    is_for_people = True

    def __init__(self, console: Console, *, with_date: bool) -> None:
        self._console = console
        self._is_first = True
        self._time_format = "%Y-%m-%d %H:%M:%S.%f" if with_date else "%H:%M:%S.%f"
        self._shown: tuple[str, ...] = ()
        self._widths: dict[tuple[str, ...], list[int]] = {}

    def write(self, events: Sequence[Shown]) -> None:
        tables = [(*self._table(event, origin.aliases), origin.prefix) for event, origin in events]
        for titles, cells, _ in tables:
            widths = self._widths.setdefault(titles, [len(title) for title in titles])
            for index, cell in enumerate(cells):
                widths[index] = max(widths[index], min(len(cell), 40))
        for titles, cells, prefix in tables:
            width = width_of(prefix) + sum(self._widths[titles]) + 2 * (len(titles) - 1)
            if self._console.is_terminal and width > self._console.columns:
                self._upright(prefix, titles, cells)
                continue
            if titles != self._shown:
                self._shown = titles
                self._line(blank(prefix), titles, titles, is_bold=True)
            self._line(prefix, titles, cells)

    def check(self) -> None:
        """Nothing was asked for that could be missing."""

    def _upright(self, prefix: str, titles: tuple[str, ...], cells: tuple[str, ...]) -> None:
        if not self._is_first:
            self._console.data(prefix.rstrip())
        self._is_first, self._shown = False, ()
        names = (*titles[:2], "TYPE", "SOURCE", *titles[3:])
        row = (*cells[:2], titles[2], *cells[2:])
        for line in self._console.upright_lines(names, [row], prefixes=[prefix]):
            self._console.data(line)

    def _table(
        self, event: CommittedEvent, aliases: Aliases
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        content = msgspec.json.decode(event.content)
        time = event.commit.time.astimezone(UTC).strftime(self._time_format)[:-3]
        fields = [printable(name).upper() for name in content]
        titles = ("POSITION", "TIME", printable(aliases.alias(event.type_id)), *fields)
        values = [
            printable(value) if isinstance(value, str) else value_text(value)
            for value in content.values()
        ]
        return titles, (str(event.position), time, printable(event.source), *values)

    def _line(
        self, prefix: str, titles: tuple[str, ...], cells: Sequence[str], *, is_bold: bool = False
    ) -> None:
        widths = self._widths[titles]
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[0] = cells[0].rjust(widths[0])
        text = "  ".join(padded).rstrip()
        if is_bold:
            text = self._console.bold(text)
            self._console.data(prefix + text)
        else:
            kept = "  ".join(padded[:3]) + "  "
            self._console.data(self._console.cut(prefix + kept, "  ".join(padded[3:]).rstrip()))


class _Json:
    """One JSON object an event, on one line or indented."""

    is_for_people = False

    def __init__(self, console: Console, *, is_indented: bool) -> None:
        self._console = console
        self._is_indented = is_indented

    def write(self, events: Sequence[Shown]) -> None:
        for event, origin in events:
            value = event_json(event, origin.aliases, origin.place.tenant)
            if origin.prefix:
                value = {"microservice": origin.place.configuration.name, **value}
            if self._is_indented:
                self._console.data(json.dumps(value, ensure_ascii=True, indent=2))
            else:
                self._console.json(value)

    def check(self) -> None:
        """Nothing was asked for that could be missing."""


class _CloudEvents:
    """One CloudEvent a line."""

    is_for_people = False

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, events: Sequence[Shown]) -> None:
        for event, origin in events:
            found = exported(
                event,
                origin.aliases,
                microservice=origin.place.configuration.name,
                tenant=origin.place.tenant,
                commit_events=0,
            )
            self._console.block(msgspec.json.encode(as_cloud_event(found)) + b"\n")

    def check(self) -> None:
        """Nothing was asked for that could be missing."""


class _Template:
    """One line an event, as a template says."""

    is_for_people = False

    def __init__(self, console: Console, template: LineTemplate) -> None:
        self._console = console
        self._template = template

    def write(self, events: Sequence[Shown]) -> None:
        from dolittle_cli.conditions.fields import Subject

        for event, origin in events:
            place = origin.place
            subject = Subject(event, origin.aliases, place.configuration.name, place.tenant)
            self._console.data(self._template.line(subject))

    def check(self) -> None:
        self._template.check_found()
