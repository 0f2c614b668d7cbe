"""Stores that write before any of them syncs: nothing is told that a crash may still change."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from dolittle.engines.file.line import StoredCommit
from dolittle.engines.file.store import FileStore
from dolittle.errors import CommitOutcomeUnknown, WrongExpectedVersion
from dolittle.store import Commit, CommittedEvents, EventToCommit, Selection, Stream
from tests.torture.disk import Fault, Inode, SimulatedDisk
from tests.torture.power_cuts import (
    NOBODY,
    NOWHERE,
    Answers,
    Course,
    begin_together,
    commit_together,
)

TABLE = Stream("Table", "Table 1")


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(NOWHERE)


@pytest.fixture
def stores(disk: SimulatedDisk) -> list[FileStore]:
    course = Course(0, durability="fsync")
    course._segment_bytes = 100_000
    stores = [course._open(disk) for _ in range(3)]
    commit_together(stores[0], [a_commit("first")])
    for store in stores:
        store._log._company = 1_000
    return stores


def a_commit(name: str, expected: int | None = None, content: bytes = b"{}") -> Commit:
    event = EventToCommit("Paid", TABLE.source, content, aggregate=TABLE.aggregate)
    return Commit(name, (event,), NOBODY, {} if expected is None else {TABLE: expected})


def read(store: FileStore) -> list[str]:
    return [e.commit.id for page in store._reader.pages(Selection()) for e in page.events]


def the(answers: Answers) -> CommittedEvents | BaseException:
    (answer,) = answers
    return answer


def version_of(answers: Answers) -> int:
    answer = the(answers)
    assert isinstance(answer, CommittedEvents), answer
    return answer.events[0].version


def test_versions_go_on_behind_what_is_not_on_disk_yet(stores: list[FileStore]) -> None:
    begun = [begin_together(store, [a_commit(f"c{n}")]) for n, store in enumerate(stores)]
    for store in stores:
        assert read(store) == ["first"]
        assert store._lookup.version(TABLE) <= 1
    assert [version_of(finish()) for finish in reversed(begun)] == [4, 3, 2]
    for store in stores:
        assert read(store) == ["first", "c0", "c1", "c2"]
    assert version_of(commit_together(stores[0], [a_commit("c3")])) == 5


def test_a_refusal_is_told_when_what_it_rests_on_is_on_disk(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    winner = begin_together(stores[0], [a_commit("winner", expected=1)])
    loser = begin_together(stores[1], [a_commit("loser", expected=1)])
    assert read(stores[1]) == ["first"]
    synced: list[str] = []
    disk.before = lambda kind: synced.append(kind)
    assert isinstance(the(loser()), WrongExpectedVersion)
    assert synced == ["fdatasync"]
    assert read(stores[2]) == ["first", "winner"]
    assert version_of(winner()) == 2
    assert synced == ["fdatasync"]


def test_a_refusal_that_rests_on_what_is_lost_is_not_told(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    winner = begin_together(stores[0], [a_commit("winner", expected=1)])
    loser = begin_together(stores[1], [a_commit("loser", expected=1)])
    disk.fault = Fault(1, errno.EIO, is_cache_kept=False, kinds=frozenset(("fdatasync",)))
    assert not isinstance(the(loser()), WrongExpectedVersion)
    disk.fault = None
    assert isinstance(the(winner()), CommitOutcomeUnknown)
    # The loser may well be stored now.
    assert version_of(commit_together(stores[2], [a_commit("loser", expected=1)])) == 2


def test_a_repeat_is_answered_when_its_first_try_is_on_disk(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    first = begin_together(stores[0], [a_commit("twice")])
    again = begin_together(stores[1], [a_commit("twice")])
    other = begin_together(stores[2], [a_commit("twice", content=b'{"is":"another"}')])
    size = len(disk.content("log")["00000000000000000000.jsonl"])
    repeat = the(again())
    assert isinstance(repeat, CommittedEvents)
    assert repeat.is_repeat
    answer = the(first())
    assert isinstance(answer, CommittedEvents)
    assert answer.events == repeat.events
    assert not answer.is_repeat
    assert "twice" in str(the(other()))
    assert len(disk.content("log")["00000000000000000000.jsonl"]) == size
    assert read(stores[0]) == ["first", "twice"]


def test_a_failed_sync_of_one_is_mended_by_the_next(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    begun = [begin_together(store, [a_commit(f"c{n}")]) for n, store in enumerate(stores)]
    disk.fault = Fault(1, errno.EIO, kinds=frozenset(("fdatasync",)))
    assert isinstance(the(begun[0]()), CommitOutcomeUnknown)
    disk.fault = None
    assert read(stores[1]) == ["first"]
    # What the others wrote can be read still, and is written once more before they are told.
    assert version_of(begun[2]()) == 4
    assert version_of(begun[1]()) == 3
    assert read(stores[1]) == ["first", "c0", "c1", "c2"]


def test_lines_that_a_failed_sync_has_lost_are_not_acknowledged(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    begun = [begin_together(store, [a_commit(f"c{n}")]) for n, store in enumerate(stores)]
    disk.fault = Fault(1, errno.EIO, is_cache_kept=False, kinds=frozenset(("fdatasync",)))
    answers = [the(finish()) for finish in begun]
    disk.fault = None
    assert [type(answer) for answer in answers] == [CommitOutcomeUnknown] * 3
    store = Course(1, durability="fsync")._open(disk)
    assert read(store) == ["first"]
    assert version_of(commit_together(store, [a_commit("c1")])) == 2


def test_what_is_decided_rests_on_what_stands_there_now(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    lost = begin_together(stores[0], [a_commit("lost", expected=1)])
    loser = begin_together(stores[1], [a_commit("loser", expected=1)])
    disk.fault = Fault(1, errno.EIO, is_cache_kept=False, kinds=frozenset(("fdatasync",)))
    assert isinstance(the(lost()), CommitOutcomeUnknown)
    disk.fault = None
    # Another line comes to stand where the lost one stood, and is longer.
    assert version_of(commit_together(stores[2], [a_commit("c1", content=b'{"is":"c1"}')])) == 2
    assert not isinstance(the(loser()), WrongExpectedVersion)
    other = Course(1, durability="fsync")._open(disk)
    assert read(other) == ["first", "c1"]
    assert version_of(commit_together(other, [a_commit("loser", expected=2)])) == 3


def test_what_was_lost_and_written_over_is_not_acknowledged(
    stores: list[FileStore], disk: SimulatedDisk
) -> None:
    segment = disk._node(stores[0]._log.segments.last.path)
    assert isinstance(segment, Inode)
    mtime_ns = segment.mtime_ns
    begun = [begin_together(store, [a_commit(f"c{n}")]) for n, store in enumerate(stores[:2])]
    disk.fault = Fault(1, errno.EIO, is_cache_kept=False, kinds=frozenset(("fdatasync",)))
    assert isinstance(the(begun[0]()), CommitOutcomeUnknown)
    disk.fault = None
    # The file looks as it did when it was last read whole.
    segment.mtime_ns = mtime_ns
    more = [a_commit(f"d{n}", content=b'{"is":"more"}') for n in range(3)]
    again = begin_together(stores[2], more)
    assert isinstance(the(begun[1]()), CommitOutcomeUnknown)
    assert [version_of([answer]) for answer in again()] == [2, 3, 4]
    assert read(stores[2]) == ["first", "d0", "d1", "d2"]


def test_a_process_that_dies_before_its_sync_stops_nobody(stores: list[FileStore]) -> None:
    begin_together(stores[0], [a_commit("of the dead")])
    assert version_of(commit_together(stores[1], [a_commit("next")])) == 3
    assert read(stores[2]) == ["first", "of the dead", "next"]


def test_what_is_settled_and_read_while_another_decides_is_no_damage(
    stores: list[FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin_together(stores[0], [a_commit("c1")])
    log, lookup = stores[1]._log, stores[1]._lookup
    look = log.bring_up_to_date

    def look_and_lose_time() -> None:
        look()
        # Another thread of this process reads what has just become readable.
        assert log.has_unsettled
        assert version_of(first()) == 2
        lookup.catch_up(log.mark())

    monkeypatch.setattr(log, "bring_up_to_date", look_and_lose_time)
    second = begin_together(stores[1], [a_commit("c2"), a_commit("c3", expected=1)])
    monkeypatch.undo()
    answer, refusal = second()
    assert isinstance(answer, CommittedEvents)
    assert answer.events[0].version == 3
    assert isinstance(refusal, WrongExpectedVersion)
    assert read(stores[2]) == ["first", "c1", "c2"]


def test_a_reader_that_begins_the_tail_anew_lowers_no_version(tmp_path: Path) -> None:
    course = Course(0, durability="fsync")
    disk = SimulatedDisk(tmp_path)
    store, other = course._open(disk), course._open(disk)
    commit_together(store, [a_commit("first")])
    # The index comes to hold the first commit only.
    other._lookup.catch_up(other._log.mark())
    other._lookup.flush(other._log.mark())
    for number in range(20):
        commit_together(store, [a_commit(f"c{number}")])
    lookup = store._lookup
    add, ask = lookup.add, lookup.commit_address
    is_half_way, may_go_on = threading.Event(), threading.Event()

    def add_slowly(commit: StoredCommit, line: bytes, address: int) -> None:
        add(commit, line, address)
        if address > 1_000:
            is_half_way.set()
            may_go_on.wait(30)

    reader = threading.Thread(target=lambda: lookup.type_counts(store._log.mark()))

    def ask_while_another_reads(commit_id: str) -> int | None:
        found = ask(commit_id)
        lookup.add = add_slowly  # type: ignore[method-assign]
        reader.start()
        # It cannot get there now; without the lock it would.
        is_half_way.wait(0.2)
        return found

    lookup.commit_address = ask_while_another_reads  # type: ignore[method-assign]
    threading.Timer(0.4, may_go_on.set).start()
    assert version_of(commit_together(store, [a_commit("next")])) == 22
    may_go_on.set()
    reader.join(30)
    for each in (store, other):
        each._lookup.close()


def test_who_comes_later_knows_what_others_settled_meanwhile(stores: list[FileStore]) -> None:
    for number in range(30):
        store = stores[number % 3]
        begun = begin_together(stores[(number + 1) % 3], [a_commit(f"before {number}")])
        assert version_of(commit_together(store, [a_commit(f"c{number}")])) == 2 * number + 3
        assert version_of(begun()) == 2 * number + 2
    ids = read(stores[0])
    assert len(ids) == len(set(ids)) == 61
    for store in stores:
        store._lookup.catch_up(store._log.mark())
        assert store._lookup.version(TABLE) == 61
        assert store._lookup.commit_address("before 29") is not None


async def test_an_event_loop_goes_on_while_another_process_syncs_for_long(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    one, two = await FileStore.open(folder), await FileStore.open(folder)
    for number in range(3):
        await one.commit(a_commit(f"one {number}"))
        await two.commit(a_commit(f"two {number}"))
    assert one._writer is not None
    # The disk has been quick until now.
    one._writer._batches.batch_s = 0.000_1
    syncing = os.open(folder / "written", os.O_RDWR)
    fcntl.flock(syncing, fcntl.LOCK_EX)
    task = asyncio.create_task(one.commit(a_commit("slow")))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not task.done()
    assert await two.head() == 6
    os.close(syncing)
    assert (await task).events[0].version == 7
    assert await two.head() == 7
    await two.commit(a_commit("next"))
    await one.close()
    await two.close()


async def test_where_no_thread_can_be_started_a_long_sync_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    one, two = await FileStore.open(folder), await FileStore.open(folder)
    for number in range(3):
        await one.commit(a_commit(f"one {number}"))
        await two.commit(a_commit(f"two {number}"))
    assert one._writer is not None
    one._writer._batches.batch_s = 0.000_1
    syncing = os.open(folder / "written", os.O_RDWR)
    fcntl.flock(syncing, fcntl.LOCK_EX)

    class NoThread:
        def __init__(self, **options: object) -> None:
            """Take what a thread would take."""

        def start(self) -> None:
            os.close(syncing)
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", NoThread)
    answer = await one.commit(a_commit("slow"))
    monkeypatch.undo()
    assert answer.events[0].version == 7
    # The turn was given back.
    assert version_of([await one.commit(a_commit("next"))]) == 8
    await one.close()
    await two.close()
