"""``dolittle events record``: a scenario from a range of the log, or from a live run."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dolittle.execution import SystemClock
from dolittle.runtime.event_json import time_json
from dolittle.store import END, START, CommittedEvent, EventStore, Position
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError
from dolittle_cli.project import Place, aliases_of, open_log, use
from dolittle_cli.ranges import understood
from dolittle_cli.scenario import FOLDER, recorded, scenario_path, write_new, write_scenario
from dolittle_cli.sieve import Sieve

COMMITS_MAX: Final = 10_000
"""Of a scenario: it is read and checked whole before it is played."""


@dataclass(frozen=True)
class RecordWish:
    """What was asked for.

    Attributes:
        filters: Without a start, what comes from now on is recorded.
        as_test: Whether a test is written too.
    """

    name: str
    filters: Filters
    as_test: bool
    overwrites: bool

    @property
    def is_live(self) -> bool:
        """Whether what comes is recorded, rather than what has come."""
        return self.filters.start is None and self.filters.stop is None


async def record_scenario(place: Place, wish: RecordWish) -> None:
    """Record a scenario, and write its file, and its test if asked.

    Raises:
        CommandLineError: A file exists, nothing was recorded, or there is nothing to test.
    """
    console = Console()
    aliases = aliases_of(place)
    project = place.configuration.project
    path = scenario_path(project, wish.name)
    test_path = project / "tests" / FOLDER / f"test_{wish.name.replace('-', '_')}.py"
    for written in (path, test_path) if wish.as_test else (path,):
        if written.exists() and not wish.overwrites:
            raise CommandLineError(
                f"{written} exists already", hint="take another name, or add --overwrite"
            )
    if wish.is_live:
        events = await _live(console, place, wish)
    else:
        async with open_log(place) as store:
            sieve = await wish.filters.sieve(store, place, aliases, SystemClock())
            console.note(await understood(store, sieve.range))
            events = await _past(store, sieve)
    commits = _by_commit(events)
    if not commits:
        raise CommandLineError("nothing was recorded: no event was chosen")
    scenario = recorded(
        commits,
        aliases.alias,
        name=wish.name,
        microservice=place.configuration.name,
        now=time_json(SystemClock().now()),
    )
    test = await _test(place, wish, commits) if wish.as_test else ""
    write_scenario(path, scenario, overwrites=wish.overwrites)
    console.data(str(path.relative_to(project)))
    if test:
        write_new(test_path, test.encode(), overwrites=wish.overwrites)
        console.data(str(test_path.relative_to(project)))
    caused = sum(bool(commit.caused_by) for commit in scenario.commits)
    made = f", {caused:,} of them caused by others" if caused else ""
    console.note(f"{counted(len(events), 'event')} in {counted(len(commits), 'commit')}{made}")
    console.note(f"next: dolittle events play {wish.name}")


async def _test(place: Place, wish: RecordWish, commits: Sequence[Sequence[CommittedEvent]]) -> str:
    from dolittle_cli.scenario_as_test import write_test

    async with use(place, makes_store=False) as microservice:
        return await write_test(microservice, wish.name, commits)


def _by_commit(events: Sequence[CommittedEvent]) -> list[list[CommittedEvent]]:
    commits: list[list[CommittedEvent]] = []
    for event in events:
        if not commits or commits[-1][0].commit.id != event.commit.id:
            commits.append([])
        commits[-1].append(event)
    if len(commits) > COMMITS_MAX:
        raise CommandLineError(
            f"a scenario has at most {COMMITS_MAX:,} commits, these are {len(commits):,}",
            hint="choose fewer with --from, --to, --type and --source; or: dolittle events export",
        )
    return commits


async def _past(store: EventStore, sieve: Sieve) -> list[CommittedEvent]:
    events: list[CommittedEvent] = []
    async for page in sieve.pages(store):
        events += page.events
        _by_commit(events)
    return events


async def _live(console: Console, place: Place, wish: RecordWish) -> list[CommittedEvent]:
    """Record what comes until Ctrl-C: everything that is in the log by then."""
    start: Position = START
    if place.has_store:
        async with open_log(place) as store:
            start = await store.head()
    console.note("recording what comes; Ctrl-C ends it and writes the scenario")
    await _until_ctrl_c()
    async with open_log(place) as store:
        sieve = await wish.filters.sieve(store, place, aliases_of(place), SystemClock())
        return await _past(store, sieve.within(start, END))


async def _until_ctrl_c() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    try:
        await stopped.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
