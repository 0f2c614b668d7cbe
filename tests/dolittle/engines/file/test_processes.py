"""Several processes use one store, and die at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.store import Selection, Stream
from dolittle.testing.contract import a_commit, an_event, read_all

HERE = Path(__file__).parent
SHARED = Stream("Shared", "one")


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


async def check(store: FileStore, acknowledged: list[str]) -> None:
    """Hold what is stored against what was acknowledged."""
    assert store.damage is None
    assert await store.verify() == []
    events = await read_all(store)
    assert [event.position for event in events] == list(range(len(events)))
    assert [event.index for event in events] == [0, 1] * (len(events) // 2)
    ids = [event.commit.id for event in events[::2]]
    assert len(set(ids)) == len(ids)
    assert set(acknowledged) <= set(ids)
    for aggregate in {event.aggregate for event in events}:
        versions: dict[str, int] = {}
        for event in events:
            if event.aggregate == aggregate:
                versions[event.source] = versions.get(event.source, 0) + 1
                assert event.version == versions[event.source]


@pytest.mark.slow
async def test_processes_commit_at_once_and_each_version_is_won_once(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    store = await FileStore.open(tmp_path)
    processes += [started("committer.py", tmp_path, f"p{number}", 150) for number in range(4)]
    answers = await asyncio.gather(
        *(asyncio.to_thread(process.communicate, timeout=60) for process in processes)
    )
    acknowledged = [commit_id for out, _ in answers for commit_id in out.split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(acknowledged) == 600
    await check(store, acknowledged)
    assert await store.head() == 1_200
    won = sum(commit_id.endswith("-both") for commit_id in acknowledged)
    assert await store.version(SHARED) == won
    assert [await store.version(Stream("Own", f"p{number}")) for number in range(4)] == [
        sum((1 if commit_id.endswith("both") else 2) for commit_id in out.split())
        for out, _ in answers
    ]
    await store.close()


@pytest.mark.slow
async def test_a_killed_process_loses_nothing_acknowledged_a_hundred_times(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    chance = random.Random(11)
    acknowledged: list[str] = []
    for number in range(50):
        pair = [started("committer.py", tmp_path, f"r{number}-{side}", 0) for side in "ab"]
        processes[:] = pair
        # Both have committed something; then each dies at a moment of its own.
        for process in pair:
            assert process.stdout is not None
            acknowledged.append(process.stdout.readline().strip())
        for process in pair:
            _busy(chance.random() * 0.02)
            process.kill()
        for process in pair:
            assert process.stdout is not None
            # Before communicate(), which passes over what readline() has read ahead.
            acknowledged += process.stdout.read().split()
            process.communicate(timeout=10)
        if number % 10 == 9:
            store = await FileStore.open(tmp_path)
            await check(store, acknowledged)
            await store.close()
    assert len(acknowledged) > 100


def _busy(seconds: float) -> None:
    """Let a process run on for a moment; there is no condition to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        os.sched_yield()


async def test_a_waiter_in_another_process_is_woken(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    # Deep enough that the socket's path does not fit into an address.
    folder = tmp_path.joinpath(*["a folder with quite a long name"] * 4)
    store = await FileStore.open(folder)
    processes.append(started("waiter.py", folder, 50))
    out = processes[0].stdout
    assert out is not None
    assert await asyncio.to_thread(out.readline) == "ready\n"
    taken_ns = []
    for _ in range(50):
        content = b'{"ns":%d}' % time.monotonic_ns()
        await store.commit(a_commit(an_event(content=content)))
        taken_ns.append(int(await asyncio.wait_for(asyncio.to_thread(out.readline), 10)))
    # By the socket, that is: looking by itself it would take 125 ms.
    assert statistics.median(taken_ns) < 20_000_000
    assert await asyncio.to_thread(processes[0].wait, 10) == 0
    await store.close()
    assert list((folder / "readers").iterdir()) == []


async def test_a_waiter_where_no_socket_can_be_bound_is_woken_all_the_same(
    tmp_path: Path,
) -> None:
    store, other = await FileStore.open(tmp_path), await FileStore.open(tmp_path)
    (tmp_path / "readers").write_text("in the way")
    waiting = asyncio.create_task(other.wait(0))
    await store.commit(a_commit())
    await asyncio.wait_for(waiting, 10)
    await store.close()
    await other.close()


async def test_a_socket_that_nobody_reads_is_removed(tmp_path: Path) -> None:
    import socket

    store = await FileStore.open(tmp_path)
    (tmp_path / "readers").mkdir(exist_ok=True)
    stale = tmp_path / "readers" / "stale.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(stale))
    await store.commit(a_commit())
    await store.commit(a_commit())
    await store.close()
    assert not stale.exists()


async def test_waiters_of_several_event_loops_are_woken(tmp_path: Path) -> None:
    store = await FileStore.open(tmp_path)

    def elsewhere() -> None:
        asyncio.run(asyncio.wait_for(store.wait(0), 10))

    waiting = [asyncio.to_thread(elsewhere) for _ in range(3)]
    tasks = [asyncio.create_task(each) for each in waiting]
    while len(store._waiters._waiters) < 3:
        await asyncio.sleep(0)
    await store.commit(a_commit())
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert store._waiters._waiters == set()
    await store.close()


async def test_a_cancelled_waiter_leaves_nothing_behind(tmp_path: Path) -> None:
    store = await FileStore.open(tmp_path)
    tasks = [asyncio.create_task(store.wait(5)) for _ in range(10)]
    while len(store._waiters._waiters) < 10:
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert store._waiters._waiters == set()
    await store.close()


async def test_another_process_reads_what_is_on_disk_while_one_writes(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    store = await FileStore.open(tmp_path)
    reader = await FileStore.open(tmp_path, read_only=True)
    processes.append(started("committer.py", tmp_path, "p", 200))
    seen = 0
    while processes[0].poll() is None or seen < await store.head():
        async for page in reader.read(Selection(start=seen)):
            assert [event.position for event in page.events] == list(
                range(seen, page.next_position)
            )
            seen = page.next_position
        found = await reader.read_last(Selection(), 3)
        assert [event.position for event in found] == sorted(e.position for e in found)
        await asyncio.sleep(0)
    assert seen == 400
    assert await reader.version(SHARED) == await store.version(SHARED) == 200
    await reader.close()
    await store.close()
