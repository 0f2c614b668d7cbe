"""``dolittle events replay``: says what it will do, asks, and shows how it goes."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dolittle.errors import Unknown
from dolittle.execution import SystemClock
from dolittle.handlers import EventHandlerDeclaration
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.state import FailingPartition, Processor, Request, State, active
from dolittle.store import START, EventStore, Position, Selection
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.project import Place, use
from dolittle_cli.ranges import Bound, Start, parse, position_of
from dolittle_cli.requesting import see_done

SAY_EVERY_S: Final = 5.0
"""How often progress is said where there is no terminal to show it on."""


@dataclass(frozen=True)
class Wish:
    """What was asked for, not yet looked up.

    Attributes:
        kind: ``handler`` or ``projection``.
        side_effects: Names of side-effect methods to be called.
    """

    kind: str
    name: str
    start: Bound
    side_effects: tuple[str, ...]

    @classmethod
    def parse(
        cls, handler: str, projection: str, start: str | None, side_effects: Sequence[str]
    ) -> Wish:
        """Read the options.

        Raises:
            WrongUsage: They do not go together.
        """
        if bool(handler) == bool(projection):
            raise WrongUsage(
                "name one target: --handler NAME or --projection NAME",
                hint="see dolittle handlers list, dolittle projections list",
            )
        bound = parse(start) if start is not None else Start()
        if projection and bound != Start():
            raise WrongUsage(
                f"a projection cannot be replayed from {start}: its read models are a fold over "
                "all its events",
                hint="leave --from out: they are rebuilt from the start beside the old ones, "
                "which stay readable until the swap",
            )
        if projection and side_effects:
            raise WrongUsage("--side-effect is for handlers, a projection has none")
        kind = "handler" if handler else "projection"
        return cls(kind, handler or projection, bound, tuple(side_effects))


@dataclass(frozen=True)
class Plan:
    """What a replay will do.

    Attributes:
        id: Of the handler or projection in the state.
        start: The first position that is handled again.
        stop: Up to here, exclusive.
        types: Aliases of the event types that are handled.
        events: How many events there are of these types from ``start`` to ``stop``.
        marks: Some positions on the way, each with how many of the events lie before it.
        called: Side-effect methods that are called.
        left_out: Side-effect methods that are not called.
        failing: Failing partitions that are tried again by this.
        build: The build of the read models that readers see now; 0 for a handler.
        is_partitioned: Whether an event that fails holds up its partition only.
    """

    kind: str
    name: str
    id: str
    start: Position
    stop: Position
    types: tuple[str, ...]
    events: int
    marks: tuple[tuple[Position, int], ...]
    called: tuple[str, ...]
    left_out: tuple[str, ...]
    failing: int
    build: int
    is_partitioned: bool

    def done(self, position: Position) -> int:
        """Return how many of the events lie before a position, to a page's exactness."""
        index = bisect_right(self.marks, (position, self.events)) - 1
        return self.marks[index][1] if index >= 0 else 0

    def json(self) -> dict[str, Any]:
        """Return the plan as JSON-like values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "from": self.start,
            "to": self.stop,
            "types": list(self.types),
            "events": self.events,
            "side_effects_called": list(self.called),
            "side_effects_left_out": list(self.left_out),
            "failing_partitions": self.failing,
        }

    def lines(self) -> list[str]:
        """Return the plan in words."""
        what = "handle again" if self.kind == "handler" else "rebuild from the start"
        lines = [
            f"replay     {self.kind} {self.name}: {what}",
            f"range      from position {self.start} to {self.stop}",
            f"events     {self.events:,} of {', '.join(self.types)}",
        ]
        if self.kind == "projection":
            lines.append("readers    see the old read models until the new ones are complete")
            return lines
        called, left_out = ", ".join(self.called), ", ".join(self.left_out)
        if called:
            lines.append(f"called     side-effect methods: {called}")
        if left_out:
            lines.append(f"left out   side-effect methods: {left_out} (--side-effect METHOD)")
        if not called and not left_out:
            lines.append("called     every method: none is marked as a side effect")
        if self.failing:
            lines.append(f"failing    {_count(self.failing, 'partition')} tried again from there")
        return lines


async def replay_events(
    place: Place, wish: Wish, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Say what a replay will do; unless it is a dry run, get a yes, and see it done.

    Raises:
        Unknown: There is no such handler, projection or side-effect method.
        WrongUsage: Nobody can be asked, and there was no ``--yes``.
        CommandLineError: It cannot be done, was not wanted, or left something failing.
    """
    console = Console()
    async with use(place, makes_store=False) as microservice:
        plan = await _plan(microservice, wish)
    if dry_run:
        if as_json:
            console.json(plan.json())
        else:
            console.data("\n".join(plan.lines()))
        console.note("dry run: nothing was done")
        return
    console.note("\n".join(plan.lines()))
    if not plan.events:
        console.note("there is nothing to replay: no such event was handled yet")
        return
    if not yes:
        _ask(console)
    started = time.monotonic()
    watch = _Watch(console, plan, time.monotonic)
    request = Request("replay", plan.id, position=plan.start, side_effects=plan.called)
    await see_done(place, request, watch.is_done)
    seconds = time.monotonic() - started
    if as_json:
        failing = [item.partition for item in watch.failing]
        console.json({**plan.json(), "seconds": round(seconds, 3), "failing": failing})
    console.note(f"replayed {_count(plan.events, 'event')} in {seconds:.1f} s")
    if watch.failing:
        raise CommandLineError(
            f"{_count(len(watch.failing), 'partition')} of {plan.name} failed on the way",
            hint=f"see dolittle {plan.kind}s show {plan.name}",
        )


