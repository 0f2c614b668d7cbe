from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from typing import Any

import pytest

from dolittle import EventContext, Microservice, event_handler, event_type, handles
from dolittle.execution import ExecutionContext, current_context, execution_context
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.delivery import deliverer as deliverer_module
from dolittle.runtime.state import Request
from dolittle.store import EventToCommit
from dolittle.testing import HeldClock


@event_type
class DishPrepared:
    dish: str


@event_type
class DishServed:
    dish: str


@event_type
class GuestLeft:
    name: str = ""


class Kitchen:
    """What the handlers of a test record, and the dishes that they refuse."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, str]] = []
        self.contexts: list[EventContext] = []
        self.refused: set[str] = set()

    def dishes(self, source: str = "") -> list[str]:
        return [dish for at, dish in self.handled if source in ("", at)]

    def handle(self, event: DishPrepared, context: EventContext) -> None:
        self.contexts.append(context)
        if event.dish in self.refused:
            raise ValueError(f"{event.dish} is burnt")
        self.handled.append((context.source, event.dish))


def handler_for(kitchen: Kitchen, **options: Any) -> type:
    @event_handler("Announcer", **options)
    class Announcer:
        @handles(DishPrepared)
        def announce(self, event: DishPrepared, context: EventContext) -> None:
            kitchen.handle(event, context)

    return Announcer


def async_handler_for(kitchen: Kitchen, **options: Any) -> type:
    @event_handler("Announcer", **options)
    class Announcer:
        @handles(DishPrepared)
        async def announce(self, event: DishPrepared, context: EventContext) -> None:
            await asyncio.sleep(0)
            kitchen.handle(event, context)

    return Announcer


async def prepare(service: Microservice, dishes: str, source: str = "Tacos") -> int:
    committed = await service.commit(*(DishPrepared(dish=d) for d in dishes), source=source)
    return committed.position


@pytest.mark.parametrize("make", [handler_for, async_handler_for])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_events_are_handled_in_order_within_their_source(
    open_service, make, concurrency
) -> None:
    kitchen = Kitchen()
    async with open_service(
        make(kitchen, concurrency=concurrency), DishPrepared, DishServed
    ) as service:
        last = 0
        for number in range(60):
            last = await prepare(service, chr(65 + number % 26), f"source {number % 3}")
        await service.wait_until_seen("Announcer", last)
    for third in range(3):
        expected = [chr(65 + n % 26) for n in range(60) if n % 3 == third]
        assert kitchen.dishes(f"source {third}") == expected


async def test_a_handler_sees_only_the_types_that_it_handles(open_service) -> None:
    kitchen = Kitchen()
    async with open_service(handler_for(kitchen), DishPrepared, DishServed) as service:
        await prepare(service, "a")
        served = await service.commit(DishServed(dish="a"), source="Tacos")
        await service.wait_until_seen("Announcer", served.position)
    assert kitchen.dishes() == ["a"]


async def test_a_blocking_method_does_not_stall_the_event_loop(open_service) -> None:
    release = threading.Event()

    @event_handler
    class Slow:
        @handles(DishPrepared)
        def wait(self, event: DishPrepared) -> None:
            assert release.wait(10)

    async with open_service(Slow, DishPrepared) as service:
        position = await prepare(service, "a")
        longest, before = 0.0, time.monotonic()
        for _ in range(50):
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        release.set()
        await service.wait_until_seen("Slow", position)
    assert longest < 0.5


@pytest.mark.parametrize("make", [handler_for, async_handler_for])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_failing_source_waits_while_the_others_go_on(
    open_service, until, make, concurrency
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    kitchen.refused = {"b"}
    async with open_service(
        make(kitchen, concurrency=concurrency), DishPrepared, clock=clock
    ) as service:
        await prepare(service, "abc", "Tacos")
        last = await prepare(service, "xyz", "Burritos")
        await service.wait_until_seen("Announcer", last)
        assert kitchen.dishes("Tacos") == ["a"]
        assert kitchen.dishes("Burritos") == ["x", "y", "z"]
        await prepare(service, "d", "Tacos")
        [row] = (await service.processor_status("Announcer")).failing
        assert (row.partition, row.position, row.attempts) == ("Tacos", 1, 1)
        assert row.error == "ValueError: b is burnt"
        assert "is burnt" in row.traceback
        kitchen.refused = set()
        clock.advance(60)
        await until(lambda: kitchen.dishes("Tacos") == ["a", "b", "c", "d"])
        last = await prepare(service, "e", "Tacos")
        await service.wait_until_seen("Announcer", last)
        assert kitchen.dishes("Tacos") == ["a", "b", "c", "d", "e"]
        await until(lambda: no_failures(service))


async def no_failures(service: Microservice) -> bool:
    return not (await service.processor_status("Announcer")).failing


async def test_the_wait_between_retries_grows_until_the_event_is_parked(
    open_service, until
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    kitchen.refused = {"a"}
    retry = RetryPolicy(attempts_max=5, delay_s=1, delay_s_max=4)
    waits = []
    async with open_service(
        handler_for(kitchen), DishPrepared, clock=clock, retry=retry
    ) as service:
        await prepare(service, "a")
        for attempt in range(1, 6):

            async def tried(attempt: int = attempt) -> Any:
                rows = (await service.processor_status("Announcer")).failing
                return rows and rows[0].attempts == attempt and rows[0]

            row = await until(tried)
            waits.append((row.retry_at - row.failed_at).total_seconds())
            assert row.is_parked == (attempt == 5)
            clock.advance(waits[-1])
        for least, wait in zip([1, 2, 4, 4, 4], waits, strict=True):
            assert least <= wait <= least * 1.2
        clock.advance(3_600)
        position = await prepare(service, "x", "Burritos")
        await service.wait_until_seen("Announcer", position)
    assert len([c for c in kitchen.contexts if c.source == "Tacos"]) == 5


async def test_a_parked_source_is_tried_again_on_request(open_service, until) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"a"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(handler_for(kitchen), DishPrepared, retry=retry) as service:
        await prepare(service, "ab")
        await until(lambda: is_parked(service))
        kitchen.refused = set()
        await service.request(Request("retry", "Announcer"))
        await until(lambda: kitchen.dishes() == ["a", "b"])
        await until(lambda: no_failures(service))
        await until(lambda: no_requests(service))


async def is_parked(service: Microservice) -> bool:
    rows = (await service.processor_status("Announcer")).failing
    return any(row.is_parked for row in rows)


async def no_requests(service: Microservice) -> bool:
    return not await service.state.requests()


@pytest.mark.parametrize("partitioned", [True, False])
async def test_a_parked_event_is_skipped_on_request(open_service, until, partitioned) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"b"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(
        handler_for(kitchen, partitioned=partitioned), DishPrepared, retry=retry
    ) as service:
        await prepare(service, "abc")
        await until(lambda: is_parked(service))
        await service.request(Request("skip", "Announcer"))
        await until(lambda: kitchen.dishes() == ["a", "c"])
        await until(lambda: no_failures(service))


async def test_a_request_for_one_partition_leaves_the_others(open_service, until) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"a"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(handler_for(kitchen), DishPrepared, retry=retry) as service:
        await prepare(service, "a", "Tacos")
        last = await prepare(service, "a", "Burritos")
        await service.wait_until_seen("Announcer", last)
        kitchen.refused = set()
        await service.request(Request("retry", "Announcer", "Burritos"))
        await until(lambda: kitchen.dishes() == ["a"])
        await until(lambda: no_requests(service))

        async def only_tacos_waits() -> bool:
            rows = (await service.processor_status("Announcer")).failing
            return [(row.partition, row.is_parked) for row in rows] == [("Tacos", True)]

        await until(only_tacos_waits)


async def test_an_unpartitioned_handler_waits_at_the_failing_event(open_service, until) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    kitchen.refused = {"b"}
    async with open_service(
        handler_for(kitchen, partitioned=False), DishPrepared, clock=clock
    ) as service:
        await prepare(service, "ab", "Tacos")
        await prepare(service, "x", "Burritos")

        async def attempts() -> int:
            rows = (await service.processor_status("Announcer")).failing
            return rows[0].attempts if rows else 0

        await until(attempts)
        assert kitchen.dishes() == ["a"]
        clock.advance(60)
        await until(lambda: is_attempt(service, 2))
        assert kitchen.dishes() == ["a"]
        kitchen.refused = set()
        clock.advance(60)
        await until(lambda: kitchen.dishes() == ["a", "b", "x"])
        await until(lambda: no_failures(service))


async def is_attempt(service: Microservice, attempt: int) -> bool:
    rows = (await service.processor_status("Announcer")).failing
    return bool(rows) and rows[0].attempts == attempt


async def test_retries_without_a_wait_keep_the_order_of_an_unpartitioned_handler(
    open_service, until
) -> None:
    failures = iter([True, True, False, True, False] + [False] * 10)
    handled: list[str] = []

    @event_handler(partitioned=False)
    class Flaky:
        @handles(DishPrepared)
        async def handle(self, event: DishPrepared) -> None:
            if next(failures):
                raise ValueError(event.dish)
            handled.append(event.dish)

    retry = RetryPolicy(delay_s=0, delay_s_max=0)
    async with open_service(Flaky, DishPrepared, retry=retry) as service:
        await prepare(service, "abcdef")
        await until(lambda: handled == list("abcdef"))


async def test_partitions_are_handled_at_the_same_time(open_service) -> None:
    everyone = threading.Barrier(3)
    handled: dict[str, list[str]] = defaultdict(list)

    @event_handler(concurrency=3)
    class Together:
        @handles(DishPrepared)
        def handle(self, event: DishPrepared, context: EventContext) -> None:
            everyone.wait(10)
            handled[context.source].append(event.dish)

    async with open_service(Together, DishPrepared) as service:
        for source in ("Tacos", "Burritos", "Nachos"):
            last = await prepare(service, "abc", source)
        await service.wait_until_seen("Together", last)
    assert handled == {"Tacos": [*"abc"], "Burritos": [*"abc"], "Nachos": [*"abc"]}


async def test_no_more_partitions_than_allowed_are_handled_at_the_same_time(open_service) -> None:
    running, most = 0, 0

    @event_handler(concurrency=2)
    class Two:
        @handles(DishPrepared)
        async def handle(self, event: DishPrepared) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

    async with open_service(Two, DishPrepared) as service:
        for number in range(10):
            last = await prepare(service, "abc", f"source {number}")
        await service.wait_until_seen("Two", last)
    assert most == 2


async def test_a_source_named_like_a_retry_is_not_held_up(open_service, until) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"b"}
    async with open_service(
        async_handler_for(kitchen, concurrency=4), DishPrepared, clock=HeldClock()
    ) as service:
        await prepare(service, "b", "Tacos")
        last = await prepare(service, "x", "retry Tacos")
        await service.wait_until_seen("Announcer", last)
    assert kitchen.dishes() == ["x"]


async def test_a_handler_that_starts_now_leaves_out_what_was_before(open_service) -> None:
    kitchen = Kitchen()
    async with open_service(DishPrepared, ephemeral=False) as service:
        await prepare(service, "ab")
    handler = handler_for(kitchen, start_from="now")
    async with open_service(handler, DishPrepared, ephemeral=False):
        pass
    async with open_service(DishPrepared, ephemeral=False, deliver=False) as service:
        await prepare(service, "c")
    async with open_service(handler, DishPrepared, ephemeral=False) as service:
        last = await prepare(service, "d")
        await service.wait_until_seen("Announcer", last)
        [processor] = await service.state.processors("Announcer")
    assert kitchen.dishes() == ["c", "d"]
    assert (processor.began, processor.position) == (2, 4)


async def test_a_handler_that_is_yet_to_start_now_does_not_lag(open_service) -> None:
    handler = handler_for(Kitchen(), start_from="now")
    async with open_service(handler, DishPrepared, deliver=False) as service:
        await prepare(service, "ab")
        status = await service.processor_status("Announcer")
    assert (status.is_started, status.behind) == (False, 0)


async def begun(service: Microservice, name: str) -> None:
    """Wait until a handler has begun, at what was then the end of the log."""
    async with asyncio.timeout(20):
        while not (await service.processor_status(name)).is_started:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("request_", "began"),
    [
        (Request("replay", "Announcer", position=0), 0),
        (Request("replay", "Announcer", position=1), 1),
        (Request("replay", "Announcer", position=0, stop=1), 2),
        (Request("replay", "Announcer", position=0, source="Tacos"), 2),
        (Request("replay", "Announcer", position=3), 2),
    ],
    ids=["from the start", "from between", "not as far", "one source", "later"],
)
async def test_a_replay_of_all_that_came_before_moves_where_a_handler_began(
    open_service, request_: Request, began: int
) -> None:
    handler = handler_for(Kitchen(), start_from="now")
    async with open_service(DishPrepared, ephemeral=False) as service:
        await prepare(service, "ab")
    async with open_service(handler, DishPrepared, ephemeral=False) as service:
        await begun(service, "Announcer")
        last = await prepare(service, "cd")
        await service.wait_until_seen("Announcer", last)
        await service.request(request_)

        async def is_through() -> bool:
            [processor] = await service.state.processors("Announcer")
            return (
                not await service.state.requests()
                and processor.replay is None
                and processor.position == last + 1
            )

        async with asyncio.timeout(20):
            while not await is_through():
                await asyncio.sleep(0.01)
        [processor] = await service.state.processors("Announcer")
    assert processor.began == began


async def test_nothing_is_handled_twice_over_a_clean_restart(open_service) -> None:
    kitchen = Kitchen()
    for dish in "abc":
        async with open_service(handler_for(kitchen), DishPrepared, ephemeral=False) as service:
            last = await prepare(service, dish)
            await service.wait_until_seen("Announcer", last)
    assert kitchen.dishes() == ["a", "b", "c"]


async def test_stopping_returns_after_the_event_in_hand_and_loses_none(open_service) -> None:
    kitchen = Kitchen()
    in_hand, release = threading.Event(), threading.Event()

    @event_handler("Announcer")
    class Slow:
        @handles(DishPrepared)
        def handle(self, event: DishPrepared, context: EventContext) -> None:
            in_hand.set()
            assert release.wait(10)
            kitchen.handle(event, context)

    async with open_service(Slow, DishPrepared, ephemeral=False) as service:
        await prepare(service, "abc")
        assert await asyncio.to_thread(in_hand.wait, 10)
        stopping = asyncio.create_task(service.deliverer.stop())
        await asyncio.sleep(0)
        release.set()
        await stopping
    assert kitchen.dishes() == ["a"]
    async with open_service(handler_for(kitchen), DishPrepared, ephemeral=False) as service:
        await service.wait_until_seen("Announcer", 2)
    assert kitchen.dishes() == ["a", "b", "c"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_stop_that_takes_long_says_which_call_it_waits_for(
    open_service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    monkeypatch.setattr(deliverer_module, "IN_HAND_S", 0.05)
    in_hand, release, release_async = threading.Event(), threading.Event(), asyncio.Event()

    @event_handler("5a0e8c7c-0f0e-4f7e-9f0b-6c1f0a9d2c11")
    class Slow:
        @handles(DishPrepared)
        def announce(self, event: DishPrepared) -> None:
            in_hand.set()
            assert release.wait(10)

    @event_handler("5a0e8c7c-0f0e-4f7e-9f0b-6c1f0a9d2c12")
    class SlowAsync:
        @handles(DishPrepared)
        async def announce(self, event: DishPrepared) -> None:
            in_hand.set()
            await release_async.wait()

    handler = SlowAsync if is_async else Slow
    async with open_service(handler, DishPrepared) as service:
        await prepare(service, "a")
        assert await asyncio.to_thread(in_hand.wait, 10)
        stopping = asyncio.create_task(service.deliverer.stop())
        async with asyncio.timeout(10):
            while "waiting for" not in caplog.text:
                await asyncio.sleep(0.01)
        release.set()
        release_async.set()
        await stopping
    assert f"waiting for {handler.__name__}.announce, with event 0 of" in caplog.text


async def test_stopping_in_the_middle_of_a_catch_up_repeats_nothing(open_service) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"a"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(
        handler_for(kitchen), DishPrepared, ephemeral=False, retry=retry
    ) as service:
        last = await prepare(service, "abcde")
        await service.wait_until_seen("Announcer", last)
    in_hand, release = threading.Event(), threading.Event()

    @event_handler("Announcer")
    class Slow:
        @handles(DishPrepared)
        def handle(self, event: DishPrepared, context: EventContext) -> None:
            kitchen.handle(event, context)
            if event.dish == "c":
                in_hand.set()
                assert release.wait(10)

    kitchen.refused = set()
    async with open_service(Slow, DishPrepared, ephemeral=False) as service:
        await service.request(Request("retry", "Announcer"))
        assert await asyncio.to_thread(in_hand.wait, 10)
        stopping = asyncio.create_task(service.deliverer.stop())
        await asyncio.sleep(0)
        release.set()
        await stopping
    assert kitchen.dishes() == ["a", "b", "c"]
    async with open_service(handler_for(kitchen), DishPrepared, ephemeral=False) as service:
        last = await prepare(service, "f")
        await service.wait_until_seen("Announcer", last)
        while len(kitchen.dishes()) < 6:
            await asyncio.sleep(0.001)
    assert kitchen.dishes() == ["a", "b", "c", "d", "e", "f"]


async def test_the_context_says_what_is_known_about_an_event(open_service) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(handler_for(kitchen), DishPrepared, clock=clock) as service:
        with execution_context(ExecutionContext(correlation="c0ffee", causation="request 1")):
            committed = await service.commit(DishPrepared(dish="a"), source="Tacos", public=True)
        await service.wait_until_seen("Announcer", committed.position)
    [context] = kitchen.contexts
    assert context.position == 0
    assert context.time == clock.now()
    assert (context.event_type.id, context.event_type.generation) == ("DishPrepared", 1)
    assert (context.source, context.aggregate, context.version) == ("Tacos", "", 0)
    assert (context.commit, context.event_id) == (committed.id, f"{committed.id}/0")
    assert (context.correlation, context.causation) == ("c0ffee", "request 1")
    assert (context.public, context.is_replay) == (True, False)
    assert (context.tenant, context.microservice) == ("development", "kitchen")


class Waiter:
    """Commits what follows; made with the microservice that it commits to."""

    def __init__(self, kitchen: Microservice) -> None:
        self.kitchen = kitchen
        self.seen: ExecutionContext | None = None

    @handles(DishPrepared)
    async def serve(self, event: DishPrepared) -> None:
        await self.kitchen.commit(DishServed(dish=event.dish), source="Table 1")


async def test_what_a_handler_commits_carries_correlation_and_causation(open_service) -> None:
    seen: list[ExecutionContext | None] = []
    served: list[EventContext] = []

    @event_handler
    class Runner:
        @handles(DishServed)
        def note(self, event: DishServed, context: EventContext) -> None:
            seen.append(current_context())
            served.append(context)

    async with open_service(event_handler(Waiter), Runner, DishPrepared, DishServed) as service:
        context = ExecutionContext(correlation="c0ffee", claims={"sub": "Mr. Taco"})
        with execution_context(context):
            committed = await service.commit(DishPrepared(dish="a"), source="Tacos")
        await service.wait_until_seen("Waiter", committed.position)
        await service.wait_until_seen("Runner", committed.position + 1)
        stored = await service.store.read_last(type_selection(), 1)
    assert (served[0].correlation, served[0].causation) == ("c0ffee", f"{committed.id}/0")
    assert seen[0] is not None
    assert (seen[0].correlation, seen[0].causation) == ("c0ffee", served[0].event_id)
    assert (seen[0].version, seen[0].environment) == ("1.2.0", "test")
    assert dict(stored[0].commit.claims) == {"sub": "Mr. Taco"}
    assert (stored[0].commit.handler, committed.events[0].commit.handler) == ("Waiter", "")


def type_selection() -> Any:
    from dolittle.store import Selection

    return Selection(types=frozenset({"DishServed"}))


@pytest.mark.parametrize(
    ("generation", "content"),
    [(2, b'{"dish":"a"}'), (1, b'{"dish":7}'), (1, b"{}")],
    ids=["generation", "wrong type", "missing field"],
)
async def test_an_event_that_cannot_be_read_fails_its_source_only(
    open_service, generation, content
) -> None:
    kitchen = Kitchen()
    async with open_service(handler_for(kitchen), DishPrepared, clock=HeldClock()) as service:
        unreadable = EventToCommit("DishPrepared", "Tacos", content, generation)
        await service._commit((unreadable,), "", {})
        await prepare(service, "b", "Tacos")
        last = await prepare(service, "x", "Burritos")
        await service.wait_until_seen("Announcer", last)
        [row] = (await service.processor_status("Announcer")).failing
    assert kitchen.dishes() == ["x"]
    assert (row.partition, row.position) == ("Tacos", 0)
    assert row.error.startswith("UnreadableEvent: the event at position 0 (DishPrepared, gen")


async def test_a_slow_handler_does_not_make_the_log_pile_up_in_memory(open_service, until) -> None:
    from dolittle.runtime.delivery.handling import IN_FLIGHT_MAX

    release = asyncio.Event()
    count = 0

    @event_handler
    class Slow:
        @handles(GuestLeft)
        async def handle(self, event: GuestLeft) -> None:
            nonlocal count
            await release.wait()
            count += 1

    total = IN_FLIGHT_MAX * 4
    async with open_service(Slow, GuestLeft) as service:
        for _ in range(4):
            last = await service.commit(*[GuestLeft()] * IN_FLIGHT_MAX, source="Table 1")
        loop = service.deliverer._handlers["Slow"]
        await until(lambda: len(loop._unfinished) >= IN_FLIGHT_MAX)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(loop._unfinished) < IN_FLIGHT_MAX * 2
        release.set()
        await service.wait_until_seen("Slow", last.position)
    assert count == total


async def test_an_unpartitioned_retry_in_hand_does_not_spin(open_service, until) -> None:
    release, tries = asyncio.Event(), 0

    @event_handler("Announcer", partitioned=False)
    class Slow:
        @handles(DishPrepared)
        async def handle(self, event: DishPrepared) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise ValueError("not yet")
            await release.wait()

    async with open_service(Slow, DishPrepared) as service:
        await prepare(service, "a")
        await until(lambda: tries == 2)
        waits = 0
        loop = service.deliverer._handlers["Announcer"]
        wait = loop._wait

        async def counted() -> None:
            nonlocal waits
            waits += 1
            await wait()

        loop._wait = counted
        for _ in range(200):
            await asyncio.sleep(0)
        release.set()
        await until(lambda: no_failures(service))
    assert waits < 10
