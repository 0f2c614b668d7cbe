"""Replays of a part of what was handled: a range, a source, a pace, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolittle import EventContext, Microservice, event_handler, event_type, handles
from dolittle.engines.memory import MemoryStore
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.definition import define
from dolittle.runtime.delivery import Deliverer
from dolittle.runtime.delivery.pacing import GAP_S_MAX
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Processor, Request
from dolittle.store import END
from dolittle.testing import HeldClock

WAIT_S = 10.0
ONCE = RetryPolicy(attempts_max=1)

Open = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Awaitable[Any]]


@event_type
class DishPrepared:
    dish: str


class Handled(NamedTuple):
    position: int
    source: str
    is_replay: bool


class Kitchen:
    """What a handler records, and the dishes that it refuses."""

    def __init__(self) -> None:
        self.handled: list[Handled] = []
        self.refused: set[str] = set()

    @property
    def positions(self) -> list[int]:
        return [item.position for item in self.handled]

    def handler(self, **options: Any) -> type:
        kitchen = self

        @event_handler("Announcer", **options)
        class Announcer:
            @handles(DishPrepared)
            async def announce(self, event: DishPrepared, context: EventContext) -> None:
                if event.dish in kitchen.refused:
                    raise ValueError(f"{event.dish} is burnt")
                kitchen.handled.append(Handled(context.position, context.source, context.is_replay))

        return Announcer


async def cook(service: Microservice, *dishes: tuple[str, str]) -> int:
    """Commit dishes, each given by its source and its name; return the last position."""
    last = -1
    for source, dish in dishes:
        last = (await service.commit(DishPrepared(dish=dish), source=source)).position
    return last


async def processor(service: Microservice) -> Processor:
    [found] = await service.state.processors("Announcer")
    return found


async def is_through(service: Microservice) -> bool:
    now = await processor(service)
    return not await service.state.requests() and now.replay is None


async def is_level(service: Microservice) -> bool:
    found = await service.state.processors("Announcer")
    is_there = bool(found) and found[0].position >= await service.store.head()
    return is_there and not await service.state.requests()


async def replayed(service: Microservice, until: Until, **bounds: Any) -> None:
    bounds.setdefault("position", 0)
    await service.request(Request("replay", "Announcer", **bounds))
    await until(lambda: is_through(service))


DISHES = [("Bar", "a"), ("Inn", "b"), ("Bar", "c"), ("Inn", "d"), ("Bar", "e")]


@pytest.mark.parametrize("options", [{}, {"partitioned": False}, {"concurrency": 3}])
@pytest.mark.parametrize(
    ("bounds", "positions"),
    [
        ({"position": 1, "stop": 3}, [1, 2]),
        ({"source": "Inn"}, [1, 3]),
        ({"position": 1, "stop": 4, "source": "Bar"}, [2]),
        ({"source": "nobody"}, []),
        ({"position": 3, "stop": 3}, []),
    ],
)
async def test_only_what_lies_within_the_bounds_is_handled_again(
    open_service: Open,
    until: Until,
    options: dict[str, Any],
    bounds: dict[str, Any],
    positions: list[int],
) -> None:
    kitchen = Kitchen()
    async with open_service(kitchen.handler(**options), DishPrepared) as service:
        await service.wait_until_seen("Announcer", await cook(service, *DISHES))
        kitchen.handled.clear()
        await replayed(service, until, **bounds)
        assert sorted(kitchen.positions) == positions
        assert all(item.is_replay for item in kitchen.handled)
        assert (await processor(service)).position == 5
        last = await cook(service, ("Bar", "f"))
        await service.wait_until_seen("Announcer", last)
        assert kitchen.handled[-1] == Handled(5, "Bar", False)


async def test_a_parked_partition_outside_the_bounds_stays_parked_as_it_is(
    open_service: Open, until: Until
) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"c"}
    async with open_service(kitchen.handler(), DishPrepared, retry=ONCE) as service:
        await service.wait_until_seen("Announcer", await cook(service, *DISHES))
        [before] = await service.state.failing("Announcer")
        kitchen.handled.clear()
        kitchen.refused = set()
        for bounds in ({"source": "Inn"}, {"stop": 2}):
            await replayed(service, until, **bounds)
        assert kitchen.positions == [1, 3, 0, 1], "the bar's dish from before its failure, too"
        assert await service.state.failing("Announcer") == [before]
        await service.request(Request("retry", "Announcer"))
        await until(lambda: no_failures(service))
        assert kitchen.handled[-2:] == [Handled(2, "Bar", False), Handled(4, "Bar", False)]


async def no_failures(service: Microservice) -> bool:
    return not await service.state.failing("Announcer")


async def test_a_failing_partition_within_the_bounds_is_tried_again_with_them(
    open_service: Open, until: Until
) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"c"}
    async with open_service(kitchen.handler(), DishPrepared, retry=ONCE) as service:
        await service.wait_until_seen("Announcer", await cook(service, *DISHES))
        kitchen.handled.clear()
        kitchen.refused = set()
        await replayed(service, until, stop=3)
        assert await no_failures(service)
    at_the_bar = [item for item in kitchen.handled if item.source == "Bar"]
    assert at_the_bar == [
        Handled(0, "Bar", True),
        Handled(2, "Bar", False),
        Handled(4, "Bar", False),
    ], "what had never been handled is no replay, and is not bounded either"


async def test_a_replay_that_was_interrupted_goes_on_within_its_bounds(
    open_service: Open, until: Until
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(
        kitchen.handler(), DishPrepared, ephemeral=False, clock=clock
    ) as service:
        for dish in DISHES:
            last = await cook(service, dish)
            clock.advance(1)
        await service.wait_until_seen("Announcer", last)
        kitchen.handled.clear()
        await service.request(Request("replay", "Announcer", position=1, stop=4, speed=1.0))
        await until(lambda: kitchen.positions == [1])
    async with open_service(
        kitchen.handler(), DishPrepared, ephemeral=False, clock=clock
    ) as service:
        now = await processor(service)
        assert now.replay is not None
        assert (now.replay.start, now.replay.stop, now.replay.speed) == (1, 4, 1.0)

        async def moves_to_the_end() -> bool:
            clock.advance(1)
            return await is_through(service)

        await until(moves_to_the_end)
    assert kitchen.positions in ([1, 2, 3], [1, 1, 2, 3]), "at least once, as ever"


async def test_the_gaps_between_events_are_kept_divided_and_bounded(
    open_service: Open, until: Until
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(kitchen.handler(), DishPrepared, clock=clock) as service:
        for gap_s in (0.0, 6.0, 3_600.0, 0.0):
            clock.advance(gap_s)
            last = await cook(service, ("Bar", "a"))
        await service.wait_until_seen("Announcer", last)
        kitchen.handled.clear()
        await service.request(Request("replay", "Announcer", speed=2.0))
        await until(lambda: kitchen.positions == [0])
        for seconds, positions in (
            (2.9, [0]),
            (0.1, [0, 1]),
            (GAP_S_MAX - 0.1, [0, 1]),
            (0.1, [0, 1, 2, 3]),
        ):
            clock.advance(seconds)
            await settled()
            await until(lambda expected=positions: kitchen.positions == expected)
        await until(lambda: is_through(service))


async def settled() -> None:
    """Let everything run that can run without the clock."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_no_gap_is_kept_before_an_event_that_is_new(open_service: Open, until: Until) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(kitchen.handler(), DishPrepared, clock=clock) as service:
        await cook(service, ("Bar", "a"))
        clock.advance(5)
        await service.wait_until_seen("Announcer", await cook(service, ("Bar", "b")))
        clock.advance(3_600)
        kitchen.handled.clear()
        await service.request(Request("replay", "Announcer", speed=1.0))
        await until(lambda: kitchen.positions == [0])
        last = await cook(service, ("Bar", "c"))
        clock.advance(5)
        await service.wait_until_seen("Announcer", last)
        await until(lambda: is_through(service))
    assert kitchen.positions == [0, 1, 2]


