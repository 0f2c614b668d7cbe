"""``dolittle events import``: events of an export into a log, as they were; all of a file or none.

The file is read twice: first everything is held against the rules and the log, then it is
committed, commit by commit. A commit that the log has already is left alone.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from dolittle.errors import DolittleError
from dolittle.execution import Clock, ExecutionContext, SystemClock
from dolittle.runtime.event_json import time_json
from dolittle.runtime.opening import open_store
from dolittle.store import (
    Commit,
    EventStore,
    EventToCommit,
    Selection,
    Stream,
    check_size,
    is_same_commit,
)
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError
from dolittle_cli.exported import ExportedEvent, moment, read_line
from dolittle_cli.project import Place, aliases_of, open_log

AHEAD: Final = 500
"""Commits that are handed to the store before the first of them is answered."""

STDIN: Final = "-"


@dataclass(frozen=True)
class NumberedCommit:
    """A commit of a file, and the line it begins in, from 1."""

    commit: Commit
    line: int


@dataclass
class Findings:
    """What a file holds, found in the first reading.

    Attributes:
        repeated: Commits that the log has already.
        types: The ids of the event types.
    """

    commits: int = 0
    events: int = 0
    repeated: int = 0
    types: set[str] = field(default_factory=set)


async def import_events(
    place: Place, source: str, *, foreign: bool, dry_run: bool, as_json: bool
) -> None:
    """Import a file, or ``-`` for stdin.

    Args:
        place: Where to.
        source: The file's path.
        foreign: Whether events of another microservice are taken.
        dry_run: Only check, and say what would be done.
        as_json: Write one JSON object.

    Raises:
        CommandLineError: The file cannot be imported; nothing was.
        StoreError: The store refuses; whole commits before that stay, and the same import
            again goes on behind them.
    """
    console = Console()
    with _opened(source) as file:
        async with open_log(place) as store:
            findings = await _check(file, store, place, foreign=foreign)
        if not dry_run and findings.commits > findings.repeated:
            file.seek(0)
            opened = await open_store(place.configuration, place.tenant)
            try:
                await _commit_all(opened, _commits(file, place, foreign=foreign), console)
            finally:
                await opened.close()
    _tell(console, place, findings, dry_run=dry_run, as_json=as_json)


def _tell(
    console: Console, place: Place, findings: Findings, *, dry_run: bool, as_json: bool
) -> None:
    new = findings.commits - findings.repeated
    if as_json:
        console.json(
            {
                "commits": findings.commits,
                "events": findings.events,
                "new_commits": new,
                "repeated_commits": findings.repeated,
                "is_dry_run": dry_run,
            }
        )
    known = aliases_of(place).by_id
    unknown = sorted(findings.types - set(known))
    if unknown:
        console.warning(f"no class of {place.configuration.name} reads: {', '.join(unknown)}")
    done = "would be imported" if dry_run else "imported"
    console.note(
        f"{counted(findings.events, 'event')} in {counted(findings.commits, 'commit')}: "
        f"{counted(new, 'commit')} {done}, "
        f"{findings.repeated:,} were there already"
    )
    if new and not dry_run:
        console.note("handlers get them as new events, when the microservice runs")


# The first reading


async def _check(file: BinaryIO, store: EventStore, place: Place, *, foreign: bool) -> Findings:
    """Hold every commit of a file against the log.

    Raises:
        CommandLineError: One of them cannot be imported.
    """
    findings = Findings()
    versions: dict[Stream, int] = {}
    last = await store.read_last(Selection(), 1)
    earliest = last[0].commit.time if last else None
    seen: set[str] = set()
    for item in _commits(file, place, foreign=foreign):
        commit = item.commit
        if commit.id in seen:
            raise _refuse(item.line, f"commit {commit.id} came before: its events are apart")
        seen.add(commit.id)
        findings.commits += 1
        findings.events += len(commit.events)
        findings.types.update(event.type_id for event in commit.events)
        known = await store.find_commit(commit.id)
        if known is not None:
            if not is_same_commit(commit, known.events):
                reason = f"commit {commit.id} is in the log already, with other events"
                raise _refuse(item.line, reason, "a redacted export is for another log")
            findings.repeated += 1
            continue
        earliest = _check_time(item, earliest, SystemClock())
        await _check_versions(item, store, versions)
    return findings


def _check_time(item: NumberedCommit, earliest: datetime | None, clock: Clock) -> datetime:
    time = item.commit.time
    assert time is not None
    if earliest is not None and time < earliest:
        raise _refuse(
            item.line,
            f"the commit is of {time_json(time)}, before the event that it would follow "
            f"({time_json(earliest)}): time never goes back within a log",
            "import into a log that has nothing newer, e.g. of a new tenant",
        )
    if time > clock.now():
        raise _refuse(item.line, f"the commit is of {time_json(time)}, which is in the future")
    return time


async def _check_versions(
    item: NumberedCommit, store: EventStore, versions: dict[Stream, int]
) -> None:
    for stream, expected in item.commit.expected.items():
        if stream not in versions:
            versions[stream] = await store.version(stream)
        if versions[stream] != expected:
            raise _refuse(
                item.line,
                f"{stream.aggregate} {stream.source!r} is at version {versions[stream]} by then, "
                f"the file goes on from version {expected}",
                "events of an aggregate instance are imported from its first one on, without gaps",
            )
    for event in item.commit.events:
        if event.aggregate:
            versions[Stream(event.aggregate, event.source)] += 1


# From lines to commits


def _commits(file: BinaryIO, place: Place, *, foreign: bool) -> Iterator[NumberedCommit]:
    """Yield the commits of a file.

    Raises:
        CommandLineError: A line is damaged, or a commit is not whole.
    """
    name = place.configuration.name
    events: list[ExportedEvent] = []
    first = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        event = _event(number, line)
        if event.microservice != name and not foreign:
            raise _refuse(
                number,
                f"the event is of the microservice {event.microservice!r}, not of {name!r}",
                "--foreign takes events of other microservices too",
            )
        if events and events[0].commit != event.commit:
            yield _numbered(first, events, place)
            events = []
        if not events:
            first = number
        events.append(event)
    if events:
        yield _numbered(first, events, place)


def _event(number: int, line: bytes) -> ExportedEvent:
    try:
        return read_line(line)
    except ValueError as error:
        reason = f"{str(error)[:1].lower()}{str(error)[1:]}"
        raise _refuse(number, reason, "the line is damaged, or not of an export") from error


def _numbered(line: int, events: Sequence[ExportedEvent], place: Place) -> NumberedCommit:
    first = events[0]
    _check_whole(line, events)
    if any(_shared(event) != _shared(first) for event in events):
        raise _refuse(line, f"the events of commit {first.commit} do not belong together")
    commit = _commit(events, place)
    try:
        check_size(commit)
    except (DolittleError, ValueError) as error:
        raise _refuse(line, str(error)) from error
    return NumberedCommit(commit, line)


def _check_whole(line: int, events: Sequence[ExportedEvent]) -> None:
    """Refuse a commit that is not whole, or not in its order."""
    first = events[0]
    indexes = [event.index for event in events]
    missing = first.commit_events - len(set(indexes))
    if missing > 0:
        raise _refuse(
            line,
            f"commit {first.commit} lacks {missing:,} of its "
            f"{counted(first.commit_events, 'event')}, and a commit is imported whole",
            "export the same again with --whole-commits",
        )
    if indexes != list(range(first.commit_events)):
        raise _refuse(line, f"the events of commit {first.commit} are not in their order")


def _shared(event: ExportedEvent) -> tuple[object, ...]:
    return (
        event.time,
        event.correlation,
        event.causation,
        event.microservice_version,
        event.environment,
        event.claims,
        event.handler,
    )


def _commit(events: Sequence[ExportedEvent], place: Place) -> Commit:
    first = events[0]
    return Commit(
        id=first.commit,
        events=tuple(
            EventToCommit(
                type_id=event.type_id,
                source=event.source,
                content=bytes(event.content),
                generation=event.generation,
                public=event.public,
                aggregate=event.aggregate or "",
            )
            for event in events
        ),
        context=ExecutionContext(
            microservice=place.configuration.name,
            tenant=place.tenant,
            correlation=first.correlation,
            causation=first.causation or "",
            version=first.microservice_version,
            environment=first.environment,
            claims=first.claims,
            handler=first.handler,
        ),
        expected=_expected(events),
        time=moment(first),
    )


def _expected(events: Sequence[ExportedEvent]) -> Mapping[Stream, int]:
    """Return the versions that aggregate instances have before the events."""
    found: dict[Stream, int] = {}
    for event in events:
        if event.aggregate and event.version is not None:
            found.setdefault(Stream(event.aggregate, event.source), event.version - 1)
    return found


def _refuse(line: int, reason: str, hint: str = "") -> CommandLineError:
    return CommandLineError(f"line {line}: {reason}; nothing was imported", hint=hint)


# The second reading


async def _commit_all(
    store: EventStore, commits: Iterator[NumberedCommit], console: Console
) -> None:
    """Commit everything in order, some commits ahead of their answers."""
    done = 0
    while True:
        # Tasks begin in the order in which they are made, so commits are queued in theirs.
        tasks = [asyncio.create_task(store.commit(item.commit)) for item in islice(commits, AHEAD)]
        if not tasks:
            break
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                console.progress("")
                console.note(f"{done:,} commits were imported before this error")
                raise answer
            done += 1
        console.progress(counted(done, "commit"))
    console.progress("")


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Open a file that can be read twice."""
    if source == STDIN:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            yield copy
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - what fails later is another error
    except OSError as error:
        raise CommandLineError(f"{source} cannot be read: {error.strerror}") from error
    with file:
        yield file
