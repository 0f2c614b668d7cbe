"""``dolittle events export``: events as lines of a file, ids, times and content as stored."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from dolittle.store import CommittedEvent, Position
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.commands.events.following import Followed
from dolittle_cli.commands.events.several import by_time, merged, open_logs
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.exported import Redaction, as_cloud_event, exported
from dolittle_cli.project import Place

ExportFormat = Literal["jsonl", "cloudevents"]
SHOW_EVERY: Final = 50_000
"""After so many events the progress is shown."""

WRITTEN_AT_ONCE: Final = 500
"""Commits of several logs."""


@dataclass(frozen=True)
class ExportWish:
    """What was asked for.

    Attributes:
        to_file: ``None``: stdout.
        redacted: Fields of the content, with dots between steps: ``customer.name``.
        takes_whole_commits: Whether the other events of a commit come along with a wanted one.
    """

    filters: Filters
    format: ExportFormat
    to_file: Path | None
    overwrites: bool
    redacted: tuple[str, ...]
    takes_whole_commits: bool = False


@dataclass(frozen=True)
class _Part:
    """The events of a commit that are exported, in order.

    Attributes:
        total: How many events the commit has.
    """

    log: Followed
    events: Sequence[CommittedEvent]
    total: int


@dataclass
class _Tally:
    """What was exported.

    Attributes:
        cut: Commits of which events were left out.
        left_out: How many events that were.
    """

    events: int = 0
    cut: int = 0
    left_out: int = 0

    def add(self, part: _Part) -> None:
        """Count a part."""
        self.events += len(part.events)
        missing = part.total - len(part.events)
        self.cut += missing > 0
        self.left_out += missing


async def export_events(places: Sequence[Place], wish: ExportWish) -> None:
    """Write the events of one or several logs; a file is there whole or not at all.

    Of several logs the commits come in the order of their times.

    Raises:
        CommandLineError: The file exists or cannot be written, or no event has a field that was
            to be redacted.
        StoreError: The store cannot be read.
    """
    redaction = _redaction(wish.redacted)
    console = Console()
    async with AsyncExitStack() as stack:
        logs = await open_logs(stack, console, places, wish.filters, tells_whole=True)
        tally = _Tally()
        with _sink(console, wish) as write:
            lines = _Lines(redaction, wish.format)
            async for parts in _read(logs, is_whole=wish.takes_whole_commits):
                write(b"".join(map(lines.of, parts)))
                before = tally.events
                for part in parts:
                    tally.add(part)
                if before // SHOW_EVERY != tally.events // SHOW_EVERY:
                    console.progress(f"{tally.events:,} events")
            console.progress("")
            _check_redacted(redaction, tally.events)
    where = f" to {wish.to_file}" if wish.to_file else ""
    console.note(f"{counted(tally.events, 'event')} exported{where}")
    if tally.cut:
        console.note(
            f"{counted(tally.cut, 'commit')} without {counted(tally.left_out, 'event')} that "
            "nothing chose; for an import: --whole-commits"
        )


class _Lines:
    """Makes the lines of commits."""

    def __init__(self, redaction: Redaction, format: ExportFormat) -> None:
        self._redaction = redaction
        self._is_cloud = format == "cloudevents"
        self._encode = msgspec.json.Encoder().encode

    def of(self, part: _Part) -> bytes:
        """Return a line for each event of a commit."""
        lines = []
        origin = part.log.origin
        for event in part.events:
            content = self._redaction.content(event.content) if self._redaction else b""
            found = exported(
                event,
                origin.aliases,
                microservice=origin.place.configuration.name,
                tenant=origin.place.tenant,
                commit_events=part.total,
                content=content,
            )
            lines.append(self._encode(as_cloud_event(found) if self._is_cloud else found) + b"\n")
        return b"".join(lines)


async def _read(logs: Sequence[Followed], *, is_whole: bool) -> AsyncIterator[Sequence[_Part]]:
    """Yield the commits of all logs, some at once."""
    if len(logs) == 1:
        async for parts in _parts(logs[0], is_whole=is_whole):
            yield parts
        return
    some: list[_Part] = []
    async for part in merged([_each(log, is_whole=is_whole) for log in logs], _by_time):
        some.append(part)
        if len(some) == WRITTEN_AT_ONCE:
            yield some
            some = []
    yield some


async def _each(log: Followed, *, is_whole: bool) -> AsyncIterator[_Part]:
    async for parts in _parts(log, is_whole=is_whole):
        for part in parts:
            yield part


def _by_time(part: _Part) -> tuple[object, str, Position]:
    return by_time((part.log, part.events[0]))


async def _parts(log: Followed, *, is_whole: bool) -> AsyncIterator[list[_Part]]:
    """Yield the wanted events of a log by commit, page by page."""
    pending: list[CommittedEvent] = []
    async for page in log.sieve.pages(log.store):
        found: list[_Part] = []
        for event in page.events:
            if pending and pending[0].commit.id != event.commit.id:
                found.append(await _part(log, pending, is_last=False, is_whole=is_whole))
                pending = []
            pending.append(event)
        if found:
            yield found
    if pending:
        yield [await _part(log, pending, is_last=True, is_whole=is_whole)]


async def _part(
    log: Followed, events: Sequence[CommittedEvent], *, is_last: bool, is_whole: bool
) -> _Part:
    """Return what is exported of a commit of which some events are wanted."""
    if log.sieve.is_everything and events[0].index == 0 and not is_last:
        # Everything is read in order, so all of it has come.
        return _Part(log, events, len(events))
    committed = await log.store.find_commit(events[0].commit.id)
    found = committed.events if committed else events
    return _Part(log, found if is_whole else events, len(found))


@contextmanager
def _sink(console: Console, wish: ExportWish) -> Iterator[Callable[[bytes], object]]:
    """Give what takes the lines; a file takes its name when everything is written."""
    path = wish.to_file
    if path is None:
        yield console.block
        return
    if path.exists() and not wish.overwrites:
        raise CommandLineError(
            f"{path} exists already", hint="take another name, or add --overwrite"
        )
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file.write
        beside.replace(path)
    except OSError as error:
        raise CommandLineError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _redaction(names: Sequence[str]) -> Redaction:
    fields: dict[str, tuple[str, ...]] = {}
    for name in names:
        steps = tuple(name.removeprefix("content.").split("."))
        if not all(steps):
            raise WrongUsage(
                f"--redact {name!r} is no field", hint="a field of the content: customer.name"
            )
        fields[name] = steps
    return Redaction(fields)


def _check_redacted(redaction: Redaction, count: int) -> None:
    if redaction.missing and count:
        raise CommandLineError(
            f"no exported event has a field {redaction.missing[0]!r} to redact",
            hint="fields are those of the content; see dolittle events list",
        )
