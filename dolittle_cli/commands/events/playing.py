"""``dolittle events play``: commits a scenario, at the speed of its recording or faster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from dolittle.errors import DolittleError, PayloadDoesNotFit, UnreadableEvent
from dolittle.execution import ExecutionContext, new_id
from dolittle.serialization import from_values
from dolittle.store import Commit, CommitHeader, CommittedEvent, EventToCommit, check_size
from dolittle_cli.console import Console, counted
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import Place, use
from dolittle_cli.scenario import Scenario, ScenarioCommit, read_scenario, scenario_path

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

FACTOR_MAX: Final = 1_000_000.0
SHOWN_MAX: Final = 10
"""Problems that are told; of more, the number is."""


@dataclass(frozen=True)
class PlayWish:
    """What was asked for.

    Attributes:
        factor: How many times faster than recorded; ``None``: without waiting.
        with_caused: Whether commits are made that handlers made when it was recorded.
    """

    name: str
    factor: float | None
    with_caused: bool
    dry_run: bool


def parse_speed(text: str) -> float | None:
    """Return how many times faster than recorded; ``None`` for ``max``.

    Raises:
        WrongUsage: It is no speed.
    """
    if text in ("original", "max"):
        return 1.0 if text == "original" else None
    try:
        factor = float(text.removesuffix("x")) if text.endswith("x") else 0.0
    except ValueError:
        factor = 0.0
    if not 0 < factor <= FACTOR_MAX:
        raise WrongUsage(f"--speed {text!r} is no speed", hint="it is original, 10x, 0.5x or max")
    return factor


async def play_scenario(place: Place, wish: PlayWish, *, as_json: bool) -> None:
    """Commit a scenario, once everything in it is known to fit.

    Raises:
        CommandLineError: There is no such scenario, or an event in it does not fit.
        StoreError: It cannot be stored; commits before that stay.
    """
    scenario = read_scenario(scenario_path(place.configuration.project, wish.name))
    console = Console()
    async with use(place, makes_store=not wish.dry_run) as microservice:
        prepared = _prepare(scenario, microservice)
        chosen = [
            index
            for index, commit in enumerate(scenario.commits)
            if wish.with_caused or not commit.caused_by
        ]
        left_out = len(prepared) - len(chosen)
        if wish.dry_run:
            positions: list[int] = []
        else:
            positions = await _Play(console, microservice, scenario, prepared).run(
                chosen, wish.factor
            )
    events = sum(len(prepared[index]) for index in chosen)
    if as_json:
        console.json(
            {
                "scenario": wish.name,
                "commits": len(chosen),
                "events": events,
                "left_out_commits": left_out,
                "first_position": positions[0] if positions else None,
                "last_position": positions[-1] if positions else None,
                "is_dry_run": wish.dry_run,
            }
        )
    done = "would be played" if wish.dry_run else "played"
    where = f", positions {positions[0]} to {positions[-1]}" if positions else ""
    console.note(f"{counted(events, 'event')} in {counted(len(chosen), 'commit')} {done}{where}")
    if left_out:
        console.note(
            f"left out: {counted(left_out, 'commit')} that handlers make themselves; "
            "--with-caused plays them too"
        )


def _prepare(scenario: Scenario, microservice: Microservice) -> list[tuple[EventToCommit, ...]]:
    """Return the events of each commit, every one of which its class reads.

    Raises:
        CommandLineError: One of them does not fit; all are told, each with its line.
    """
    prepared: list[tuple[EventToCommit, ...]] = []
    problems: list[str] = []
    aggregates = {item.id for item in microservice.definition.aggregates.values()}
    for line, commit in zip(scenario.lines, scenario.commits, strict=True):
        found = _events(commit, microservice)
        problems += [f"line {line}: {item}" for item in found if isinstance(item, str)]
        problems += [
            f"line {line}: there is no aggregate {event.aggregate!r}"
            for event in commit.events
            if event.aggregate and event.aggregate not in aggregates
        ]
        events = tuple(item for item in found if not isinstance(item, str))
        prepared.append(events)
        if events:
            try:
                check_size(Commit("scenario", events, ExecutionContext()))
            except (DolittleError, ValueError) as error:
                problems.append(f"line {line}: {error}")
    if problems:
        more = f"\n  and {len(problems) - SHOWN_MAX} more" if len(problems) > SHOWN_MAX else ""
        listed = "\n  ".join(problems[:SHOWN_MAX])
        raise CommandLineError(
            f"the scenario {scenario.header.scenario} does not fit "
            f"{microservice.name}; nothing was played:\n  {listed}{more}",
            hint="dolittle types list shows the event types; the scenario's file may be changed",
        )
    return prepared


def _events(commit: ScenarioCommit, microservice: Microservice) -> list[EventToCommit | str]:
    """Return each event of a commit, or what is wrong with it."""
    types = microservice.event_types
    made: list[EventToCommit | str] = []
    for event in commit.events:
        found = types.find(event.type)
        if found is None:
            made.append(f"there is no event type {event.type!r}")
            continue
        content = bytes(event.content)
        header = CommitHeader("scenario", datetime(2000, 1, 1, tzinfo=UTC), "scenario")
        stored = CommittedEvent(
            0, header, 0, found[1].id, event.generation, event.source, event.aggregate, 0,
            event.public, content,
        )  # fmt: skip
        try:
            types.decode(stored)
            if event.generation == found[1].generation:
                # Stricter than reading: a field that the class lacks is a slip of the pen.
                what = f"event type {event.type}"
                from_values(found[0], msgspec.json.decode(content), what=what)
        except UnreadableEvent as error:
            reason = f"{error.reason[:1].lower()}{error.reason[1:]}"
            made.append(f"event type {event.type}: {reason}")
            continue
        except PayloadDoesNotFit as error:
            made.append(str(error))
            continue
        made.append(
            EventToCommit(
                found[1].id, event.source, content, event.generation, event.public, event.aggregate
            )
        )
    return made


class _Play:
    """Commits what was prepared, in its rhythm."""

    def __init__(
        self,
        console: Console,
        microservice: Microservice,
        scenario: Scenario,
        prepared: Sequence[tuple[EventToCommit, ...]],
    ) -> None:
        self._console = console
        self._microservice = microservice
        self._scenario = scenario
        self._prepared = prepared
        self._ids: dict[int, str] = {}
        self._correlations: dict[int, str] = {}

    async def run(self, chosen: Sequence[int], factor: float | None) -> list[int]:
        """Commit the chosen commits; return the positions of their events."""
        positions: list[int] = []
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        at_s, wanted = 0.0, set(chosen)
        try:
            for index, commit in enumerate(self._scenario.commits):
                at_s += commit.after_s
                if index not in wanted:
                    continue
                if factor is not None:
                    await self._wait(began_s + at_s / factor - loop.time())
                committed = await self._microservice.store.commit(self._commit(index))
                positions += [event.position for event in committed.events]
                self._console.progress(f"{len(positions):,} events")
        finally:
            self._console.progress("")
            if len(self._ids) < len(chosen):
                self._console.note(f"{len(self._ids):,} of {len(chosen):,} commits were played")
        return positions

    async def _wait(self, pause_s: float) -> None:
        if pause_s > 0:
            await asyncio.sleep(pause_s)

    def _commit(self, index: int) -> Commit:
        recorded = self._scenario.commits[index]
        commit_id = self._ids[index] = new_id()
        correlation = ""
        if recorded.together:
            correlation = self._correlations.setdefault(recorded.together, commit_id)
        causation = ""
        if recorded.caused_by:
            number, _, place = recorded.caused_by.partition("/")
            causation = f"{self._ids[int(number) - 1]}/{place}"
        context = ExecutionContext(
            microservice=self._microservice.name,
            tenant=self._microservice.tenant,
            correlation=correlation,
            causation=causation,
        )
        return Commit(commit_id, self._prepared[index], context)
