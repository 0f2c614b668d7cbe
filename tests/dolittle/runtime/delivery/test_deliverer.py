from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from dolittle import event_handler, event_type, handles, on, projection
from dolittle.engines.memory import MemoryStore
from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.definition import define
from dolittle.runtime.delivery import Deliverer
from dolittle.runtime.delivery.deliverer import AGAIN_AFTER_S
from dolittle.runtime.delivery.surroundings import Surroundings
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Change, Request
from dolittle.serialization import encode
from dolittle.store import Commit, EventToCommit, Page, Selection
from dolittle.testing import HeldClock

Until = Callable[[Callable[[], Any]], Awaitable[Any]]


@event_type
class DishPrepared:
    dish: str


@projection
class DishCounter:
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 1


class FailingState(SqliteState):
    """A state whose calls fail where a test wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.saves, self.fails_at, self.after_writing = 0, 0, False
        self.requests_fail = False

    async def save(self, change: Change) -> None:
        self.saves += 1
        fails = self.saves == self.fails_at
        if fails and not self.after_writing:
            raise OSError("the disk hung up")
        await super().save(change)
        if fails:
            raise OSError("the disk hung up, after all was written")

    async def requests(self) -> list[Request]:
        if self.requests_fail:
            raise OSError("the disk hung up")
        return await super().requests()


async def append(store: MemoryStore, dishes: str, source: str = "Tacos") -> None:
    for dish in dishes:
        event = EventToCommit("DishPrepared", source, encode(DishPrepared(dish=dish)))
        name = f"{source} {await store.head()}"
        await store.commit(Commit(name, (event,), ExecutionContext()))


class Recorder:
    def __init__(self) -> None:
        self.handled: list[str] = []
        self.refused: set[str] = set()


def handler_for(recorder: Recorder) -> type:
    @event_handler
    class Announcer:
        @handles(DishPrepared)
        async def announce(self, event: DishPrepared) -> None:
            if event.dish in recorder.refused:
                raise ValueError(event.dish)
            recorder.handled.append(event.dish)

    return Announcer


def deliverer_for(around: Surroundings, *classes: type) -> Deliverer:
    definition = define("kitchen", [DishPrepared, *classes])
    return Deliverer(definition, around, None, lambda cls: cls())


@pytest.mark.parametrize("after_writing", [False, True])
@pytest.mark.parametrize("fails_at", range(1, 9))
async def test_no_event_is_lost_whichever_save_fails(
    surroundings: Callable[..., Surroundings], until: Until, fails_at: int, after_writing: bool
) -> None:
    recorder, clock, store, state = Recorder(), HeldClock(), MemoryStore(), FailingState()
    state.fails_at, state.after_writing = fails_at, after_writing
    recorder.refused = {"b"}
    handler = handler_for(recorder)
    definition = define("kitchen", [DishPrepared, handler])
    retry = RetryPolicy(attempts_max=10_000)
    around = surroundings(definition, store=store, state=state, clock=clock, retry=retry)
    deliverer = deliverer_for(around, handler)
    await deliverer.start()
    await append(store, "ab")
    await append(store, "xyz", "Burritos")
    for _ in range(20):
        clock.advance(AGAIN_AFTER_S)
        await asyncio.sleep(0.001)
    recorder.refused = set()
    await append(store, "c")

    async def is_level() -> bool:
        clock.advance(AGAIN_AFTER_S)
        processors = await state.processors()
        return bool(processors) and processors[0].position == 6 and not await state.failing()

    await until(is_level)
    await deliverer.stop()
    assert list(dict.fromkeys(d for d in recorder.handled if d in "abc")) == ["a", "b", "c"]
    assert list(dict.fromkeys(d for d in recorder.handled if d in "xyz")) == ["x", "y", "z"]
    assert state.saves >= fails_at


async def test_a_loop_that_breaks_off_says_so_and_begins_again(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    clock, store, state = HeldClock(), MemoryStore(), FailingState()
    definition = define("kitchen", [DishPrepared, DishCounter])
    around = surroundings(definition, store=store, state=state, clock=clock)
    deliverer = deliverer_for(around, DishCounter)
    await deliverer.start()
    state.fails_at = state.saves + 1
    await append(store, "a")
    await until(lambda: deliverer.errors)
    assert deliverer.errors == {"DishCounter": "OSError: the disk hung up"}
    clock.advance(AGAIN_AFTER_S)
    await until(lambda: not deliverer.errors)
    await until(lambda: has_document(state, "a"))
    await deliverer.stop()


async def has_document(state: SqliteState, key: str) -> bool:
    return await state.document("DishCounter", 1, key) is not None


async def test_stopping_does_not_wait_for_a_loop_that_pauses(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    clock, store, state = HeldClock(), MemoryStore(), FailingState()
    definition = define("kitchen", [DishPrepared, DishCounter])
    around = surroundings(definition, store=store, state=state, clock=clock)
    deliverer = deliverer_for(around, DishCounter)
    await deliverer.start()
    state.fails_at = state.saves + 1
    await append(store, "a")
    await until(lambda: deliverer.errors)
    async with asyncio.timeout(1):
        await deliverer.stop()


async def test_watching_goes_on_after_an_error(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    clock, store, state = HeldClock(), MemoryStore(), FailingState()
    definition = define("kitchen", [DishPrepared, DishCounter])
    around = surroundings(definition, store=store, state=state, clock=clock)
    deliverer = deliverer_for(around, DishCounter)
    await deliverer.start()
    await append(store, "a")
    await until(lambda: has_document(state, "a"))
    state.requests_fail = True
    await until(lambda: "delivery" in deliverer.errors)
    state.requests_fail = False
    await state.request(Request("replay", "DishCounter"))
    clock.advance(AGAIN_AFTER_S)

    async def is_rebuilt() -> bool:
        return [item.build for item in await state.processors()] == [2]

    await until(is_rebuilt)
    assert deliverer.errors == {}
    await deliverer.stop()


async def test_a_request_for_what_is_gone_is_forgotten(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    state = SqliteState()
    definition = define("kitchen", [DishPrepared, DishCounter])
    deliverer = deliverer_for(surroundings(definition, state=state), DishCounter)
    await state.request(Request("retry", "Gone"))
    await deliverer.start()

    async def is_forgotten() -> bool:
        return not await state.requests()

    await until(is_forgotten)
    await deliverer.stop()


async def test_a_rebuild_never_takes_readers_back(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    store, state = MemoryStore(), SqliteState()
    definition = define("kitchen", [DishPrepared, DishCounter])
    deliverer = deliverer_for(surroundings(definition, store=store, state=state), DishCounter)
    await deliverer.start()
    seen, requests = 0, 0
    for number in range(300):
        await append(store, "a")
        if number % 20 == 0:
            await state.request(Request("replay", "DishCounter"))
            requests += 1
        await asyncio.sleep(0)
        [current] = [item for item in await state.processors() if item.is_active]
        assert current.position >= seen
        seen = current.position
        if number % 50 == 0:
            await asyncio.sleep(0.02)

    async def is_level() -> bool:
        builds = await state.processors()
        return len(builds) == 1 and builds[0].position == 300

    await until(is_level)
    [build] = await state.processors()
    assert await state.document("DishCounter", build.build, "a") == b'{"count":300}'
    assert build.build > 1
    await deliverer.stop()


async def test_only_the_named_handlers_are_delivered_to(
    surroundings: Callable[..., Surroundings], until: Until
) -> None:
    recorder, store, state = Recorder(), MemoryStore(), SqliteState()
    handler = handler_for(recorder)
    definition = define("kitchen", [DishPrepared, DishCounter, handler])
    around = surroundings(definition, store=store, state=state)
    only = frozenset({"DishCounter"})
    deliverer = Deliverer(definition, around, None, lambda cls: cls(), only)
    await deliverer.start()
    await append(store, "a")
    await until(lambda: has_document(state, "a"))
    await deliverer.stop()
    assert recorder.handled == []
    assert [item.name for item in await state.processors()] == ["DishCounter"]


class SlowStore(MemoryStore):
    """A store whose pages hold two events and take a while to come."""

    async def read(self, selection: Selection) -> AsyncIterator[Page]:
        async for page in super().read(selection):
            for _ in range(5):
                await asyncio.sleep(0)
            yield page


async def test_a_page_that_comes_after_a_failure_does_not_overtake_it(
    surroundings: Callable[..., Surroundings], until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolittle.engines.memory.PAGE_EVENTS", 2)
    handled: list[str] = []
    tries = 0

    @event_handler(partitioned=False)
    class Flaky:
        @handles(DishPrepared)
        async def handle(self, event: DishPrepared) -> None:
            nonlocal tries
            tries += 1
            if tries % 3 == 1:
                raise ValueError(event.dish)
            handled.append(event.dish)

    store = SlowStore()
    definition = define("kitchen", [DishPrepared, Flaky])
    retry = RetryPolicy(attempts_max=10_000, delay_s=0, delay_s_max=0)
    deliverer = deliverer_for(surroundings(definition, store=store, retry=retry), Flaky)
    await append(store, "abcdefghijkl")
    await deliverer.start()
    await until(lambda: "l" in handled)
    await deliverer.stop()
    assert "".join(handled) == "abcdefghijkl"
