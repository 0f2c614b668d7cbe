"""Opening a store and showing its last ten events, for a small log and a large one."""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.stores import EVENTS
from dolittle.engines.file import FileStore
from dolittle.store import Selection

OPENINGS = 15


def open_and_show(work: Work, log: str) -> Figures:
    """Open, ``read_last(..., 10)``; closing is not measured. The median of several times."""

    async def run() -> Figures:
        taken = []
        for _ in range(OPENINGS):
            begin = time.perf_counter()
            store = await FileStore.open(work.data / log / EVENTS)
            last = await store.read_last(Selection(), 10)
            taken.append(time.perf_counter() - begin)
            assert len(last) == 10
            await store.close()
        return {"ms": 1e3 * statistics.median(taken)}

    return asyncio.run(run())


ROWS = (
    Row(
        "open",
        "open a store and show its last ten events",
        (
            Contestant("1,000 events", "opening:open_and_show", {"log": "small"}),
            Contestant("the large log", "opening:open_and_show", {"log": "large"}),
        ),
        (
            Target(
                "large log, of 1,000 events",
                "the large log",
                "ms",
                against="1,000 events",
                at_most=1.2,
            ),
        ),
        needs=("small", "large"),
    ),
)
