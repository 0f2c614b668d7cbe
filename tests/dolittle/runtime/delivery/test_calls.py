from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dolittle import event_handler, event_type, handles
from dolittle.execution import current_context
from dolittle.store import EventToCommit
from dolittle.testing import HeldClock


@event_type
class DishPrepared:
    dish: str


class BrokenMessage(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


async def a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.sleep(3_600))
    task.cancel()
    await task


def fails_with(error: BaseException) -> type:
    @event_handler("Announcer")
    class Failing:
        @handles(DishPrepared)
        def handle(self, event: DishPrepared) -> None:
            raise error

    return Failing


async def run_away() -> None:
    raise AssertionError("this is never awaited")


@event_handler("Announcer")
class Wrapped:
    @handles(DishPrepared)
    def handle(self, event: DishPrepared) -> Any:
        return run_away()


@event_handler("Announcer")
class Cancelled:
    @handles(DishPrepared)
    async def handle(self, event: DishPrepared) -> None:
        await a_cancelled_task()


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (fails_with(BrokenMessage()), "BrokenMessage (its message raised RuntimeError)"),
        (fails_with(ValueError("\ud800")), "ValueError: \\ud800"),
        (fails_with(SystemExit(3)), "SystemExit: 3"),
        (fails_with(StopIteration(3)), "StopIteration: 3"),
        (Wrapped, "TypeError: handle is no async def"),
        (Cancelled, "CancelledError: "),
    ],
    ids=["broken message", "surrogate", "exit", "stop iteration", "never awaited", "cancelled"],
)
async def test_whatever_a_method_raises_is_recorded_as_its_failure(
    open_service, handler, said
) -> None:
    async with open_service(handler, DishPrepared, clock=HeldClock()) as service:
        committed = await service.commit(DishPrepared(dish="a"), source="Tacos")
        await service.wait_until_seen("Announcer", committed.position)
        [row] = (await service.processor_status("Announcer")).failing
    assert row.error.startswith(said)


async def test_each_event_of_a_turn_has_the_context_that_it_causes(open_service) -> None:
    causations: list[str] = []

    @event_handler
    class Waiter:
        @handles(DishPrepared)
        def serve(self, event: DishPrepared) -> None:
            context = current_context()
            assert context is not None
            causations.append(context.causation)

    async with open_service(Waiter, DishPrepared) as service:
        dishes = [DishPrepared(dish=str(number)) for number in range(40)]
        committed = await service.commit(*dishes, source="Tacos")
        await service.wait_until_seen("Waiter", committed.position)
    assert causations == [event.id for event in committed.events]


async def test_an_unreadable_event_fails_alone_among_those_of_its_turn(open_service) -> None:
    served: list[str] = []

    @event_handler
    class Waiter:
        @handles(DishPrepared)
        def serve(self, event: DishPrepared) -> None:
            served.append(event.dish)

    contents = [b'{"dish":"a"}', b'{"dish":7}', b'{"dish":"c"}']
    events = tuple(
        EventToCommit("DishPrepared", f"Table {number}", content)
        for number, content in enumerate(contents)
    )
    async with open_service(Waiter, DishPrepared, clock=HeldClock()) as service:
        committed = await service._commit(events, "", {})
        await service.wait_until_seen("Waiter", committed.position)
        [row] = (await service.processor_status("Waiter")).failing
    assert served == ["a", "c"]
    assert (row.partition, row.position) == ("Table 1", 1)
