"""Durable commits by one writer, of 1 and of 100 events, and 64 at once."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.measuring import Contestant, Figures, Row, Target, Work, seconds
from benchmarks.order import AGGREGATE, TYPE, Order, round_robin
from benchmarks.stores import as_commit, commits_of_writers
from dolittle.engines.file import FileStore
from dolittle.engines.file.line import Place, StoredCommit, encode, store
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import Commit, EventToCommit

COMMITTERS = 64


def commits_of(work: Work, events: int) -> list[list[Order]]:
    """Return what one writer commits, so many events each."""
    return round_robin(work.scale.singles if events == 1 else work.scale.hundreds, events)


def awaited(work: Work, events: int) -> Figures:
    """``await store.commit(...)``, one after another, in one task."""
    return asyncio.run(_awaited(work, events))


async def _awaited(work: Work, events: int) -> Figures:
    opened = await FileStore.open(work.folder)
    await opened.commit(as_commit([Order("warm-up", 1, b"{}")]))
    commits = [as_commit(orders, is_expecting=events == 1) for orders in commits_of(work, events)]
    begin = time.perf_counter()
    for commit in commits:
        await opened.commit(commit)
    taken = time.perf_counter() - begin
    await opened.close()
    return {"rate": len(commits) * events / taken}


def submitted(work: Work, events: int) -> Figures:
    """``store.submit(...).result()``, one after another, in one thread."""

    async def run() -> Figures:
        opened = await FileStore.open(work.folder)
        await opened.commit(as_commit([Order("warm-up", 1, b"{}")]))
        commits = [
            as_commit(orders, is_expecting=events == 1) for orders in commits_of(work, events)
        ]

        def commit_all() -> None:
            for commit in commits:
                opened.submit(commit).result()

        taken = await asyncio.to_thread(seconds, commit_all)
        await opened.close()
        return {"rate": len(commits) * events / taken}

    return asyncio.run(run())


def concurrent(work: Work, committers: int) -> Figures:
    """So many tasks of one process, each committing one event after another."""
    return asyncio.run(_concurrent(work, committers))


async def _concurrent(work: Work, committers: int) -> Figures:
    opened = await FileStore.open(work.folder)
    await opened.commit(as_commit([Order("warm-up", 1, b"{}")]))
    each = max(work.scale.singles * 4 // COMMITTERS, 5) if committers > 1 else work.scale.singles
    made = commits_of_writers(committers, each)

    async def commit_all(commits: list[Commit]) -> None:
        for commit in commits:
            await opened.commit(commit)

    begin = time.perf_counter()
    await asyncio.gather(*map(commit_all, made))
    taken = time.perf_counter() - begin
    await opened.close()
    return {"rate": committers * each / taken}


def as_stored(orders: Sequence[Order], position: int) -> StoredCommit:
    """Return what a commit's line says, for floors that write the same bytes."""
    events = tuple(EventToCommit(TYPE, o.source, o.content, aggregate=AGGREGATE) for o in orders)
    time_of_line = datetime(2026, 11, 24, 12, 0, 0, 123456, UTC)
    place = Place(position, position, time_of_line)
    return store(
        Commit(new_id(), events, ExecutionContext(microservice="orders")),
        place,
        [order.version for order in orders],
    )


def bare_append(work: Work, events: int, encodes: bool) -> Figures:
    """Append the same lines with nothing but ``write`` and ``fdatasync``.

    Args:
        work: What to do it with.
        events: In one line.
        encodes: Whether encoding a line and its checksum are part of what is measured.
    """
    stored = [as_stored(c, n * events) for n, c in enumerate(commits_of(work, events))]
    ready = [] if encodes else [encode(commit, 0) for commit in stored]
    fd = os.open(work.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"warm-up\n")
    os.fdatasync(fd)
    begin = time.perf_counter()
    if encodes:
        for commit in stored:
            os.write(fd, encode(commit, 0))
            os.fdatasync(fd)
    else:
        for line in ready:
            os.write(fd, line)
            os.fdatasync(fd)
    taken = time.perf_counter() - begin
    os.close(fd)
    return {"rate": len(stored) * events / taken}


def bare_awaited(work: Work, events: int) -> Figures:
    """Append in a thread of its own and await each from a task: what handing over costs alone.

    A store that does not block the event loop while the disk syncs pays at least this.
    """
    ready = [encode(as_stored(c, 0), 0) for c in commits_of(work, events)]
    fd = os.open(work.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"warm-up\n")
    os.fdatasync(fd)
    waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()

    async def append_all() -> float:
        loop = asyncio.get_running_loop()

        def write() -> None:
            while (taken := waiting.get()) is not None:
                os.write(fd, taken[0])
                os.fdatasync(fd)
                loop.call_soon_threadsafe(taken[1].set_result, None)

        thread = threading.Thread(target=write)
        thread.start()
        begin = time.perf_counter()
        for line in ready:
            future: asyncio.Future[None] = loop.create_future()
            waiting.put((line, future))
            await future
        taken_s = time.perf_counter() - begin
        waiting.put(None)
        thread.join()
        return taken_s

    taken_s = asyncio.run(append_all())
    os.close(fd)
    return {"rate": len(ready) * events / taken_s}


def _contestants(events: int) -> tuple[Contestant, ...]:
    size = {"events": events}
    return (
        Contestant("bare append", "commits:bare_append", {**size, "encodes": False}),
        Contestant("bare append, encoding", "commits:bare_append", {**size, "encodes": True}),
        Contestant("bare append, handed over and awaited", "commits:bare_awaited", size),
        Contestant("dolittle, awaited", "commits:awaited", size),
        Contestant("dolittle, from a thread", "commits:submitted", size),
        Contestant("sqlite3 WAL FULL", "peers.sqlite:one_writer", size),
        Contestant("eventsourcing SQLite", "peers.eventsourcing:one_writer", size, is_peer=True),
        Contestant("umadb", "peers.umadb:one_writer", size, is_peer=True),
    )


_PROTEAN = Contestant("protean, in memory", "peers.protean:one_writer", is_peer=True)

SINGLES = Row(
    "commit-1",
    "durable commits of 1 event, one writer",
    (*_contestants(1), _PROTEAN),
    (
        Target("of the bare append", "dolittle, awaited", against="bare append", at_least=1.0),
        Target("of SQLite", "dolittle, awaited", against="sqlite3 WAL FULL", at_least=1.2),
    ),
)

HUNDREDS = Row(
    "commit-100",
    "durable commits of 100 events, one writer",
    _contestants(100),
    (
        Target(
            "of the bare append, encoding",
            "dolittle, awaited",
            against="bare append, encoding",
            at_least=0.6,
        ),
        Target("of SQLite", "dolittle, awaited", against="sqlite3 WAL FULL", at_least=2),
        Target("of eventsourcing", "dolittle, awaited", against="eventsourcing SQLite", at_least=4),
    ),
)

CONCURRENT = Row(
    "commit-64",
    "64 concurrent committers in one process, 1 event each",
    (
        Contestant("dolittle, 1 committer", "commits:concurrent", {"committers": 1}),
        Contestant(
            f"dolittle, {COMMITTERS} committers", "commits:concurrent", {"committers": COMMITTERS}
        ),
    ),
    (
        Target(
            "of one committer",
            f"dolittle, {COMMITTERS} committers",
            against="dolittle, 1 committer",
            at_least=8,
        ),
    ),
)

ROWS = (SINGLES, HUNDREDS, CONCURRENT)
