from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from dolittle.execution import (
    ExecutionContext,
    SystemClock,
    Timer,
    current_context,
    execution_context,
    new_id,
)
from dolittle.testing import HeldClock


def test_ids_are_32_hexadecimal_digits_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(len(item) == 32 and int(item, 16) >= 0 for item in ids)
    assert [item[:12] for item in ids] == sorted(item[:12] for item in ids)
    assert {item[12] for item in ids} == {"7"}
    assert {item[16] for item in ids} <= set("89ab")


def test_an_execution_context_ends_with_its_block() -> None:
    outer, inner = ExecutionContext(correlation="1"), ExecutionContext(correlation="2")
    assert current_context() is None
    with execution_context(outer):
        with execution_context(inner):
            assert current_context() is inner
        assert current_context() is outer
    assert current_context() is None


def test_a_block_whose_context_changes_ends_with_the_one_before_it() -> None:
    outer, first, second = (ExecutionContext(correlation=text) for text in "123")
    with execution_context(outer):
        with execution_context(first) as block:
            block.change(second)
            assert current_context() is second
        assert current_context() is outer


def test_an_execution_context_may_be_made_only_when_it_is_asked_for() -> None:
    made = []

    def make() -> ExecutionContext:
        made.append(ExecutionContext(correlation="1"))
        return made[-1]

    with execution_context(make):
        assert made == []
        assert current_context() is made[0]
    assert current_context() is None


async def test_tasks_do_not_see_one_anothers_execution_context() -> None:
    seen = {}

    async def work(name: str) -> None:
        with execution_context(ExecutionContext(correlation=name)):
            await asyncio.sleep(0)
            context = current_context()
            seen[name] = context.correlation if context else ""

    await asyncio.gather(work("a"), work("b"))
    assert seen == {"a": "a", "b": "b"}


async def test_the_machines_clock_can_be_waited_for() -> None:
    clock: Timer = SystemClock()
    assert clock.now().utcoffset() == timedelta()
    moment = datetime.now(UTC) + timedelta(seconds=0.02)  # noqa: TID251 - what is compared with
    await asyncio.wait_for(clock.wait_until(moment), 5)
    assert clock.now() >= moment
    await asyncio.wait_for(clock.wait_until(moment), 5)


async def test_a_held_clock_ends_a_wait_when_it_is_moved_there() -> None:
    clock = HeldClock()
    waiting = asyncio.create_task(clock.wait_until(clock.now() + timedelta(seconds=10)))
    clock.advance(9)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(1)
    await asyncio.wait_for(waiting, 5)
