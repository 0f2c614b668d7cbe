"""Who writes: a committer that is alone by itself, several together through the writer's thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file import writer as writer_module
from dolittle.engines.file.files import OsFiles
from dolittle.errors import CommitOutcomeUnknown, StoreClosed
from dolittle.store import CommittedEvents
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all


class WatchedFiles(OsFiles):
    """Notes which thread syncs, and can take its time."""

    def __init__(self) -> None:
        self.syncing: list[threading.Thread] = []
        self.pause_s = 0.0
        self.gate = threading.Event()
        self.gate.set()

    def fdatasync(self, fd: int) -> None:
        self.syncing.append(threading.current_thread())
        end = time.monotonic() + self.pause_s
        while time.monotonic() < end:
            pass
        assert self.gate.wait(10)


@pytest.fixture
def files() -> WatchedFiles:
    return WatchedFiles()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever else runs on this machine: only what a test slows down is slow.
    monkeypatch.setattr(writer_module, "QUICK_S", 0.5)


async def a_store(folder: Path, files: WatchedFiles) -> FileStore:
    """Return a store that knows how quick its disk is."""
    store = await FileStore.open(folder, files=files, clock=MovableClock())
    await store.commit(a_commit(id="first"))
    files.syncing.clear()
    return store


async def test_who_commits_alone_writes_in_its_own_thread(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)
    for _ in range(3):
        await store.commit(a_commit())
    assert files.syncing == [threading.current_thread()] * 3
    await store.close()


async def test_the_first_commit_tells_how_quick_the_disk_is(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await FileStore.open(tmp_path, files=files)
    files.syncing.clear()
    await store.commit(a_commit())
    assert [thread.name for thread in files.syncing] == ["dolittle-writer"]
    await store.close()


async def test_several_that_commit_at_once_share_one_sync(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)
    files.gate.clear()
    waiting = asyncio.gather(*(store.commit(a_commit()) for _ in range(20)))
    await asyncio.sleep(0)
    # The loop goes on while the disk works.
    await asyncio.sleep(0)
    files.gate.set()
    await waiting
    assert {thread.name for thread in files.syncing} == {"dolittle-writer"}
    assert len(files.syncing) <= 2
    assert await store.head() == 21
    await store.close()


async def test_on_a_slow_disk_the_event_loop_goes_on(
    tmp_path: Path, files: WatchedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await a_store(tmp_path, files)
    monkeypatch.setattr(writer_module, "QUICK_S", 0.01)
    files.pause_s = 0.2
    # It is known to be slow once it has been.
    await store.commit(a_commit())
    files.syncing.clear()
    await store.commit(a_commit())
    assert [thread.name for thread in files.syncing] == ["dolittle-writer"]
    await store.close()


async def test_a_thread_that_waits_for_each_answer_writes_by_itself(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)

    def commit_some() -> threading.Thread:
        for _ in range(3):
            store.submit(a_commit()).result(10)
        return threading.current_thread()

    thread = await asyncio.to_thread(commit_some)
    assert files.syncing[1:] == [thread, thread]
    await store.close()


async def test_a_thread_that_hands_over_several_has_them_written_together(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)

    def commit_some() -> list[CommittedEvents]:
        store.submit(a_commit()).result(10)
        files.syncing.clear()
        files.gate.clear()
        first = threading.Thread(target=lambda: store.submit(a_commit()).result(10))
        first.start()
        while not files.syncing:
            pass
        waiting = [store.submit(a_commit(id=f"more {number}")) for number in range(20)]
        files.gate.set()
        first.join()
        return [future.result(10) for future in waiting]

    answers = await asyncio.to_thread(commit_some)
    assert [answer.id for answer in answers] == [f"more {number}" for number in range(20)]
    assert [answer.position for answer in answers] == list(range(3, 23))
    assert len(files.syncing) == 2
    await store.close()


async def test_commits_that_are_gathered_when_the_store_closes_are_made(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)
    waiting = [asyncio.create_task(store.commit(a_commit())) for _ in range(3)]
    closing = asyncio.create_task(store.close())
    assert [answer.position for answer in await asyncio.gather(*waiting)] == [1, 2, 3]
    await closing
    with pytest.raises(StoreClosed):
        await store.commit(a_commit())


async def test_who_is_cancelled_does_not_take_others_along(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)
    for cancelled in range(3):
        waiting = [asyncio.create_task(store.commit(a_commit())) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[cancelled].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[cancelled], asyncio.CancelledError)
        assert sum(isinstance(answer, CommittedEvents) for answer in answers) == 2
    await store.close()


async def test_several_event_loops_commit_to_one_store(tmp_path: Path, files: WatchedFiles) -> None:
    store = await a_store(tmp_path, files)

    async def commit_some() -> None:
        for _ in range(20):
            await asyncio.gather(store.commit(a_commit()), store.commit(a_commit()))
            await store.commit(a_commit())

    await asyncio.gather(*(asyncio.to_thread(asyncio.run, commit_some()) for _ in range(3)))
    assert await store.head() == 181
    await store.close()


async def test_what_was_written_by_a_committer_gets_into_the_index(
    tmp_path: Path, files: WatchedFiles
) -> None:
    store = await a_store(tmp_path, files)
    await until(lambda: not store._lookup.has_tail)
    for _ in range(3):
        await store.commit(a_commit(an_event(aggregate="Kitchen")))
    assert store._lookup.has_tail
    await until(lambda: not store._lookup.has_tail)
    assert len(await read_all(store)) == 4
    await store.close()


async def test_a_fault_of_the_program_is_told_with_its_cause_and_nothing_is_written_after_it(
    tmp_path: Path, files: WatchedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await a_store(tmp_path, files)

    def broken(fd: int) -> None:
        raise TypeError("a fault")

    monkeypatch.setattr(files, "fdatasync", broken)
    with pytest.raises(CommitOutcomeUnknown, match="a fault") as caught:
        await store.commit(a_commit())
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(StoreClosed, match="a fault"):
        await store.commit(a_commit())
    monkeypatch.undo()
    await store.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
