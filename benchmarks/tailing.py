"""Tailing from another process: how long after a commit returned, and the cost of waiting."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.commits import as_stored
from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.order import Order, of_writer
from benchmarks.replaying import HANDLER, delivering
from benchmarks.stores import as_commit
from benchmarks.tail_times import EVERY_S, WARM_UP, Reader, latencies, pace
from dolittle.engines.file import FileStore
from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.line import encode
from dolittle.store import Selection, subscribe

_SETTLE_S: Final = 0.5


class _TimedFiles(OsFiles):
    """Remembers when the last sync returned."""

    synced_ns = 0

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        self.synced_ns = time.monotonic_ns()


def tail(work: Work) -> Figures:
    """Commit here, tail with ``subscribe`` in another process."""
    return asyncio.run(_tail(work))


async def _tail(work: Work) -> Figures:
    files = _TimedFiles()
    store = await FileStore.open(work.folder, files=files)
    await store.commit(as_commit([Order("warm-up", 1, b"{}")]))
    count = WARM_UP + work.scale.tailed
    returned: list[int] = []
    synced: list[int] = []
    with Reader("tailing", work.folder, count) as reader:
        begin = time.monotonic()
        for number, orders in enumerate(of_writer(0, count)):
            pace(begin, number)
            await store.commit(as_commit(orders))
            returned.append(time.monotonic_ns())
            synced.append(files.synced_ns)
        seen = reader.seen()
    await store.close()
    early = sum(saw < sync for saw, sync in zip(seen, synced, strict=True))
    return latencies(returned, seen) | {"seen before the sync": early}


async def _read_tail(folder: Path, count: int) -> list[int]:
    store = await FileStore.open(folder)
    seen: list[int] = []
    start = await store.head()
    print("ready", flush=True)
    async for page in subscribe(store, Selection(start=start)):
        now = time.monotonic_ns()
        seen.extend(now for _ in page.events)
        if len(seen) >= count:
            break
    await store.close()
    return seen


def bare_datagram(work: Work) -> Figures:
    """Append and sync here, send a datagram; the other process reads the file when it comes."""
    count = WARM_UP + work.scale.tailed
    lines = [encode(as_stored(orders, 0), 0) for orders in of_writer(0, count)]
    fd = os.open(work.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    returned: list[int] = []
    with Reader("tailing", work.folder, count, "datagram") as reader:
        begin = time.monotonic()
        for number, line in enumerate(lines):
            pace(begin, number)
            os.write(fd, line)
            os.fdatasync(fd)
            returned.append(time.monotonic_ns())
            sender.sendto(b"\n", os.path.relpath(work.folder / "socket"))
        seen = reader.seen()
    return latencies(returned, seen)


def _read_datagrams(folder: Path, count: int) -> list[int]:
    fd = os.open(folder / "log", os.O_RDONLY)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(os.path.relpath(folder / "socket"))
    print("ready", flush=True)
    seen: list[int] = []
    offset = 0
    while len(seen) < count:
        receiver.recv(16)
        data = os.pread(fd, 1024 * 1024, offset)
        offset += len(data)
        seen.extend(time.monotonic_ns() for _ in range(data.count(b"\n")))
    return seen


def idle(work: Work) -> Figures:
    """Tail a store to which nothing is committed."""

    async def run() -> Figures:
        store = await FileStore.open(work.folder)
        await store.commit(as_commit([Order("warm-up", 1, b"{}")]))

        async def follow() -> None:
            async for _ in subscribe(store, Selection()):
                pass

        following = asyncio.create_task(follow())
        figures = await _watched(work)
        following.cancel()
        await store.close()
        return figures

    return asyncio.run(run())


def idle_microservice(work: Work, log: str) -> Figures:
    """Deliver, with nothing left to deliver."""

    async def run() -> Figures:
        async with delivering(work.data / log, HANDLER) as microservice:
            head = await microservice.store.head()
            await microservice.wait_until_seen(HANDLER, head - 1, timeout_s=60)
            return await _watched(work)

    return asyncio.run(run())


async def _watched(work: Work) -> Figures:
    await asyncio.sleep(_SETTLE_S)
    begin, spent = time.monotonic(), time.process_time()
    await asyncio.sleep(work.scale.idle_s)
    return {"% CPU": 100 * (time.process_time() - spent) / (time.monotonic() - begin)}


def main() -> None:
    """Be the reading process."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:] == ["datagram"]:
        print(_read_datagrams(folder, count))
    else:
        print(asyncio.run(_read_tail(folder, count)))


TAIL = Row(
    "tail",
    f"tail from another process, after the commit returned, a commit each {EVERY_S * 1e3:g} ms",
    (
        Contestant("bare append and datagram", "tailing:bare_datagram"),
        Contestant("dolittle", "tailing:tail"),
        Contestant("sqlite3 WAL FULL, polled each ms", "peers.sqlite:tail"),
        Contestant("umadb", "peers.umadb:tail", is_peer=True),
    ),
    (
        Target("median, ms", "dolittle", "p50 ms", at_most=0.3),
        Target("99 %, ms", "dolittle", "p99 ms", at_most=1.0),
        Target("events seen before the sync", "dolittle", "seen before the sync", at_most=0),
    ),
)

IDLE = Row(
    "idle",
    "processor time of a process that waits for events",
    (
        Contestant("dolittle, tail", "tailing:idle", is_once=True),
        Contestant(
            "dolittle, microservice", "tailing:idle_microservice", {"log": "small"}, is_once=True
        ),
    ),
    (
        Target("tail, % CPU", "dolittle, tail", "% CPU", at_most=0.2),
        Target("microservice, % CPU", "dolittle, microservice", "% CPU", at_most=0.2),
    ),
    needs=("small",),
)

ROWS = (TAIL, IDLE)

if __name__ == "__main__":
    main()
