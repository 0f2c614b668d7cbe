"""A share of the power cuts in every run of the tests, and the proof that they would notice."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

import pytest

from dolittle.engines.file import log as log_module
from dolittle.engines.file import opening
from dolittle.engines.file.batch import Batch
from dolittle.engines.file.files import Files
from dolittle.engines.file.line import StoredCommit
from dolittle.engines.file.log import Log
from dolittle.engines.file.recovery import Scan
from dolittle.engines.file.segments import Segments
from dolittle.engines.file.settling import Settling
from dolittle.engines.file.synced import Synced
from dolittle.errors import CommitOutcomeUnknown, StoreDamaged, StoreFull
from dolittle.store import Commit, CommittedEvents, EventToCommit
from tests.torture.disk import Fault, SimulatedDisk
from tests.torture.history import BrokenPromiseError
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, commit_together
from tests.torture.running import power_cut_course, processors, run_courses

CRASHES = 10_000
COURSES_MAX = 150


@pytest.mark.slow
def test_ten_thousand_crashes_lose_nothing_acknowledged() -> None:
    tried, count = run_courses(
        power_cut_course, count=CRASHES, seed=1, processes=processors(), what="crashes"
    )
    assert count >= CRASHES
    kinds = ("cuts", "kills", "2 deep", "3 deep", "faults", "overlapping", "written during a sync")
    assert min(tried[kind] for kind in (*kinds, "died before its sync", "died during its sync")) > 0


def test_the_same_seed_tries_the_same() -> None:
    one, two = Course(7), Course(7)
    assert one.run() == two.run()
    assert one.tried == two.tried


def run_some(courses: int) -> None:
    for seed in range(courses):
        Course(seed).run()


def without_sync(log: Log) -> None:
    """Call a commit safe before it is."""


def without_writing_again(files: Files, segments: Segments, found: Scan, fd: int) -> None:
    """Trust what is read after a failed sync."""


def without_a_doubt(synced: Synced, is_doubted: bool) -> None:
    """Leave no word of a sync that fails."""


def nothing_unsettled(batch: Batch, unsettled: list[StoredCommit]) -> None:
    """Decide as if others had written nothing."""


def as_if_synced(settling: Settling, fd: int) -> None:
    """Answer without the sync of what was written among others."""
    settling._synced.doubt(False)


def without_the_name(disk: SimulatedDisk, folder: object) -> None:
    """Forget to sync the names in a folder."""


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (Log, "_sync", without_sync),
        (log_module, "write_again", without_writing_again),
        (Settling, "sync", as_if_synced),
        (Synced, "doubt", without_a_doubt),
        (Batch, "stand_behind", nothing_unsettled),
        (SimulatedDisk, "fsync_folder", without_the_name),
    ],
)
def test_an_engine_that_is_broken_on_purpose_is_noticed(
    owner: object, name: str, broken: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises((BrokenPromiseError, StoreDamaged)):
        run_some(COURSES_MAX)


def test_names_made_by_a_process_that_died_are_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "_make_names_durable", lambda files, folder: None)
    with pytest.raises((BrokenPromiseError, StoreDamaged)):
        run_some(COURSES_MAX * 2)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_what_found_no_room_does_not_come_back_with_a_power_cut(code: int) -> None:
    course = Course(0, durability="fsync")
    disk = SimulatedDisk(NOWHERE)
    store = course._open(disk)
    first, second = (
        Commit(f"c{number}", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)
        for number in range(2)
    )
    disk.fault = Fault(1, code, kinds=frozenset(("pwrite",)))
    # Half of what is written is one whole line of the two.
    answers = commit_together(store, [first, second])
    assert [type(answer) for answer in answers] == [StoreFull, StoreFull]
    for seed in range(50):
        other = disk.after_power_cut(random.Random(seed))
        assert b"".join(other.content("log").values()) == b""


def test_what_is_stored_is_answered_also_while_a_full_disk_cannot_be_mended() -> None:
    course = Course(0, durability="fsync")
    disk = SimulatedDisk(NOWHERE)
    store = course._open(disk)
    stored, unknown, new = (
        Commit(f"c{number}", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)
        for number in range(3)
    )
    (answer,) = commit_together(store, [stored])
    other = course._open(disk)
    disk.fault = Fault(1, errno.EIO, kinds=frozenset(("fdatasync",)))
    (outcome,) = commit_together(store, [unknown])
    assert isinstance(outcome, CommitOutcomeUnknown)
    # The other one has to write the lines of the first again, and finds no room for that.
    disk._counted = 0
    disk.fault = Fault(1, errno.ENOSPC, is_sticky=True, kinds=frozenset(("pwrite",)))
    answers = commit_together(other, [stored, unknown, new])
    assert [type(each) for each in answers] == [CommittedEvents, CommitOutcomeUnknown, StoreFull]
    assert isinstance(answer, CommittedEvents)
    assert isinstance(answers[0], CommittedEvents)
    assert answers[0].is_repeat
    assert answers[0].events == answer.events
    disk.fault = None
    again = commit_together(other, [stored, unknown, new])
    assert all(isinstance(each, CommittedEvents) for each in again)
    assert len({each.position for each in again if isinstance(each, CommittedEvents)}) == 3
