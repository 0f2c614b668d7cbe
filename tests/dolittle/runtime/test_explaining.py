from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import msgspec
import pytest

from dolittle import Microservice, event_handler, event_type, handles, on, projection, side_effect
from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.explaining import Explanation, explain_event
from dolittle.runtime.state import Change, Processor, Replay, Request
from dolittle.store import Commit, EventToCommit, Selection
from dolittle.testing.clock import NOON, HeldClock

Open = Callable[..., AbstractAsyncContextManager[Microservice]]
SLOW = RetryPolicy(attempts_max=2, delay_s=30.0, delay_s_max=30.0)


@event_type
class DishPrepared:
    dish: str


@event_type
class OrderTaken:
    guests: int


@event_handler
class DishHandler:
    @handles(DishPrepared)
    def announce(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")


@event_handler(start_from="now")
class NewHandler:
    @side_effect
    @handles(DishPrepared)
    def mail(self, event: DishPrepared) -> None:
        pass


@event_handler(partitioned=False)
class OneByOne:
    @handles(DishPrepared)
    def count(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")


@event_handler
class OrderHandler:
    @handles(OrderTaken)
    def take(self, event: OrderTaken) -> None:
        pass


@projection
class DishCounter:
    dish: str = ""

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")
        self.dish = event.dish


@projection
class Thirds:
    dish: str = ""

    @on(DishPrepared, key=lambda event, context: event.dish[2])
    def on_prepared(self, event: DishPrepared) -> None:
        self.dish = event.dish


async def explained(service: Microservice, position: int) -> dict[str, Explanation]:
    async for page in service.store.read(Selection(start=position)):
        return {item.name: item for item in await explain_event(service, page.events[0])}
    raise AssertionError("there is no event")


async def settle(service: Microservice, *names: str) -> None:
    """Wait until everything that there is was handled, or has failed."""
    last = await service.store.head() - 1
    for name in names:
        await service.wait_until_seen(name, last)


async def begun(service: Microservice, name: str) -> None:
    """Wait until a handler has begun, at what was then the end of the log."""
    async with asyncio.timeout(20):
        while not (await service.processor_status(name)).is_started:
            await asyncio.sleep(0.005)


async def test_what_has_never_run_gets_the_event_once_it_does(open_service: Open) -> None:
    async with open_service(
        DishPrepared, OrderTaken, DishHandler, OrderHandler, NewHandler, DishCounter, deliver=False
    ) as service:
        await service.commit(DishPrepared(dish="Taco"), source="Bar")
        found = await explained(service, 0)
    statuses = {name: (item.status, item.gets) for name, item in found.items()}
    assert statuses == {
        "DishHandler": ("not started", True),
        "OrderHandler": ("not handled", False),
        "NewHandler": ("starts later", False),
        "DishCounter": ("not started", True),
    }
    assert found["OrderHandler"].why == "it takes OrderTaken only"
    assert found["DishHandler"].partition == "Bar"
    assert found["DishCounter"].partition == "Taco"


async def test_what_is_past_the_event_has_handled_it(open_service: Open) -> None:
    declared = (DishPrepared, OrderTaken, DishHandler, NewHandler, DishCounter)
    async with open_service(*declared) as service:
        await begun(service, "NewHandler")
        await service.commit(DishPrepared(dish="Taco"), source="Bar")
        await settle(service, "DishHandler", "NewHandler", "DishCounter")
        found = await explained(service, 0)
    assert found["DishHandler"].status == "handled"
    assert found["DishCounter"].status == "handled"
    assert "'Taco'" in found["DishCounter"].why
    assert found["NewHandler"].status == "handled"


async def test_what_came_before_a_handler_began_was_never_its_own(open_service: Open) -> None:
    async with open_service(DishPrepared, OrderTaken, ephemeral=False) as service:
        await service.commit(DishPrepared(dish="Taco"), source="Bar")
    declared = (DishPrepared, OrderTaken, NewHandler)
    async with open_service(*declared, ephemeral=False) as service:
        await begun(service, "NewHandler")
        await service.commit(DishPrepared(dish="Nachos"), source="Bar")
        await settle(service, "NewHandler")
        before = (await explained(service, 0))["NewHandler"]
        after = (await explained(service, 1))["NewHandler"]
        [processor] = await service.state.processors("NewHandler")
        await service.state.save(Change(msgspec.structs.replace(processor, began=None)))
        unknown = (await explained(service, 0))["NewHandler"]
    assert (before.status, before.gets) == ("began later", False)
    assert "it began at position 1" in before.why
    assert (after.status, after.gets) == ("handled", True)
    # The state is from before it was kept.
    assert (unknown.status, unknown.gets) == ("passed", None)


async def test_an_event_behind_the_position_waits_and_tells_how_many_come_first(
    open_service: Open,
) -> None:
    async with open_service(DishPrepared, OrderTaken, DishHandler, deliver=False) as service:
        for _ in range(3):
            await service.commit(DishPrepared(dish="Taco"), source="Bar")
        await service.state.save(Change(Processor("DishHandler", "handler", position=1)))
        first, second = await explained(service, 1), await explained(service, 2)
    assert first["DishHandler"].status == second["DishHandler"].status == "waiting"
    assert first["DishHandler"].why == "it is at position 1, and gets it, it is the next one"
    assert second["DishHandler"].why.endswith("1 of its events come first")


async def test_a_failing_partition_is_told_with_error_and_next_try(
    open_service: Open, until: Callable[..., object]
) -> None:
    clock = HeldClock()
    declared = (DishPrepared, DishHandler, DishCounter, OneByOne)
    async with open_service(*declared, clock=clock, retry=SLOW) as service:
        for dish in ("poison", "Taco"):
            await service.commit(DishPrepared(dish=dish), source="Bar")
        await service.commit(DishPrepared(dish="Taco"), source="Pub")
        await settle(service, "DishHandler")
        await until(lambda: _has_failed(service, 3))  # type: ignore[misc]
        found = [await explained(service, position) for position in range(3)]
        assert [item["DishHandler"].status for item in found] == ["failing", "held up", "handled"]
        assert [item["OneByOne"].status for item in found] == ["failing", "held up", "held up"]
        assert [item["DishCounter"].status for item in found] == ["failing", "handled", "handled"]
        why = found[0]["DishHandler"].why
        assert why.startswith("1 attempt failed: ValueError: that is poison; next try 2026-01-01 ")
        assert "partition 'Bar' waits at position 0" in found[1]["DishHandler"].why
        assert "the handler waits at position 0" in found[1]["OneByOne"].why
        row = found[0]["DishHandler"].failing
        assert row is not None
        assert row.retry_at >= NOON + timedelta(seconds=30)


async def test_a_parked_partition_waits_for_a_person(
    open_service: Open, until: Callable[..., object]
) -> None:
    clock = HeldClock()
    async with open_service(DishPrepared, DishHandler, clock=clock, retry=SLOW) as service:
        await service.commit(DishPrepared(dish="poison"), source="Bar")
        await until(lambda: _has_failed(service, 1))  # type: ignore[misc]
        await service.request(Request("retry", "DishHandler"))
        await until(lambda: _is_parked(service))  # type: ignore[misc]
        found = await explained(service, 0)
    assert (found["DishHandler"].status, found["DishHandler"].gets) == ("parked", True)
    assert "it waits for retry or skip" in found["DishHandler"].why


async def _has_failed(service: Microservice, count: int) -> bool:
    return len(await service.state.failing()) >= count


async def _is_parked(service: Microservice) -> bool:
    return any(row.is_parked for row in await service.state.failing())


@pytest.mark.parametrize(
    ("content", "generation", "reason"),
    [(b"{}", 1, "missing required field"), (b'{"dish": "Taco"}', 3, "is generation 1")],
)
async def test_an_event_that_cannot_be_read_is_told_so(
    open_service: Open, content: bytes, generation: int, reason: str
) -> None:
    async with open_service(DishPrepared, DishHandler, DishCounter, deliver=False) as service:
        stored = EventToCommit("DishPrepared", "Bar", content, generation=generation)
        await service.store.commit(Commit("c1", (stored,), ExecutionContext()))
        found = await explained(service, 0)
    for item in found.values():
        assert (item.status, item.gets) == ("unreadable", False)
        assert reason in item.why


async def test_an_event_whose_key_cannot_be_told_is_told_so(open_service: Open) -> None:
    async with open_service(DishPrepared, Thirds, deliver=False) as service:
        await service.commit(DishPrepared(dish="X"), source="Bar")
        found = await explained(service, 0)
    assert found["Thirds"].status == "unreadable"
    assert "its key cannot be told: IndexError" in found["Thirds"].why


async def test_an_event_of_no_declared_type_reaches_nobody(open_service: Open) -> None:
    async with open_service(DishPrepared, DishHandler, deliver=False) as service:
        stored = EventToCommit("dish-eaten", "Bar", b"{}")
        await service.store.commit(Commit("c1", (stored,), ExecutionContext()))
        found = await explained(service, 0)
    assert (found["DishHandler"].status, found["DishHandler"].gets) == ("not declared", False)
    assert "'dish-eaten'" in found["DishHandler"].why


async def test_a_projection_whose_code_has_changed_says_that_it_is_rebuilt(
    open_service: Open,
) -> None:
    async with open_service(DishPrepared, DishCounter, deliver=False) as service:
        await service.commit(DishPrepared(dish="Taco"), source="Bar")
        old = Processor("DishCounter", "projection", position=1, fingerprint="old")
        await service.state.save(Change(old))
        found = await explained(service, 0)
    assert found["DishCounter"].status == "handled"
    assert "its code has changed since" in found["DishCounter"].why


async def test_an_event_that_a_replay_comes_to_again_is_told_so(open_service: Open) -> None:
    async with open_service(DishPrepared, DishHandler, deliver=False) as service:
        await service.commit(DishPrepared(dish="Taco"), source="Bar")
        replayed = Processor("DishHandler", "handler", position=0, replay=Replay(until=1))
        await service.state.save(Change(replayed))
        found = await explained(service, 0)
    assert found["DishHandler"].status == "waiting"
    assert "gets it again (a replay is under way)" in found["DishHandler"].why
