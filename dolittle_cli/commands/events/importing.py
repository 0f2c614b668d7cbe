"""``dolittle events import``: events of an export into a log, as they were; all of a file or none.

The file is read twice for each microservice: first everything is held against the rules and the
logs, then it is committed, commit by commit. A commit that a log has already is left alone.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from dolittle.execution import Clock, SystemClock
from dolittle.runtime.event_json import time_json
from dolittle.runtime.opening import open_store
from dolittle.store import (
    EventStore,
    Selection,
    Stream,
    is_same_commit,
)
from dolittle_cli.commands.events.imported import NumberedCommit, Target, commits_of, refuse
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import Place, aliases_of, open_log

AHEAD: Final = 500
"""Commits that are handed to the store before the first of them is answered."""

STDIN: Final = "-"


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

    @property
    def new(self) -> int:
        """Commits that the log has not."""
        return self.commits - self.repeated


async def import_events(
    places: Sequence[Place], source: str, *, foreign: bool, dry_run: bool, as_json: bool
) -> None:
    """Import a file, or ``-`` for stdin.

    Args:
        places: Where to; among several, each event goes to the microservice that it is of.
        source: The file's path.
        foreign: Whether events of another microservice are taken.
        dry_run: Only check, and say what would be done.
        as_json: Write one JSON object.

    Raises:
        WrongUsage: Events of another microservice, and several that could take them.
        CommandLineError: The file cannot be imported; nothing was.
        StoreError: The store refuses; whole commits before that stay, and the same import
            again goes on behind them.
    """
    names = frozenset(place.configuration.name for place in places)
    if foreign and len(places) > 1:
        raise WrongUsage(
            "--foreign needs one microservice that takes the events",
            hint=f"name it with --project: {', '.join(sorted(names))}",
        )
    console = Console()
    found: list[tuple[Target, Findings]] = []
    with _opened(source) as file:
        for place in places:
            others = names - {place.configuration.name}
            target = Target(place, others, foreign)
            async with open_log(place) as store:
                found.append((target, await _check(file, store, target)))
        for target, findings in found:
            if not dry_run and findings.commits > findings.repeated:
                await _import_into(target, file, console)
    _tell(console, found, dry_run=dry_run, as_json=as_json)


async def _import_into(target: Target, file: BinaryIO, console: Console) -> None:
    place = target.place
    opened = await open_store(place.configuration, place.tenant)
    try:
        await _commit_all(opened, commits_of(file, target), console)
    finally:
        await opened.close()


def _tell(
    console: Console,
    found: Sequence[tuple[Target, Findings]],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    if as_json:
        each = [{"microservice": target.name, **_json(item)} for target, item in found]
        total = Findings(
            sum(item.commits for _, item in found),
            sum(item.events for _, item in found),
            sum(item.repeated for _, item in found),
        )
        more = {"microservices": each} if len(found) > 1 else {}
        console.json({**_json(total), "is_dry_run": dry_run, **more})
    width = max(len(target.name) for target, _ in found)
    for target, item in found:
        prefix = f"{target.name.ljust(width)} | " if len(found) > 1 else ""
        unknown = sorted(item.types - set(aliases_of(target.place).by_id))
        if unknown:
            console.warning(f"no class of {target.name} reads: {', '.join(unknown)}")
        done = "would be imported" if dry_run else "imported"
        console.note(
            f"{prefix}{counted(item.events, 'event')} in {counted(item.commits, 'commit')}: "
            f"{counted(item.new, 'commit')} {done}, {item.repeated:,} were there already"
        )
    if any(item.new for _, item in found) and not dry_run:
        console.note("handlers get them as new events, when the microservice runs")


def _json(item: Findings) -> dict[str, int]:
    return {
        "commits": item.commits,
        "events": item.events,
        "new_commits": item.new,
        "repeated_commits": item.repeated,
    }


# The first reading


async def _check(file: BinaryIO, store: EventStore, target: Target) -> Findings:
    """Hold every commit of a file that goes to a log against that log.

    Raises:
        CommandLineError: One of them cannot be imported.
    """
    findings = Findings()
    versions: dict[Stream, int] = {}
    last = await store.read_last(Selection(), 1)
    earliest = last[0].commit.time if last else None
    seen: set[str] = set()
    for item in commits_of(file, target):
        commit = item.commit
        if commit.id in seen:
            raise refuse(item.line, f"commit {commit.id} came before: its events are apart")
        seen.add(commit.id)
        findings.commits += 1
        findings.events += len(commit.events)
        findings.types.update(event.type_id for event in commit.events)
        known = await store.find_commit(commit.id)
        if known is not None:
            if not is_same_commit(commit, known.events):
                reason = f"commit {commit.id} is in the log already, with other events"
                raise refuse(item.line, reason, "a redacted export is for another log")
            findings.repeated += 1
            continue
        earliest = _check_time(item, earliest, SystemClock())
        await _check_versions(item, store, versions)
    return findings


def _check_time(item: NumberedCommit, earliest: datetime | None, clock: Clock) -> datetime:
    time = item.commit.time
    assert time is not None
    if earliest is not None and time < earliest:
        raise refuse(
            item.line,
            f"the commit is of {time_json(time)}, before the event that it would follow "
            f"({time_json(earliest)}): time never goes back within a log",
            "import into a log that has nothing newer, e.g. of a new tenant",
        )
    if time > clock.now():
        raise refuse(item.line, f"the commit is of {time_json(time)}, which is in the future")
    return time


async def _check_versions(
    item: NumberedCommit, store: EventStore, versions: dict[Stream, int]
) -> None:
    for stream, expected in item.commit.expected.items():
        if stream not in versions:
            versions[stream] = await store.version(stream)
        if versions[stream] != expected:
            raise refuse(
                item.line,
                f"{stream.aggregate} {stream.source!r} is at version {versions[stream]} by then, "
                f"the file goes on from version {expected}",
                "events of an aggregate instance are imported from its first one on, without gaps",
            )
    for event in item.commit.events:
        if event.aggregate:
            versions[Stream(event.aggregate, event.source)] += 1


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
