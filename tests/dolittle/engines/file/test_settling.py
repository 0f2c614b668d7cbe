"""Several logs write before any syncs: what may be read when, and what is written again."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle.engines.file.log import Log, SyncFailed
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.segments import segment_path
from dolittle.engines.file.unsettled import Unsettled
from dolittle.errors import StoreBusy, StoreDamaged
from tests.dolittle.engines.file.by_hand import a_line
from tests.dolittle.engines.file.recorder import STORE, TIME_US, Logs, Recorder, put


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path)
    yield logs
    logs.close()


def write(log: Log, content: bytes = b"{}") -> bytes:
    """Write a line of one event and announce it, as among others."""
    log.bring_up_to_date()
    position = log.own.position
    data = a_line(position, log.readable.position, content)
    log.write(data)
    log.announce(len(data), position + 1, TIME_US)
    return data


def syncs(files: Recorder) -> list[str]:
    return [step for step in files.taken() if step.startswith("sync ")]


def test_who_is_alone_has_no_company(logs: Logs) -> None:
    log = logs.ready()
    for _ in range(3):
        put(log)
        assert not log.has_company
        log.bring_up_to_date()
        assert not log.has_company


def test_who_sees_that_others_have_written_has_company_for_a_while(logs: Logs) -> None:
    log, other = logs.ready(), logs.ready()
    put(log)
    assert not log.has_company
    put(other)
    assert other.has_company
    put(log)
    batches = 0
    while log.has_company:
        put(log)
        batches += 1
    assert batches == 16
    put(other)
    put(log)
    assert log.has_company


def test_with_durability_os_nobody_syncs_outside_the_lock(logs: Logs) -> None:
    log, other = logs.ready(is_synced=False), logs.ready(is_synced=False)
    put(log)
    put(other)
    put(log)
    assert not log.has_company


def test_what_is_announced_is_written_behind_and_not_read(logs: Logs) -> None:
    one, two, reader = logs.ready(), logs.ready(), logs(is_writable=False)
    first = write(one)
    assert reader.mark().position == one.mark().position == 0
    second = write(two)
    assert (two.readable.position, two.own.position) == (0, 2)
    assert two.has_unsettled
    assert two.has_company
    assert segment_path(logs.folder, 0).read_bytes() == first + second
    assert reader.mark().position == 0
    assert two.settle()
    assert reader.mark().position == two.mark().position == 2
    assert reader.mark().attested == 2


def test_one_sync_is_enough_for_everyone_who_has_written(logs: Logs) -> None:
    files = [Recorder() for _ in range(3)]
    three = [logs.ready(each) for each in files]
    for log in three:
        write(log)
    for each in files:
        each.taken()
    assert three[1].settle()
    assert [syncs(each) for each in files] == [[], ["sync 0"], []]
    assert three[0].mark().position == 3
    assert three[0].settle()
    assert three[2].settle()
    assert [syncs(each) for each in files] == [[], [], []]
    # And again.
    for log in reversed(three):
        write(log)
    for each in files:
        each.taken()
    assert three[2].settle()
    assert three[0].settle()
    assert [syncs(each) for each in files] == [[], [], ["sync 0"]]
    # Who writes now finds everything on disk.
    three[0].bring_up_to_date()
    assert not three[0].has_unsettled
    assert three[0].own.position == 6


def test_who_waits_for_a_sync_goes_on_when_its_lines_may_be_read(logs: Logs) -> None:
    syncing, waiting = logs.ready(), logs.ready(lock_wait_s=60)
    write(syncing)
    write(waiting)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(waiting.settle()))
    with syncing._settling().alone():
        thread.start()
        assert not answers
        syncing.publish(waiting.own.address - syncing.own.address, 2, TIME_US)
        # Though the lock is held still.
        thread.join(30)
    assert answers == [True]


def test_what_is_written_during_a_sync_is_not_safe_after_it(logs: Logs) -> None:
    class Meanwhile(Recorder):
        def fdatasync(self, fd: int) -> None:
            super().fdatasync(fd)
            if self.names_of[fd] == "0" and one.own.position == 1 and not late:
                late.append(write(two))

    late: list[bytes] = []
    one, two = logs(Meanwhile()), logs.ready()
    one.bring_up_to_date()
    write(one)
    assert one.settle()
    assert len(late) == 1
    assert one.mark().position == 1
    assert two.settle()
    assert one.mark().position == 2


def test_a_sync_that_was_not_finished_makes_everyone_write_again(logs: Logs) -> None:
    files = Recorder()
    dead, log = logs.ready(), logs.ready(files)
    first = write(dead)
    second = write(log)
    assert dead._synced is not None
    # It dies while it syncs.
    dead._synced.doubt(True)
    files.taken()
    assert not log.settle()
    assert syncs(files) == []
    assert log.mark().position == 0
    log.recover()
    steps = files.taken()
    assert f"write 0 0 {len(first + second)}" in steps
    assert "sync 0" in steps
    assert (log.own.position, log.mark().position, log.has_unsettled) == (2, 2, False)
    assert not dead._synced.is_doubted
    assert log.settle()
    assert log.holds(second, len(first))
    # Another one that has found the same finds it settled.
    dead.recover()
    assert dead.own == log.own


def test_who_comes_late_to_a_doubt_writes_the_newest_segment_again(logs: Logs) -> None:
    size = len(a_line(0))
    late = logs.ready(segment_bytes=2 * size)
    dead, others = logs.ready(segment_bytes=2 * size), logs.ready(segment_bytes=2 * size)
    write(late)
    assert dead._synced is not None
    dead._synced.doubt(True)
    assert not late.settle()
    # Others settle it before it can, go on with a new segment, and one of them dies there too.
    others.recover()
    put(others)
    put(others)
    write(others)
    dead._synced.doubt(True)
    late.recover()
    assert (late.own.position, late.mark().position) == (4, 4)
    assert late.segments.last.first_position == 2
    assert others.settle()


def test_a_failed_sync_leaves_a_doubt_for_others(logs: Logs) -> None:
    files = Recorder()
    failing, log = logs.ready(files), logs.ready()
    write(failing)
    files.fails = "sync 0"
    with pytest.raises(SyncFailed, match="the disk says no"):
        failing.settle()
    assert log.mark().position == 0
    data = write(log)
    assert not log.settle()
    log.recover()
    assert log.settle()
    assert log.mark().position == 2
    assert log.holds(data, len(a_line(0)))


@pytest.mark.parametrize("fails", ["cut", "write 0", "sync 0"])
def test_a_recovery_that_fails_leaves_a_doubt_for_others(logs: Logs, fails: str) -> None:
    other, files = logs.ready(), Recorder()
    log = logs.ready(files)
    data = write(other)
    with segment_path(logs.folder, 0).open("ab") as file:
        file.write(b'{"sum":"half a line of one that died')
    files.fails = fails
    with pytest.raises(OSError, match="the disk says no"):
        log.bring_up_to_date()
    assert not other.settle()
    other.recover()
    assert other.settle()
    assert other.holds(data, 0)
    assert log.mark().position == 1


def test_lines_that_are_gone_after_a_failed_sync_are_not_there(logs: Logs) -> None:
    lost, log = logs.ready(), logs.ready()
    put(log)
    data = write(lost, b'{"is":"lost"}')
    address = lost.own.address - len(data)
    # The system goes back to what is on disk, as btrfs does; others write on.
    path = segment_path(logs.folder, 0)
    path.write_bytes(path.read_bytes()[: -len(data)])
    put(log)
    put(log)
    assert lost.settle()
    assert not lost.holds(data, address)
    assert lost.mark() == log.own


def test_lines_that_are_gone_and_not_replaced_are_told(logs: Logs) -> None:
    lost, log = logs.ready(), logs.ready()
    put(log)
    data = write(lost)
    path = segment_path(logs.folder, 0)
    path.write_bytes(path.read_bytes()[: -len(data)])
    log.bring_up_to_date()
    with pytest.raises(SyncFailed, match=r"^\[Errno 5\] nothing says how far"):
        lost.settle()


def test_a_file_that_became_shorter_is_not_called_safe(logs: Logs) -> None:
    log = logs.ready()
    put(log)
    write(log)
    path = segment_path(logs.folder, 0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SyncFailed, match=r"^\[Errno 5\] what was written last is gone$"):
        log.settle()
    assert log.mark().position == 1


def test_marks_of_lines_that_are_gone_are_believed_no_more(logs: Logs) -> None:
    lost, log = logs.ready(), logs.ready()
    put(log)
    write(lost)
    path = segment_path(logs.folder, 0)
    kept = path.read_bytes()[: log.own.size]
    path.write_bytes(kept)
    log.bring_up_to_date()
    assert (log.own.position, log.has_unsettled) == (1, False)
    assert log._settling().written() == log.own


def test_opening_brings_to_disk_what_a_dead_process_has_written(logs: Logs) -> None:
    write(logs.ready())
    files = Recorder()
    log = logs(files)
    log.bring_to_disk()
    assert "sync 0" in files.taken()
    assert (log.own.position, log.mark().position) == (1, 1)


def test_closing_brings_to_disk_what_others_have_written(logs: Logs) -> None:
    write(logs.ready())
    files = Recorder()
    log = logs(files)
    log.sync()
    assert "sync 0" in files.taken()
    assert log.mark().position == 1


def test_a_segment_is_followed_only_when_it_is_on_disk(logs: Logs) -> None:
    size = len(a_line(0))
    files = Recorder()
    other, log = logs.ready(segment_bytes=2 * size), logs.ready(files, segment_bytes=2 * size)
    write(other)
    write(other)
    files.taken()
    log.bring_up_to_date()
    assert "sync 0" in files.taken()
    assert (log.readable.position, log.own.position) == (2, 2)
    data = write(log)
    assert segment_path(logs.folder, 2).read_bytes() == data
    assert log.mark().position == 2
    # Who has written before finds itself settled, and the next one goes on behind.
    assert other.settle()
    write(other)
    assert other.own.position == 4
    assert log.settle()
    assert other.mark().position == 4


def test_a_segment_with_what_durability_os_left_is_synced_before_the_next(logs: Logs) -> None:
    size, files = len(a_line(0)), Recorder()
    careless = logs.ready(is_synced=False, segment_bytes=2 * size)
    log = logs.ready(files, segment_bytes=2 * size)
    put(careless)
    put(careless)
    log.bring_up_to_date()
    files.taken()
    log.append(a_line(2, 0))
    assert syncs(files)[:2] == ["sync 0", "sync 2"]


def test_a_full_disk_takes_nothing_from_others(logs: Logs) -> None:
    files = Recorder()
    other, log = logs.ready(), logs.ready(files)
    first = write(other)
    log.bring_up_to_date()
    log.write(a_line(1)[:20])
    files.taken()
    log.cut_back()
    assert [step for step in files.taken() if not step.startswith("fstat")] == [
        f"cut 0 {len(first)}",
        "sync 0",
    ]
    assert segment_path(logs.folder, 0).read_bytes() == first
    assert log.own == log.readable == log.mark()
    assert log.mark().position == 1
    assert other.settle()


def test_who_syncs_for_too_long_is_told_of(logs: Logs) -> None:
    hanging, log = logs.ready(), logs.ready(lock_wait_s=0.01)
    write(hanging)
    with hanging._settling().alone():
        data = write(log)
        with pytest.raises(StoreBusy, match=re.escape(f"{logs.folder} for more than 0.01 s")):
            log.settle()
        with pytest.raises(StoreBusy, match=re.escape("for more than 0.02 s")):
            log.settle(0.02)
        log.write(data[:10])
        with pytest.raises(OSError, match=re.escape(str(logs.folder))):
            log.cut_back()
        with pytest.raises(StoreBusy):
            log.recover()
    # Nothing of it was lost: the half line is cut off, the others are there.
    log.bring_up_to_date()
    assert log.mark().position == 2


def a_lookup(logs: Logs, log: Log) -> Lookup:
    return Lookup(Recorder(), logs.folder, STORE, log, is_writable=False)


def test_unsettled_lines_are_known_to_the_writer_and_later_to_everyone(logs: Logs) -> None:
    other, log = logs.ready(), logs.ready()
    lookup = a_lookup(logs, log)
    unsettled = Unsettled(log, lookup)
    put(other)
    write(other)
    write(other)
    log.bring_up_to_date()
    assert [commit.commit for commit in unsettled.catch_up()] == ["c1", "c2"]
    assert lookup.commit_address("c0") == 0
    assert lookup.commit_address("c1") is None
    assert log.settle()
    assert unsettled.are_settled()
    assert lookup.lag_bytes(log.mark()) == 0
    assert lookup.commit_address("c2") == 2 * len(a_line(0))
    # Another time they are nothing new.
    assert unsettled.are_settled()
    log.bring_up_to_date()
    assert unsettled.catch_up() == []
    lookup.close()


def test_who_is_far_behind_catches_up_over_the_segments(logs: Logs) -> None:
    size = len(a_line(0))
    other, log = logs.ready(segment_bytes=3 * size), logs.ready(segment_bytes=3 * size)
    lookup = a_lookup(logs, log)
    for _ in range(4):
        put(other)
    write(other)
    log.bring_up_to_date()
    assert log.own.size == 2 * size
    assert [commit.commit for commit in Unsettled(log, lookup).catch_up()] == ["c4"]
    assert lookup.commit_address("c3") == 3 * size
    lookup.close()


def test_a_flipped_bit_in_what_is_not_synced_yet_is_damage(logs: Logs) -> None:
    other, log = logs.ready(), logs.ready()
    lookup = a_lookup(logs, log)
    put(other)
    write(other)
    write(other)
    path = segment_path(logs.folder, 0)
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    log.bring_up_to_date()
    with pytest.raises(StoreDamaged, match="the checksum does not match") as caught:
        Unsettled(log, lookup).catch_up()
    line = len(a_line(0))
    assert (caught.value.line, caught.value.offset_bytes) == (3, 2 * line)
    lookup.close()


def test_an_end_that_does_not_fit_its_lines_is_damage(logs: Logs) -> None:
    other, log = logs.ready(), logs.ready()
    lookup = a_lookup(logs, log)
    data = a_line(0)
    other.write(data)
    other.announce(len(data), 2, TIME_US)
    log.bring_up_to_date()
    with pytest.raises(StoreDamaged, match="position 1\\): the log ends at another position") as e:
        Unsettled(log, lookup).catch_up()
    assert (e.value.line, e.value.offset_bytes) == (2, len(data))
    lookup.close()


def test_nothing_is_believed_of_another_boot(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    from dolittle.engines.file import synced

    write(logs.ready())
    monkeypatch.setattr(synced, "_boot_id", lambda: b"another boot    ")
    files = Recorder()
    log = logs(files)
    log.bring_up_to_date()
    steps = files.taken()
    assert "sync 0" in steps
    assert f"write 0 0 {len(a_line(0))}" in steps
    assert log.mark().position == 1
