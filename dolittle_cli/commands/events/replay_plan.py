"""What a replay will do: looked up in the log and the state before it begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from dolittle.errors import Unknown
from dolittle.execution import SystemClock
from dolittle.handlers import EventHandlerDeclaration
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.delivery.pacing import GAP_S_MAX
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.state import Processor, Replay, Request, active, newest
from dolittle.store import END, START, EventStore, Position, Selection
from dolittle_cli.commands.events.replay_wish import Wish
from dolittle_cli.errors import CommandLineError
from dolittle_cli.ranges import select

MARKED_MAX: Final = 10_000
"""So many events are noted down one by one, for the progress of a slow replay; then by pages."""


@dataclass(frozen=True)
class Plan:
    """What a replay will do.

    Attributes:
        id: Of the handler or projection in the state.
        start: The first position that is handled again.
        stop: Up to here, exclusive.
        bound: Up to where was asked for; ``END``: nothing was.
        types: Aliases of the event types that are handled.
        events: How many events there are of these types from ``start`` to ``stop``.
        marks: Some positions on the way, each with how many of the events lie before it.
        called: Side-effect methods that are called.
        left_out: Side-effect methods that are not called.
        failing: Failing partitions that are tried again by this.
        build: The build of the read models that readers see now; 0 for a handler.
        is_partitioned: Whether an event that fails holds up its partition only.
        under_way: In words, a replay that has begun already; empty: none.
        is_same: Whether that one does what was asked for, so that it only has to go on.
        number: Of the request that asked for that one; 0: it was taken up.
    """

    kind: str
    name: str
    id: str
    start: Position
    stop: Position
    bound: Position
    source: str
    speed: float
    types: tuple[str, ...]
    events: int
    marks: tuple[tuple[Position, int], ...]
    called: tuple[str, ...]
    left_out: tuple[str, ...]
    failing: int
    build: int
    is_partitioned: bool
    under_way: str
    is_same: bool
    number: int

    def done(self, position: Position) -> int:
        """Return how many of the events lie before a position; of very many, nearly so."""
        index = bisect_right(self.marks, (position, self.events)) - 1
        return self.marks[index][1] if index >= 0 else 0

    def request(self) -> Request:
        """Return what asks the process that delivers for it."""
        return Request(
            "replay",
            self.id,
            position=self.start,
            side_effects=self.called,
            stop=self.bound,
            source=self.source,
            speed=self.speed,
        )

    def json(self) -> dict[str, Any]:
        """Return the plan as JSON-like values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "from": self.start,
            "to": self.stop,
            "source": self.source or None,
            "speed": self.speed or None,
            "types": list(self.types),
            "events": self.events,
            "side_effects_called": list(self.called),
            "side_effects_left_out": list(self.left_out),
            "failing_partitions": self.failing,
            "is_under_way": bool(self.under_way),
        }

    def lines(self) -> list[str]:
        """Return the plan in words."""
        what = "handle again" if self.kind == "handler" else "rebuild from the start"
        source = f" of the source {self.source!r}" if self.source else ""
        lines = [
            f"replay     {self.kind} {self.name}: {what}",
            f"range      from position {self.start} to {self.stop}{source}",
            f"events     {self.events:,} of {', '.join(self.types)}",
        ]
        if self.under_way:
            lines.append(f"under way  {self.under_way}")
        if self.kind == "projection":
            lines.append("readers    see the old read models until the new ones are complete")
            return lines
        if self.speed:
            lines.append(
                f"speed      {self.speed:g}x: gaps between events are kept, at most "
                f"{GAP_S_MAX:g} s each; new events wait until it is through"
            )
        called, left_out = ", ".join(self.called), ", ".join(self.left_out)
        if called:
            lines.append(f"called     side-effect methods: {called}")
        if left_out:
            lines.append(f"left out   side-effect methods: {left_out} (--side-effect METHOD)")
        if not called and not left_out:
            lines.append("called     every method: none is marked as a side effect")
        if self.failing:
            noun = "partition" if self.failing == 1 else "partitions"
            lines.append(f"failing    {self.failing:,} {noun} tried again from there")
        return lines


