from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dolittle import event_handler, event_type, handles
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
