"""``dolittle events export``: events as lines of a file, ids, times and content as stored."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from dolittle.execution import SystemClock
from dolittle.store import CommittedEvent, EventStore
from dolittle_cli.aliases import Aliases
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.exported import Redaction, as_cloud_event, exported
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import understood
from dolittle_cli.sieve import Sieve

ExportFormat = Literal["jsonl", "cloudevents"]
SHOW_EVERY: Final = 50_000
"""After so many events the progress is shown."""


@dataclass(frozen=True)
class ExportWish:
    """What was asked for.

    Attributes:
        to_file: ``None``: stdout.
        redacted: Fields of the content, with dots between steps: ``customer.name``.
    """

    filters: Filters
    format: ExportFormat
    to_file: Path | None
    overwrites: bool
    redacted: tuple[str, ...]


async def export_events(place: Place, wish: ExportWish) -> None:
    """Write the events; a file is there whole or not at all.

    Raises:
        CommandLineError: The file exists or cannot be written, or no event has a field that was
            to be redacted.
        StoreError: The store cannot be read.
    """
    redaction = _redaction(wish.redacted)
    console = Console()
    aliases = aliases_of(place)
    async with open_log(place) as store:
        sieve = await wish.filters.sieve(store, place, aliases, SystemClock())
        sieve = sieve.within(0, await store.head())
        console.note(await understood(store, sieve.range))
        count = 0
        with _sink(console, wish) as write:
            lines = _Lines(place, aliases, redaction, wish.format)
            async for commits in _commits(store, sieve):
                write(b"".join(lines.of(events, total) for events, total in commits))
                count += sum(len(events) for events, _ in commits)
                if count % SHOW_EVERY < sum(len(events) for events, _ in commits):
                    console.progress(f"{count:,} events")
            console.progress("")
            _check_redacted(redaction, count)
    where = f" to {wish.to_file}" if wish.to_file else ""
    console.note(f"{counted(count, 'event')} exported{where}")


class _Lines:
    """Makes the lines of commits."""

    def __init__(
        self, place: Place, aliases: Aliases, redaction: Redaction, format: ExportFormat
    ) -> None:
        self._place = place
        self._aliases = aliases
        self._redaction = redaction
        self._is_cloud = format == "cloudevents"
        self._encode = msgspec.json.Encoder().encode

    def of(self, events: Sequence[CommittedEvent], total: int) -> bytes:
        """Return a line for each event of a commit that has ``total`` events."""
        lines = []
        for event in events:
            content = self._redaction.content(event.content) if self._redaction else b""
            found = exported(
                event,
                self._aliases,
                microservice=self._place.configuration.name,
                tenant=self._place.tenant,
                commit_events=total,
                content=content,
            )
            lines.append(self._encode(as_cloud_event(found) if self._is_cloud else found) + b"\n")
        return b"".join(lines)


async def _commits(
    store: EventStore, sieve: Sieve
) -> AsyncIterator[list[tuple[list[CommittedEvent], int]]]:
    """Yield the wanted events by commit, page by page, each with how many its commit has."""
    pending: list[CommittedEvent] = []
    async for page in sieve.pages(store):
        found: list[tuple[list[CommittedEvent], int]] = []
        for event in page.events:
            if pending and pending[0].commit.id != event.commit.id:
                found.append((pending, await _total(store, sieve, pending, is_last=False)))
                pending = []
            pending.append(event)
        if found:
            yield found
    if pending:
        yield [(pending, await _total(store, sieve, pending, is_last=True))]


async def _total(
    store: EventStore, sieve: Sieve, events: Sequence[CommittedEvent], *, is_last: bool
) -> int:
    """Return how many events a commit has, of which some are wanted."""
    if sieve.is_everything and events[0].index == 0 and not is_last:
        # Everything is read in order, so all of it has come.
        return len(events)
    committed = await store.find_commit(events[0].commit.id)
    return len(committed.events) if committed else len(events)


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
