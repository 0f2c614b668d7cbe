"""The most memory that a process uses while it reads, replays or tails the large log."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.replaying import HANDLER, PROJECTION, WAIT_S_MAX, delivering
from benchmarks.service.declared import OrderPlaced
from benchmarks.stores import EVENTS
from dolittle.engines.file import FileStore
from dolittle.serialization import EventTypes
from dolittle.store import Selection, subscribe

_LOOK_S = 0.05


def peak_mib() -> float:
    """Return the most memory that this process has had resident, in MiB.

    On Linux from ``/proc``: what ``getrusage`` says includes the parent before ``exec``.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def read(work: Work, log: str) -> Figures:
    """Read and decode everything."""
    return asyncio.run(_read(work, log, follows=False))


def tail(work: Work, log: str) -> Figures:
    """Tail from the beginning, until level."""
    return asyncio.run(_read(work, log, follows=True))


async def _read(work: Work, log: str, *, follows: bool) -> Figures:
    store = await FileStore.open(work.data / log / EVENTS)
    decode = EventTypes([OrderPlaced]).decode_all
    head = await store.head()
    early = 0.0
    pages = subscribe(store, Selection()) if follows else store.read(Selection())
    async for page in pages:
        decode(page.events)
        if not early and page.next_position >= head // 10:
            early = peak_mib()
        if page.next_position >= head:
            break
    await store.close()
    return {"peak MiB": peak_mib(), "after a tenth MiB": early}


def replay(work: Work, log: str, name: str) -> Figures:
    """Deliver everything to one handler or projection that has no state yet."""
    return asyncio.run(_replay(work, log, name))


async def _replay(work: Work, log: str, name: str) -> Figures:
    async with delivering(work.data / log, name) as microservice:
        head = await microservice.store.head()
        done = asyncio.create_task(
            microservice.wait_until_seen(name, head - 1, timeout_s=WAIT_S_MAX)
        )
        early = 0.0
        while not done.done():
            await asyncio.wait([done], timeout=_LOOK_S)
            now = await microservice.state.processors(name)
            if not early and now and now[0].position >= head // 10:
                early = peak_mib()
        await done
    return {"peak MiB": peak_mib(), "after a tenth MiB": early}


_MEASURED = {
    "reading": Contestant("reading", "memory:read", {"log": "large"}, is_once=True),
    "tailing": Contestant("tailing", "memory:tail", {"log": "large"}, is_once=True),
    "handler": Contestant(
        "handler", "memory:replay", {"log": "large", "name": HANDLER}, is_once=True
    ),
    "projection": Contestant(
        "projection", "memory:replay", {"log": "large", "name": PROJECTION}, is_once=True
    ),
}

ROWS = (
    Row(
        "memory",
        "peak memory of a process that goes through the large log",
        tuple(_MEASURED.values()),
        tuple(
            target
            for name in _MEASURED
            for target in (
                Target(f"{name}, MiB", name, "peak MiB", at_most=100),
                Target(
                    f"{name}, peak of what it was after a tenth",
                    name,
                    "peak MiB",
                    against=name,
                    against_figure="after a tenth MiB",
                    at_most=1.2,
                ),
            )
        ),
        needs=("large",),
    ),
)
