"""Durable commits by several writers: 8 threads of one process, and 4 processes."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path

from benchmarks.commits import as_stored
from benchmarks.measuring import Contestant, Figures, Row, Target, Work
from benchmarks.order import Order, of_writer
from benchmarks.racing import race_processes, race_threads
from benchmarks.stores import as_commit, commits_of_writers
from dolittle.engines.file import FileStore
from dolittle.engines.file.line import encode

THREADS = 8
PROCESSES = 4


def threads(work: Work) -> Figures:
    """Threads of one process, each with ``store.submit(...).result()``."""

    async def run() -> Figures:
        store = await FileStore.open(work.folder)
        await store.commit(as_commit([Order("warm-up", 1, b"{}")]))
        each = work.scale.per_writer
        made = commits_of_writers(THREADS, each)

        def committing(writer: int) -> Callable[[], None]:
            def commit_all() -> None:
                for commit in made[writer]:
                    store.submit(commit).result()

            return commit_all

        rate = await asyncio.to_thread(race_threads, [committing(n) for n in range(THREADS)], each)
        await store.close()
        return {"rate": rate}

    return asyncio.run(run())


def bare_group_commit(work: Work) -> Figures:
    """Threads hand lines to one that writes and syncs whatever has come."""
    each = work.scale.per_writer
    fd = os.open(work.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"warm-up\n")
    os.fdatasync(fd)
    waiting: queue.SimpleQueue[tuple[bytes, Future[None]] | None] = queue.SimpleQueue()

    def write_all() -> None:
        while (first := waiting.get()) is not None:
            batch = [first]
            while not waiting.empty() and (more := waiting.get()) is not None:
                batch.append(more)
            os.write(fd, b"".join(line for line, _ in batch))
            os.fdatasync(fd)
            for _, future in batch:
                future.set_result(None)

    def committing(writer: int) -> Callable[[], None]:
        lines = [encode(as_stored(orders, 0), 0) for orders in of_writer(writer, each)]

        def commit_all() -> None:
            for line in lines:
                future: Future[None] = Future()
                waiting.put((line, future))
                future.result()

        return commit_all

    thread = threading.Thread(target=write_all)
    thread.start()
    rate = race_threads([committing(n) for n in range(THREADS)], each)
    waiting.put(None)
    thread.join()
    os.close(fd)
    return {"rate": rate}


def processes(work: Work, writers: int) -> Figures:
    """So many processes, each awaiting its commits to the same store."""

    async def make() -> None:
        store = await FileStore.open(work.folder)
        await store.commit(as_commit([Order("warm-up", 1, b"{}")]))
        await store.close()

    asyncio.run(make())
    each = work.scale.per_writer * (1 if writers > 1 else 2)
    return {"rate": race_processes(_committing, work.folder, writers, each)}


def _committing(folder: Path, writer: int, each: int) -> Callable[[], None]:
    loop = asyncio.new_event_loop()
    store = loop.run_until_complete(FileStore.open(folder))
    loop.run_until_complete(store.commit(as_commit([Order(f"warm-up-{writer}", 1, b"{}")])))
    commits = [as_commit(orders) for orders in of_writer(writer, each)]

    async def commit_all() -> None:
        for commit in commits:
            await store.commit(commit)

    return lambda: loop.run_until_complete(commit_all())


def bare_processes(work: Work) -> Figures:
    """Processes that write under a lock and sync outside it."""
    each = work.scale.per_writer
    return {"rate": race_processes(_appending, work.folder, PROCESSES, each)}


def _appending(folder: Path, writer: int, each: int) -> Callable[[], None]:
    fd = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lines = [encode(as_stored(orders, 0), 0) for orders in of_writer(writer, each)]

    def append_all() -> None:
        for line in lines:
            flock(fd, LOCK_EX)
            os.write(fd, line)
            flock(fd, LOCK_UN)
            os.fdatasync(fd)

    return append_all


EIGHT_THREADS = Row(
    "threads-8",
    "8 threads of one process, commits of 1 event",
    (
        Contestant("bare group commit", "writers:bare_group_commit"),
        Contestant("dolittle, 8 threads", "writers:threads"),
        Contestant("sqlite3 WAL FULL", "peers.sqlite:threads", {"writers": THREADS}),
        Contestant(
            "eventsourcing SQLite", "peers.eventsourcing:threads", {"writers": THREADS}, True
        ),
        Contestant("umadb", "peers.umadb:threads", {"writers": THREADS}, True),
    ),
    (
        Target(
            "of a bare group commit",
            "dolittle, 8 threads",
            against="bare group commit",
            at_least=0.9,
        ),
        Target("of umadb", "dolittle, 8 threads", against="umadb", at_least=2),
        Target("of SQLite", "dolittle, 8 threads", against="sqlite3 WAL FULL", at_least=2),
    ),
)

FOUR_PROCESSES = Row(
    "processes-4",
    "4 processes, commits of 1 event",
    (
        Contestant("bare append, 4 processes", "writers:bare_processes"),
        Contestant("dolittle, 1 process", "writers:processes", {"writers": 1}),
        Contestant("dolittle, 4 processes", "writers:processes", {"writers": PROCESSES}),
        Contestant("sqlite3 WAL FULL", "peers.sqlite:processes", {"writers": PROCESSES}),
        Contestant("umadb", "peers.umadb:processes", {"writers": PROCESSES}, True),
    ),
    (Target("of one process", "dolittle, 4 processes", against="dolittle, 1 process", at_least=2),),
)

ROWS = (EIGHT_THREADS, FOUR_PROCESSES)
