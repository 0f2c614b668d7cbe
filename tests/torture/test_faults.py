"""Every operation fails, once and from then on, on a simulated disk and after a power cut."""

from __future__ import annotations

import errno
import random

import pytest

from dolittle.errors import CommitOutcomeUnknown, StoreClosed
from dolittle.store import Commit, EventToCommit
from tests.torture.disk import Fault, SimulatedDisk
from tests.torture.faults import CODES, READS, fail_each
from tests.torture.history import History
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, commit_together, settle


@pytest.mark.slow
@pytest.mark.parametrize("is_sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", CODES)
def test_whichever_change_fails_nothing_acknowledged_is_lost(code: int, is_sticky: bool) -> None:
    failed = fail_each(code, is_sticky=is_sticky)
    print(f"failed: {dict(failed)}")
    kinds = {"open", "pwrite", "fdatasync", "ftruncate", "rename", "mkdir", "fsync_folder"}
    assert {kind for kind in kinds if failed[kind]} == ({"pwrite"} if code == 0 else kinds)


@pytest.mark.slow
@pytest.mark.parametrize("is_sticky", [False, True], ids=["once", "from then on"])
def test_a_failed_read_is_no_torn_end(is_sticky: bool) -> None:
    failed = fail_each(errno.EIO, is_sticky=is_sticky, kinds=READS)
    print(f"failed: {dict(failed)}")
    assert min(failed["pread"], failed["stat"]) > 5


@pytest.mark.parametrize("is_cache_kept", [True, False], ids=["still readable", "gone"])
def test_a_new_open_settles_what_a_failed_sync_left_open(is_cache_kept: bool) -> None:
    course, disk, history = Course(0, durability="fsync"), SimulatedDisk(NOWHERE), History()
    store = course._open(disk)
    commits = [
        Commit(f"c{number}", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)
        for number in range(3)
    ]
    disk.fault = Fault(1, is_cache_kept=is_cache_kept, kinds=frozenset(("fdatasync",)))
    answers = commit_together(store, commits)
    assert [type(answer) for answer in answers] == [CommitOutcomeUnknown] * 3
    syncs = disk.failed.count("fdatasync")
    assert [type(answer) for answer in commit_together(store, commits)] == [StoreClosed] * 3
    # It is not tried again: a second sync would succeed, and prove nothing.
    assert disk.failed.count("fdatasync") == syncs == 1
    store._close()
    history.tried = {commit.id: commit for commit in commits}
    again = course._open(disk)
    settle(history, again)
    assert {answer.is_repeat for answer in history.answered.values()} == {is_cache_kept}
    again._close()
    for seed in range(20):
        other = disk.after_power_cut(random.Random(seed))
        found = course._open(other)
        assert found._log.mark().position == 3
        found._lookup.close()
