"""What a failed sync left readable is not trusted, wherever it stands."""

from __future__ import annotations

import random
from datetime import timedelta

from dolittle.engines.file.recovery import scan
from dolittle.store import Commit, EventToCommit
from tests.torture.disk import SimulatedDisk
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, commit_together


def test_lines_built_before_their_segment_was_begun_are_not_called_proven() -> None:
    course, disk = Course(0, durability="os"), SimulatedDisk(NOWHERE)
    course._segment_bytes = 300
    store = course._open(disk)
    for number in range(4):
        event = EventToCommit("Paid", "Table 1", b'{"a":"a little more than nothing"}')
        commit_together(store, [Commit(f"c{number}", (event,), NOBODY)])
    segments = store._log.segments
    assert [segment.first_position for segment in segments.all] == [0, 2]
    # The fourth line says that two events were on disk; the third is none of them.
    found = scan(disk, segments, store._log.seed, 0)
    assert (found.attested, found.proven_end) == (2, 0)
    store._close()


def test_what_each_batch_proves_is_what_stood_before_it() -> None:
    course, disk = Course(0, durability="fsync"), SimulatedDisk(NOWHERE)
    course._segment_bytes = 100_000
    store = course._open(disk)
    sizes = []
    for batch in range(3):
        sizes.append(store._log.own.size)
        event = EventToCommit("Paid", "Table 1", b"{}")
        commit_together(store, [Commit(f"c{batch}-{each}", (event,), NOBODY) for each in range(3)])
        found = scan(disk, store._log.segments, store._log.seed, 0)
        assert (found.attested, found.proven_end) == (3 * batch, sizes[-1])
    store._close()


def test_time_does_not_go_back_where_the_last_segment_is_still_empty() -> None:
    course, disk = Course(0, durability="fsync"), SimulatedDisk(NOWHERE)
    course._segment_bytes = 100
    store = course._open(disk)
    commit_together(store, [Commit("c0", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)])
    time_us = store._log.own.time_us
    store._log._begin_segment(1)
    found = scan(disk, store._log.segments, store._log.seed, 0)
    assert (found.position, found.end, found.time_us) == (1, 0, time_us)
    course._clock.time -= timedelta(hours=1)
    (answer,) = commit_together(
        store, [Commit("c1", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)]
    )
    assert not isinstance(answer, BaseException)
    assert answer.events[0].commit.time == course._clock.time + timedelta(hours=1)
    store._close()


def test_the_copy_of_a_torn_end_is_on_disk_before_the_end_is_cut() -> None:
    course, disk = Course(0, durability="fsync"), SimulatedDisk(NOWHERE)
    store = course._open(disk)
    commit_together(store, [Commit("c0", (EventToCommit("Paid", "Table 1", b"{}"),), NOBODY)])
    disk.tear()
    killed = disk.after_kill()
    folders: list[dict[str, bytes]] = []

    def look(kind: str) -> None:
        if kind == "ftruncate":
            chance = random.Random(len(folders))
            folders.extend(killed.after_power_cut(chance).content("torn") for _ in range(20))

    killed.before = look
    course._open(killed)._lookup.close()
    assert len(folders) == 20
    assert all(list(each.values()) == [b'{"sum":"'] for each in folders)
