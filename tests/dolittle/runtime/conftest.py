"""Opens microservices made of classes, without a project on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dolittle import Microservice
from dolittle.engines.memory import MemoryStore
from dolittle.execution import SystemClock, Timer
from dolittle.runtime.configuration import Configuration, RetryPolicy
from dolittle.runtime.definition import Definition, define
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import State
from dolittle.store import EventStore

WAIT_S = 10.0

AT_ONCE = RetryPolicy(attempts_max=10, delay_s=0.001, delay_s_max=0.004)

Open = Callable[..., AbstractAsyncContextManager[Microservice]]


@pytest.fixture
def open_service(tmp_path: Path) -> Open:
    """``async with open_service(Handler, Event) as service``; in memory unless told otherwise."""

    @asynccontextmanager
    async def opened(
        *classes: type,
        clock: Timer | None = None,
        retry: RetryPolicy = AT_ONCE,
        tenants: tuple[str, ...] = ("development",),
        ephemeral: bool = True,
        deliver: bool = True,
        only: tuple[str, ...] = (),
    ) -> AsyncIterator[Microservice]:
        configuration = Configuration(
            project=tmp_path,
            name="kitchen",
            package="kitchen",
            tenants=tenants,
            data_path=tmp_path / "data",
            durability="os",
            retry=retry,
            version="1.2.0",
            environment="test",
        )
        async with Microservice.open_tenants(
            configuration,
            define("kitchen", list(classes)),
            tenants=tenants,
            deliver=deliver,
            only=only,
            ephemeral=ephemeral,
            clock=clock,
        ) as services:
            yield services[tenants[0]]

    return opened


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """``await until(lambda: condition)``: wait for a condition, which may be async; bounded."""

    async def wait(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            if loop.time() > end:
                raise AssertionError(f"this did not come true within {timeout_s:g} s")
            await asyncio.sleep(0.001)

    return wait


@pytest.fixture
async def surroundings() -> AsyncIterator[Callable[..., Surroundings]]:
    """``surroundings(definition, store=…, state=…)``: what a delivery loop is given."""
    states: list[State] = []

    def made(
        definition: Definition,
        *,
        store: EventStore | None = None,
        state: State | None = None,
        clock: Timer | None = None,
        retry: RetryPolicy = AT_ONCE,
    ) -> Surroundings:
        state = state or SqliteState()
        states.append(state)
        return Surroundings(
            microservice="kitchen",
            tenant="development",
            version="",
            environment="",
            store=store or MemoryStore(),
            state=state,
            event_types=definition.event_types,
            clock=clock or SystemClock(),
            retry=retry,
            random=lambda: 0.0,
            progressed=Signal(),
        )

    yield made
    for state in states:
        await state.close()
