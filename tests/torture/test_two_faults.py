"""A failed sync, and something else before anybody has mended what it left."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.repair import carry_out, plan_repair
from dolittle.engines.file.store import Durability, FileStore
from dolittle.errors import (
    CommitOutcomeUnknown,
    StoreBusy,
    StoreDamaged,
    StoreFull,
    WrongExpectedVersion,
)
from dolittle.store import CommittedEvents
from tests.torture.disk import Fault, Inode, SimulatedDisk
from tests.torture.power_cuts import (
    NOWHERE,
    Course,
    StandingClock,
    begin_together,
    commit_together,
)
from tests.torture.test_overlapping import a_commit, read, the, version_of

LONG = b'{"a":"%b"}' % (b"x" * 20_000)
CUTS = 30


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(NOWHERE)


def opened(disk: SimulatedDisk, durability: Durability = "fsync", segment: int = 100_000) -> Any:
    course = Course(0, durability=durability)
    course._segment_bytes = segment
    return course._open(disk)


def several(disk: SimulatedDisk, count: int = 3, segment: int = 100_000) -> list[FileStore]:
    """Open stores that expect each other to write."""
    stores = [opened(disk, segment=segment) for _ in range(count)]
    commit_together(stores[0], [a_commit("first")])
    for store in stores:
        store._log._company = 1_000
    return stores


def fail_sync(disk: SimulatedDisk, finish: Callable[[], Any], *, is_cache_kept: bool) -> None:
    """Let a batch that was begun fail at its sync."""
    disk._counted = 0
    kinds = frozenset(("fdatasync",))
    disk.fault = Fault(1, errno.EIO, is_cache_kept=is_cache_kept, kinds=kinds)
    assert isinstance(the(finish()), CommitOutcomeUnknown)
    disk.fault = None


def after_cuts(disk: SimulatedDisk) -> list[list[str]]:
    found = []
    for seed in range(CUTS):
        store = opened(disk.after_power_cut(random.Random(seed)))
        assert store.damage is None
        found.append(read(store))
    return found


def test_a_full_disk_does_not_call_safe_what_a_failed_sync_left(disk: SimulatedDisk) -> None:
    stores = several(disk)
    failing = begin_together(stores[0], [a_commit("failing", content=LONG)])
    innocent = begin_together(stores[1], [a_commit("innocent", content=LONG)])
    fail_sync(disk, failing, is_cache_kept=True)
    disk.room = 100
    assert isinstance(the(commit_together(stores[2], [a_commit("c", content=LONG)])), StoreFull)
    disk.room = None
    assert version_of(innocent()) == 3
    assert read(stores[2]) == ["first", "failing", "innocent"]
    assert after_cuts(disk) == [["first", "failing", "innocent"]] * CUTS


def late(store: FileStore, method: str, happens: Callable[[], None]) -> None:
    """Let something happen before a method of a store's log, once."""
    original = getattr(store._log, method)

    def both(*arguments: Any) -> Any:
        setattr(store._log, method, original)
        happens()
        return original(*arguments)

    setattr(store._log, method, both)


def test_a_full_disk_keeps_no_hole_where_lines_were_lost(disk: SimulatedDisk) -> None:
    stores = several(disk)
    failing = begin_together(stores[0], [a_commit("failing")])

    def fail() -> None:
        fail_sync(disk, failing, is_cache_kept=False)
        disk.room = 250

    late(stores[2], "write", fail)
    answer = the(commit_together(stores[2], [a_commit("full", content=LONG)]))
    # What it had written in part must be kept as a copy, and there is no room for that either.
    assert isinstance(answer, CommitOutcomeUnknown)
    disk.room = None
    assert version_of(commit_together(stores[1], [a_commit("next")])) == 2
    assert read(stores[2]) == ["first", "next"]
    assert after_cuts(disk) == [["first", "next"]] * CUTS


def test_lines_that_were_written_behind_a_hole_stop_nobody(disk: SimulatedDisk) -> None:
    stores = several(disk)
    failing = begin_together(stores[0], [a_commit("failing")])
    late(stores[1], "write", lambda: fail_sync(disk, failing, is_cache_kept=False))
    # It dies before its sync.
    begin_together(stores[1], [a_commit("of the dead")])
    assert version_of(commit_together(stores[2], [a_commit("next")])) == 2
    assert after_cuts(disk) == [["first", "next"]] * CUTS


def test_lines_that_go_while_somebody_reads_them_are_no_damage(disk: SimulatedDisk) -> None:
    stores = several(disk)
    failing = begin_together(stores[0], [a_commit("failing")])
    catch_up = stores[1]._writer._batches._unsettled._catch_up  # type: ignore[union-attr]

    def fail_first() -> Any:
        if stores[0]._writer._batches.poison == "":  # type: ignore[union-attr]
            fail_sync(disk, failing, is_cache_kept=False)
        return catch_up()

    stores[1]._writer._batches._unsettled._catch_up = fail_first  # type: ignore[union-attr,method-assign]
    assert version_of(commit_together(stores[1], [a_commit("next")])) == 2
    assert read(stores[2]) == ["first", "next"]


@pytest.mark.parametrize("how", ["fails", "dies"])
def test_a_recovery_that_ends_behind_its_sync_leaves_the_doubt(
    disk: SimulatedDisk, how: str
) -> None:
    stores = several(disk)
    failing = begin_together(stores[0], [a_commit("failing")])
    victim = begin_together(stores[1], [a_commit("victim")])
    fail_sync(disk, failing, is_cache_kept=False)
    if how == "fails":
        disk._counted = 0
        disk.fault = Fault(1, errno.ENOSPC, kinds=frozenset(("fsync_folder",)))
        assert isinstance(the(commit_together(stores[2], [a_commit("c")])), StoreFull)
        disk.fault = None
    else:

        def die(mark: object) -> None:
            raise KeyboardInterrupt

        stores[2]._log._settling().announce = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            commit_together(stores[2], [a_commit("c")])
    assert isinstance(the(victim()), CommitOutcomeUnknown)
    store = opened(disk)
    assert store.damage is None
    assert version_of(commit_together(store, [a_commit("victim")])) == 2


