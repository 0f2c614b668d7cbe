from __future__ import annotations

from typing import Any

import pytest

from dolittle import EventContext, Microservice, event_handler, event_type, handles, side_effect
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.state import Request
from dolittle.testing import HeldClock


@event_type
class DishPrepared:
    dish: str


@event_type
class DishServed:
    dish: str


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


async def prepare(service: Microservice, dishes: str, source: str = "Tacos") -> int:
    committed = await service.commit(*(DishPrepared(dish=d) for d in dishes), source=source)
    return committed.position


async def no_failures(service: Microservice) -> bool:
    return not (await service.processor_status("Announcer")).failing


async def is_parked(service: Microservice) -> bool:
    rows = (await service.processor_status("Announcer")).failing
    return any(row.is_parked for row in rows)


async def no_requests(service: Microservice) -> bool:
    return not await service.state.requests()


async def is_attempt(service: Microservice, attempt: int) -> bool:
    rows = (await service.processor_status("Announcer")).failing
    return bool(rows) and rows[0].attempts == attempt


@event_handler
class Inviting:
    calls: list[tuple[str, str, bool]] = []  # noqa: RUF012 - shared by the tests' instances

    @handles(DishPrepared)
    def note(self, event: DishPrepared, context: EventContext) -> None:
        self.calls.append(("note", event.dish, context.is_replay))

    @side_effect
    @handles(DishServed)
    def send(self, event: DishServed, context: EventContext) -> None:
        self.calls.append(("send", event.dish, context.is_replay))


@pytest.fixture
def calls():
    Inviting.calls.clear()
    yield Inviting.calls
    Inviting.calls.clear()


@pytest.mark.parametrize("named", [(), ("send",)])
async def test_a_replay_calls_a_side_effect_only_if_it_is_named(
    open_service, until, calls, named
) -> None:
    async with open_service(Inviting, DishPrepared, DishServed) as service:
        await prepare(service, "ab")
        last = await service.commit(DishServed(dish="a"), source="Table 1")
        await service.wait_until_seen("Inviting", last.position)
        assert calls == [("note", "a", False), ("note", "b", False), ("send", "a", False)]
        calls.clear()
        await service.request(Request("replay", "Inviting", position=1, side_effects=named))
        await until(lambda: no_requests(service))
        last = await service.commit(DishServed(dish="b"), source="Table 1")
        await service.wait_until_seen("Inviting", last.position)
    again = [("send", "a", True)] if named else []
    assert calls == [("note", "b", True), *again, ("send", "b", False)]


async def test_what_had_never_been_handled_is_no_replay(open_service, until) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"b"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(handler_for(kitchen), DishPrepared, retry=retry) as service:
        await prepare(service, "abc", "Tacos")
        last = await prepare(service, "x", "Burritos")
        await service.wait_until_seen("Announcer", last)
        kitchen.refused, kitchen.contexts = set(), []
        await service.request(Request("replay", "Announcer"))
        await until(lambda: no_requests(service))
        await service.wait_until_seen("Announcer", last)
        flags = [(context.position, context.is_replay) for context in kitchen.contexts]
    assert sorted(flags) == [(0, True), (1, False), (2, False), (3, True)]


async def test_a_replay_behind_a_failing_event_does_not_flag_it(open_service, until) -> None:
    kitchen = Kitchen()
    kitchen.refused = {"a"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(handler_for(kitchen), DishPrepared, retry=retry) as service:
        await prepare(service, "ab", "Tacos")
        last = await prepare(service, "x", "Burritos")
        await service.wait_until_seen("Announcer", last)
        kitchen.refused, kitchen.contexts = set(), []
        await service.request(Request("replay", "Announcer", position=2))
        await service.request(Request("retry", "Announcer"))
        await until(lambda: no_failures(service))
        await service.wait_until_seen("Announcer", last)
        flags = [(context.position, context.is_replay) for context in kitchen.contexts]
    assert sorted(flags) == [(0, False), (1, False), (2, True)]


async def test_an_event_that_fails_in_a_replay_is_still_a_replay_when_it_is_tried_again(
    open_service, until
) -> None:
    kitchen, clock = Kitchen(), HeldClock()
    async with open_service(handler_for(kitchen), DishPrepared, clock=clock) as service:
        last = await prepare(service, "ab", "Tacos")
        await service.wait_until_seen("Announcer", last)
        kitchen.refused = {"a"}
        await service.request(Request("replay", "Announcer"))
        await until(lambda: is_attempt(service, 1))
        last = await prepare(service, "c", "Burritos")
        await service.wait_until_seen("Announcer", last)
        assert not (await service.processor_status("Announcer")).is_replaying
        kitchen.refused, kitchen.contexts = set(), []
        clock.advance(60)
        await until(lambda: no_failures(service))
        flags = [(context.position, context.is_replay) for context in kitchen.contexts]
        assert flags == [(0, True), (1, True)]
        await until(lambda: replay_is_over(service))


async def replay_is_over(service: Microservice) -> bool:
    [processor] = await service.state.processors("Announcer")
    return processor.replay is None


async def test_a_replay_from_beyond_what_was_handled_passes_over_nothing(
    open_service, until
) -> None:
    kitchen = Kitchen()
    retry = RetryPolicy(attempts_max=1)
    async with open_service(
        handler_for(kitchen, partitioned=False), DishPrepared, retry=retry
    ) as service:
        kitchen.refused = {"a"}
        last = await prepare(service, "abc")
        await until(lambda: is_parked(service))
        kitchen.refused = set()
        await service.request(Request("replay", "Announcer", position=2))
        await service.wait_until_seen("Announcer", last)
    assert kitchen.dishes() == ["a", "b", "c"]
