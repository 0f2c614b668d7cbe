"""Replaying through a trivial handler, and rebuilding a projection of 1,000 keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.stores import STATE
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.state import Request, newest

HANDLER: Final = "NothingToDo"
PROJECTION: Final = "OrdersByCustomer"
WAIT_S_MAX: Final = 150
_LOOK_S: Final = 0.005


@asynccontextmanager
async def delivering(project: Path, name: str) -> AsyncIterator[Microservice]:
    """Open a microservice that delivers to one handler or projection and has no state yet."""
    for path in (project / STATE).glob("state.sqlite*"):
        path.unlink()
    async with Microservice.open(project, only=(name,)) as microservice:
        yield microservice


def replay(work: Work, log: str, name: str) -> Figures:
    """Deliver everything once, then ask for a replay and time it, request to end."""
    return asyncio.run(_replay(work.data / log, name))


async def _replay(project: Path, name: str) -> Figures:
    async with delivering(project, name) as microservice:
        head = await microservice.store.head()
        begin = time.perf_counter()
        await microservice.wait_until_seen(name, head - 1, timeout_s=WAIT_S_MAX)
        first_s = time.perf_counter() - begin
        before = newest(await microservice.state.processors(name))
        assert before is not None
        begin = time.perf_counter()
        number = await microservice.request(Request("replay", name))
        async with asyncio.timeout(WAIT_S_MAX):
            while not await _is_over(  # noqa: ASYNC110 - the state is a database
                microservice, name, number, head, before.build
            ):
                await asyncio.sleep(_LOOK_S)
        again_s = time.perf_counter() - begin
    _forget(project)
    return {"rate": head / again_s, "first time, events/s": head / first_s}


async def _is_over(
    microservice: Microservice, name: str, number: int, head: int, build: int
) -> bool:
    if any(item.number == number for item in await microservice.state.requests()):
        return False
    now = newest(await microservice.state.processors(name))
    if now is None or now.position < head or now.replay is not None:
        return False
    return now.kind == "handler" or (now.build > build and now.is_active)


def _forget(project: Path) -> None:
    for path in (project / STATE).glob("state.sqlite*"):
        path.unlink()


def _row(log: str) -> Row:
    return Row(
        "replay",
        "replay through a trivial handler, rebuild a projection of 1,000 keys",
        (
            Contestant("handler", "replaying:replay", {"log": log, "name": HANDLER}),
            Contestant("projection", "replaying:replay", {"log": log, "name": PROJECTION}),
            Contestant(
                "handler, commits of 1 event",
                "replaying:replay",
                {"log": "scattered", "name": HANDLER},
            ),
            Contestant(
                "projection, commits of 1 event",
                "replaying:replay",
                {"log": "scattered", "name": PROJECTION},
            ),
        ),
        (
            Target("handler, events a second", "handler", at_least=150_000),
            Target("projection, events a second", "projection", at_least=150_000),
        ),
        needs=(log, "scattered"),
    )


ROWS = (_row("batches"),)