async def test_a_replay_that_is_ended_handles_nothing_again_and_loses_nothing(
    open_service: Open, until: Until
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(kitchen.handler(), DishPrepared, clock=clock) as service:
        for dish in DISHES:
            last = await cook(service, dish)
            clock.advance(5)
        await service.wait_until_seen("Announcer", last)
        kitchen.handled.clear()
        await service.request(Request("replay", "Announcer", speed=1.0))
        await until(lambda: kitchen.positions == [0])
        last = await cook(service, ("Bar", "f"))
        await service.request(Request("stop", "Announcer"))
        await service.wait_until_seen("Announcer", last)
        await until(lambda: is_through(service))
    assert kitchen.handled == [Handled(0, "Bar", True), Handled(5, "Bar", False)]


async def test_stopping_where_no_replay_is_under_way_changes_nothing(
    open_service: Open, until: Until
) -> None:
    kitchen = Kitchen()
    async with open_service(kitchen.handler(), DishPrepared) as service:
        await service.wait_until_seen("Announcer", await cook(service, *DISHES))
        await service.request(Request("stop", "Announcer"))
        await until(lambda: is_through(service))
        assert (await processor(service)).position == 5
    assert kitchen.positions == [0, 1, 2, 3, 4]


@asynccontextmanager
async def delivering(kitchen: Kitchen, **options: Any) -> AsyncIterator[Microservice]:
    """A microservice in memory, for tests that are run many times."""
    definition = define("kitchen", [DishPrepared, kitchen.handler(**options)])
    store, state, clock, progressed = MemoryStore(), SqliteState(), HeldClock(), Signal()
    around = Surroundings(
        microservice="kitchen", tenant="development", version="", environment="",
        store=store, state=state, event_types=definition.event_types, clock=clock,
        retry=ONCE, random=lambda: 0.0, progressed=progressed,
    )  # fmt: skip
    deliverer = Deliverer(definition, around, None, lambda cls: cls())
    service = Microservice(
        definition, store, state, name="kitchen", deliverer=deliverer, progressed=progressed
    )
    await deliverer.start()
    try:
        yield service
    finally:
        await deliverer.stop()
        await state.close()


async def wait_for(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await condition():
            await asyncio.sleep(0.001)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dishes=st.lists(
        st.tuples(st.sampled_from(["Bar", "Inn"]), st.sampled_from("ab!")), min_size=1, max_size=12
    ),
    position=st.integers(0, 12),
    length=st.integers(0, 12) | st.none(),
    source=st.sampled_from(["", "Bar", "Inn"]),
    concurrency=st.sampled_from([1, 3]),
)
async def test_a_replay_handles_again_what_it_is_asked_to_and_skips_nothing_new(
    dishes: list[tuple[str, str]],
    position: int,
    length: int | None,
    source: str,
    concurrency: int,
) -> None:
    """The law, whatever is parked: in order within a source, and nothing twice or left out."""
    kitchen = Kitchen()
    kitchen.refused = {"!"}
    async with delivering(kitchen, concurrency=concurrency) as service:
        await cook(service, *dishes)
        await wait_for(lambda: is_level(service))
        first = list(kitchen.handled)
        kitchen.handled.clear()
        kitchen.refused = set()
        start = min(position, len(dishes))
        stop = END if length is None else start + length
        request = Request("replay", "Announcer", position=start, stop=stop, source=source)
        await service.request(request)
        await wait_for(lambda: is_level(service))
        await service.request(Request("retry", "Announcer"))
        await wait_for(lambda: no_failures(service))
        await wait_for(lambda: is_through(service))
        await wait_for(lambda: is_level(service))
    done = {item.position for item in first}
    again = {
        item.position
        for item in first
        if start <= item.position < stop and source in ("", item.source)
    }
    new = set(range(len(dishes))) - done
    assert sorted(kitchen.positions) == sorted(again | new)
    assert {item.position for item in kitchen.handled if item.is_replay} == again
    for name in ("Bar", "Inn"):
        of_one = [item.position for item in kitchen.handled if item.source == name]
        assert of_one == sorted(of_one)