def test_nobody_syncs_one_segment_and_calls_another_safe(disk: SimulatedDisk) -> None:
    stores = several(disk, segment=1_000)
    filling = b'{"a":"%b"}' % (b"z" * 900)
    failing = begin_together(stores[0], [a_commit("failing")])
    stale = begin_together(stores[1], [a_commit("stale", content=LONG[:1500] + b'"}')])
    fail_sync(disk, failing, is_cache_kept=False)
    assert version_of(commit_together(stores[2], [a_commit("fills", content=filling)])) == 2
    stores[2]._log._company = 1_000
    other = begin_together(stores[2], [a_commit("other", content=filling)])
    assert isinstance(the(stale()), CommitOutcomeUnknown)
    assert version_of(other()) == 3
    assert all("other" in ids for ids in after_cuts(disk))


def test_who_comes_late_over_a_new_segment_finds_its_lines(disk: SimulatedDisk) -> None:
    stores = several(disk, 4, segment=600)
    failing = begin_together(stores[0], [a_commit("failing")])
    victim = begin_together(stores[1], [a_commit("victim")])
    fail_sync(disk, failing, is_cache_kept=True)

    def others_first() -> None:
        for number in range(4):
            assert version_of(commit_together(stores[2], [a_commit(f"o{number}")])) == number + 4
        stores[3]._log._company = 1_000
        begin_together(stores[3], [a_commit("unsettled")])

    settle = stores[1]._log.settle

    def settle_slowly() -> bool:
        is_settled = settle()
        if not is_settled:
            # Others are quicker at the write lock.
            others_first()
        return is_settled

    stores[1]._log.settle = settle_slowly  # type: ignore[method-assign,assignment]
    assert version_of(victim()) == 3
    assert len(disk.content("log")) > 1


def test_a_refusal_within_a_batch_that_is_lost_is_not_told(disk: SimulatedDisk) -> None:
    for company in (0, 1_000):
        store = opened(disk)
        store._log._company = company
        there = store._lookup.version(("Table", "Table 1"))
        disk._counted = 0
        disk.fault = Fault(1, errno.EIO, is_cache_kept=False, kinds=frozenset(("fdatasync",)))
        commits = [a_commit(f"{company} {n}", expected=there) for n in range(2)]
        answers = commit_together(store, commits)
        disk.fault = None
        assert [type(answer) for answer in answers] == [CommitOutcomeUnknown] * 2


def test_who_waits_too_long_for_a_sync_may_go_on(disk: SimulatedDisk) -> None:
    stores = several(disk)
    winner = begin_together(stores[1], [a_commit("winner", expected=1)])
    loser = begin_together(stores[2], [a_commit("loser", expected=1)])
    with stores[0]._log._settling().alone():
        unknown = the(winner())
        assert isinstance(unknown, CommitOutcomeUnknown)
        assert "for more than 0 s" in str(unknown)
        assert isinstance(the(loser()), StoreBusy)
    # Nobody is shut out, and the commit id settles what became of it.
    repeat = the(commit_together(stores[1], [a_commit("winner", expected=1)]))
    assert isinstance(repeat, CommittedEvents)
    assert repeat.is_repeat
    refusal = the(commit_together(stores[2], [a_commit("loser", expected=1)]))
    assert isinstance(refusal, WrongExpectedVersion)


def test_a_doubt_is_asked_for_where_the_mark_describes_the_file(disk: SimulatedDisk) -> None:
    careless, recovering, other = opened(disk, "os"), opened(disk), opened(disk)
    disk.changes = 1 << 20
    assert version_of(commit_together(careless, [a_commit("os", content=LONG)])) == 1
    for _ in range(17):
        # It no longer expects others to write.
        commit_together(other, [a_commit("no", expected=7)])
    segment = disk._node(other._log.segments.last.path)
    assert isinstance(segment, Inode)
    mtime_ns = segment.mtime_ns
    disk.tear()
    disk.fault = Fault(2, errno.EIO, kinds=frozenset(("fdatasync",)))
    commit_together(recovering, [a_commit("c")])
    disk.fault = None
    # All of it within one tick of the file system's clock.
    segment.mtime_ns = mtime_ns
    assert version_of(commit_together(other, [a_commit("next")])) == 2
    assert all("next" in ids for ids in after_cuts(disk))


def test_a_repair_waits_for_a_sync_and_forgets_what_was_written(tmp_path: Path) -> None:
    class Files(OsFiles):
        root_path = tmp_path / "store"

    stores = several(Files())  # type: ignore[arg-type]
    commit_together(stores[0], [a_commit("second")])
    path = stores[0]._log.segments.last.path
    begun = begin_together(stores[1], [a_commit("unsettled")])
    data, times = bytearray(path.read_bytes()), path.stat()
    data[data.index(b"\n") + 100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(StoreDamaged) as caught:
        stores[2]._log.segments.decode(stores[2]._log.segments.lines(0, len(data)))
    plan = plan_repair(OsFiles(), Files.root_path, caught.value)
    carry_out(OsFiles(), Files.root_path, plan, StandingClock().now())
    assert isinstance(the(begun()), CommitOutcomeUnknown)
    store = opened(Files())  # type: ignore[arg-type]
    assert store.damage is None
    assert version_of(commit_together(store, [a_commit("third")])) == 2
