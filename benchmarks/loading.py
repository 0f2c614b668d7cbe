"""Loading one aggregate of 10,000 events: stored in batches, and scattered among 1,000 others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.order import AGGREGATE, ONE
from benchmarks.service.declared import Customer, OrderPlaced
from benchmarks.stores import EVENTS
from dolittle.engines.file import FileStore
from dolittle.runtime.microservice import Microservice
from dolittle.serialization import EventTypes
from dolittle.store import Selection


def load(work: Work, log: str) -> Figures:
    """``microservice.aggregate(Customer, source).load()``: read, decode and fold."""

    async def run() -> Figures:
        async with Microservice.open(work.data / log, deliver=False) as microservice:
            instance = microservice.aggregate(Customer, ONE)

            async def once() -> int:
                return (await instance.load()).version

            return await _repeated(work, once)

    return asyncio.run(run())


def read(work: Work, log: str) -> Figures:
    """``store.read`` of the aggregate's events, each decoded and nothing folded."""

    async def run() -> Figures:
        store = await FileStore.open(work.data / log / EVENTS)
        decode = EventTypes([OrderPlaced]).decode_all

        async def once() -> int:
            count = 0
            async for page in store.read(Selection(source=ONE, aggregate=AGGREGATE)):
                decode(page.events)
                count += len(page.events)
            return count

        figures = await _repeated(work, once)
        await store.close()
        return figures

    return asyncio.run(run())


async def _repeated(work: Work, once: Callable[[], Awaitable[int]]) -> Figures:
    await once()
    taken: list[float] = []
    count = 0
    while sum(taken) < work.scale.pass_s_min or len(taken) < 3:
        begin = time.perf_counter()
        count = await once()
        taken.append(time.perf_counter() - begin)
    return {"rate": count / sorted(taken)[len(taken) // 2]}


def _row(id: str, title: str, log: str, share: float) -> Row:
    where = {"log": log}
    mine = "dolittle, load"
    return Row(
        id,
        title,
        (
            Contestant(mine, "loading:load", where),
            Contestant("dolittle, read and decode", "loading:read", where),
            Contestant("sqlite3, decoded", "peers.sqlite:load", where),
            Contestant("eventsourcing, decoded", "peers.eventsourcing:load", where, True),
            Contestant("umadb, decoded", "peers.umadb:load", where, True),
        ),
        (
            Target("of SQLite", mine, against="sqlite3, decoded", at_least=share),
            Target("of eventsourcing", mine, against="eventsourcing, decoded", at_least=5 * share),
        ),
        needs=(log, f"sqlite {log}", f"eventsourcing {log}", f"umadb {log}"),
    )


ROWS = (
    _row("load", "load an aggregate of 10,000 events, committed 100 at a time", "batches", 1.0),
    _row(
        "load-scattered",
        "load an aggregate of 10,000 events, committed 1 at a time among 1,000 others",
        "scattered",
        0.5,
    ),
)