def _ask(console: Console) -> None:
    if not console.can_ask:
        raise WrongUsage(
            "a replay needs a yes, and there is no terminal to ask on",
            hint="repeat with --yes, or look first with --dry-run",
        )
    if not console.confirm("replay?"):
        raise CommandLineError("nothing was done: the answer was no")


async def _plan(microservice: Microservice, wish: Wish) -> Plan:
    declaration: EventHandlerDeclaration | ProjectionDeclaration
    if wish.kind == "handler":
        declaration = microservice.definition.handler(wish.name)
        called, left_out = _side_effects(declaration, wish.side_effects)
        is_partitioned = declaration.partitioned
    else:
        declaration = microservice.definition.projection(wish.name)
        called, left_out, is_partitioned = (), (), True
    store, state = microservice.store, microservice.state
    start = await position_of(store, SystemClock(), wish.start)
    stop = await store.head()
    builds = await state.processors(declaration.id)
    current = active(builds)
    if wish.kind == "handler":
        stop = _handled(declaration.name, current, start)
    types = frozenset(declaration.methods)
    marks = await _marks(store, Selection(start=start, stop=stop, types=types))
    failing = [row for row in await state.failing(declaration.id) if row.position >= start]
    return Plan(
        kind=wish.kind,
        name=declaration.name,
        id=declaration.id,
        start=start,
        stop=stop,
        types=tuple(sorted(microservice.definition.event_types.alias(item) for item in types)),
        events=marks[-1][1],
        marks=tuple(marks),
        called=called,
        left_out=left_out,
        failing=len(failing),
        build=current.build if current is not None and wish.kind == "projection" else 0,
        is_partitioned=is_partitioned,
    )


def _handled(name: str, current: Processor | None, start: Position) -> Position:
    """Return up to where a handler has handled events: only those can be handled again."""
    if current is None:
        return start
    if current.position < start:
        raise CommandLineError(
            f"{name} has not got to position {start} yet, it is at {current.position}: "
            "a replay from there would leave events out",
            hint=f"--from {current.position}, or less",
        )
    return max(current.position, getattr(current.replay, "until", START))


def _side_effects(
    declaration: EventHandlerDeclaration, wanted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the side-effect methods that are called, and those that are left out."""
    methods = sorted({item.name for item in declaration.methods.values() if item.is_side_effect})
    for name in wanted:
        if name not in methods:
            raise Unknown(f"side-effect method of {declaration.name}", name, methods)
    return (
        tuple(name for name in methods if name in wanted),
        tuple(name for name in methods if name not in wanted),
    )


async def _marks(store: EventStore, selection: Selection) -> list[tuple[Position, int]]:
    """Count the selected events, and note down how many lie before some positions."""
    marks, count = [(selection.start, 0)], 0
    async for page in store.read(selection):
        count += len(page.events)
        marks.append((page.next_position, count))
    return marks


class _Watch:
    """Follows a replay in the state, and shows how far it is."""

    def __init__(self, console: Console, plan: Plan, seconds: Callable[[], float]) -> None:
        self._console = console
        self._plan = plan
        self._seconds = seconds
        self._started = self._said = seconds()
        self.failing: list[FailingPartition] = []

    async def is_done(self, state: State, is_taken: bool) -> bool:
        """Show how far it is; tell whether it is done.

        Raises:
            CommandLineError: An event holds up a handler that is not partitioned.
        """
        if not is_taken:
            return False
        plan = self._plan
        builds = await state.processors(plan.id)
        under_way = max(builds, key=lambda item: item.build, default=None)
        if under_way is None:
            return False
        rows = await state.failing(plan.id)
        self.failing = [row for row in rows if row.build == under_way.build]
        if plan.kind == "handler":
            # A partition that fails keeps a replay open; it is told of, and not waited for.
            replay = under_way.replay
            is_over = replay is None or under_way.position >= replay.until
            self._check_not_held_up()
        else:
            is_new = under_way.build > plan.build and under_way.is_active
            is_over = is_new and under_way.position >= plan.stop
        if not is_over:
            self._show(plan.done(under_way.position))
        return is_over

    def _check_not_held_up(self) -> None:
        if self._plan.is_partitioned or not self.failing:
            return
        row = self.failing[0]
        raise CommandLineError(
            f"the replay is held up at position {row.position}: {row.error}",
            hint=f"{self._plan.name} is not partitioned, so all waits for this event: "
            f"dolittle handlers show {self._plan.name}",
        )

    def _show(self, done: int) -> None:
        now = self._seconds()
        elapsed = max(now - self._started, 1e-6)
        rate = done / elapsed
        left = f"{(self._plan.events - done) / rate:,.0f} s left" if rate else "starting"
        text = f"{done:,} of {self._plan.events:,} events, {rate:,.0f} a second, {left}"
        self._console.progress(text)
        if now - self._said >= SAY_EVERY_S and not self._console.shows_progress:
            self._said = now
            self._console.note(text)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