async def make_plan(microservice: Microservice, wish: Wish) -> Plan:
    """Look up what was asked for.

    Raises:
        Unknown: There is no such handler, projection or side-effect method.
        CommandLineError: A place is not in the log, or the handler has not got there yet.
    """
    declaration: EventHandlerDeclaration | ProjectionDeclaration
    if wish.kind == "handler":
        declaration = microservice.definition.handler(wish.name)
        called, left_out = _side_effects(declaration, wish.side_effects)
        is_partitioned = declaration.partitioned
    else:
        declaration = microservice.definition.projection(wish.name)
        called, left_out, is_partitioned = (), (), True
    store, state = microservice.store, microservice.state
    builds = await state.processors(declaration.id)
    current = active(builds)
    start, bound = await _bounds(store, wish)
    if not wish.has_start and current is not None and current.began is not None:
        # What came before it began was never its own; only who says so has it handled.
        start = max(start, min(current.began, bound))
    stop = await store.head()
    if wish.kind == "handler":
        stop = min(bound, _handled(declaration.name, current, start))
    types = frozenset(declaration.methods)
    selection = Selection(start=start, stop=max(start, stop), types=types, source=wish.source)
    marks = await _marks(store, selection)
    failing = [
        row
        for row in await state.failing(declaration.id)
        if not is_partitioned
        or (start <= row.position < bound and wish.source in ("", row.partition))
    ]
    asked = Replay(START, called, start=start, stop=bound, source=wish.source, speed=wish.speed)
    under_way, is_same, number = await _under_way(microservice, declaration, builds, asked)
    return Plan(
        kind=wish.kind,
        name=declaration.name,
        id=declaration.id,
        start=start,
        stop=stop,
        bound=bound,
        source=wish.source,
        speed=wish.speed,
        types=tuple(sorted(microservice.definition.event_types.alias(item) for item in types)),
        events=marks[-1][1],
        marks=tuple(marks),
        called=called,
        left_out=left_out,
        failing=len(failing),
        build=current.build if current is not None and wish.kind == "projection" else 0,
        is_partitioned=is_partitioned,
        under_way=under_way,
        is_same=is_same,
        number=number,
    )


def refuse_other(plan: Plan) -> NoReturn:
    """Refuse a replay while another one of the same handler is under way.

    Raises:
        CommandLineError: Always.
    """
    raise CommandLineError(
        f"another replay of {plan.name} is under way: {plan.under_way}",
        hint="let it go on (the same command again, or dolittle run), begin anew with --restart, "
        f"or end it: dolittle events replay --handler {plan.name} --stop",
    )


async def _bounds(store: EventStore, wish: Wish) -> tuple[Position, Position]:
    """Return from where and up to where; ``END`` where no end was asked for."""
    selection = await select(store, SystemClock(), wish.start, wish.stop)
    start = await _first(store, selection)
    if wish.stop is None:
        return start, END
    if selection.until is None:
        return start, selection.stop
    stop = await store.head()
    async for page in store.read(Selection(since=selection.until)):
        if page.events:
            stop = page.events[0].position
            break
    return start, max(start, stop)


async def _first(store: EventStore, selection: Selection) -> Position:
    """Return where a selection begins, as a position."""
    if selection.since is None:
        return selection.start
    async for page in store.read(Selection(since=selection.since)):
        if page.events:
            return page.events[0].position
    return await store.head()


async def _under_way(
    microservice: Microservice,
    declaration: EventHandlerDeclaration | ProjectionDeclaration,
    builds: Sequence[Processor],
    asked: Replay,
) -> tuple[str, bool, int]:
    """Return which replay is under way already; see :class:`Plan`."""
    if isinstance(declaration, ProjectionDeclaration):
        latest = newest(builds)
        if latest is None or latest.is_active or latest.fingerprint != declaration.fingerprint:
            return "", False, 0
        return f"a rebuild, at position {latest.position}", True, 0
    for request in await microservice.state.requests():
        if request.kind == "replay" and request.name == declaration.id:
            there = Replay(
                START,
                request.side_effects,
                start=request.position,
                stop=request.stop,
                source=request.source,
                speed=request.speed,
            )
            return _told(there, "waiting to begin"), _is_same(there, asked), request.number
    current = active(builds)
    if current is None or current.replay is None or current.position >= current.replay.until:
        return "", False, 0
    return _told(current.replay, f"at {current.position}"), _is_same(current.replay, asked), 0


def _is_same(one: Replay, other: Replay) -> bool:
    return (one.side_effects, one.start, one.stop, one.source, one.speed) == (
        other.side_effects,
        other.start,
        other.stop,
        other.source,
        other.speed,
    )


def _told(replay: Replay, where: str) -> str:
    stop = min(replay.stop, replay.until) if replay.until else replay.stop
    to = f" to {stop}" if stop < END else ""
    source = f" of the source {replay.source!r}" if replay.source else ""
    speed = f" at speed {replay.speed:g}x" if replay.speed else ""
    return f"from position {replay.start}{to}{source}{speed}, {where}"


def _handled(name: str, current: Processor | None, start: Position) -> Position:
    """Return up to where a handler has handled events: only those can be handled again."""
    if current is None:
        return start
    handled = max(current.position, getattr(current.replay, "until", START))
    if handled < start:
        raise CommandLineError(
            f"{name} has not got to position {start} yet, it is at {handled}: "
            "a replay from there would leave events out",
            hint=f"--from {handled}, or less",
        )
    return handled


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
        if count < MARKED_MAX:
            marks += [(event.position, count + i) for i, event in enumerate(page.events)]
        count += len(page.events)
        marks.append((page.next_position, count))
    return marks
