"""What the log alone believes of its files, and what it does where it does not."""

from __future__ import annotations

import errno
import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle.engines.file import recovery as recovery_module
from dolittle.engines.file.log import SyncFailed
from dolittle.engines.file.segments import segment_path
from dolittle.engines.file.synced import Mark
from dolittle.errors import StoreDamaged
from tests.dolittle.engines.file.by_hand import a_line, is_behind, with_a_sum
from tests.dolittle.engines.file.recorder import TIME_US, Logs, Recorder, as_on_disk, put

WARNING = (
    "the event log ended in half a commit, which nobody had been told is stored; "
    "it was cut off, a copy is in "
)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path)
    yield logs
    logs.close()


@pytest.mark.parametrize("what", ["touched", "longer", "another file", "no mark", "other mark"])
def test_what_does_not_look_like_its_mark_is_read_again(logs: Logs, what: str) -> None:
    files = Recorder()
    log = logs.ready(files)
    data = put(log, 3)
    path = segment_path(logs.folder, 0)
    if what == "touched":
        os.utime(path, ns=(1, 1))
    elif what == "longer":
        stat = path.stat()
        with path.open("ab") as file:
            file.write(a_line(3))
        os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        data += a_line(3)
    elif what == "another file":
        log.close()
        path.rename(path.with_name("elsewhere"))
        path.write_bytes(data)
        log = logs(files)
    elif what == "no mark":
        log.close()
        (logs.folder / "synced").unlink()
        log = logs(files)
    else:
        # One that says less, of a segment that looks as it says.
        assert log._synced is not None
        log._synced.publish(log.own._replace(address=len(a_line(0)), position=1))
    files.taken()
    log.bring_up_to_date()
    steps = files.taken()
    assert f"read 0 0 {len(data)}" in steps
    position = 4 if what == "longer" else 3
    assert log.own == as_on_disk(path, Mark(len(data), position, position, TIME_US))
    assert log.mark() == log.own
    assert not is_behind(log)
    # What no line proves to be on disk was written again, and synced with its name.
    assert steps[-4].startswith("write 0 ")
    assert steps[-3:] == ["sync 0", "sync folder log", "fstat 0"]
    log.bring_up_to_date()
    assert files.taken() == ["fstat 0"]


def test_only_what_no_line_proves_is_written_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_module, "BLOCK_BYTES", 50)
    files = Recorder()
    log = logs.ready(files)
    first, last = put(log, 2), put(log, 2)
    os.utime(segment_path(logs.folder, 0), ns=(1, 1))
    files.taken()
    log.bring_up_to_date()
    begin, end = len(first), len(first) + len(last)
    places = [*range(begin, end, 50), end]
    assert [step for step in files.taken() if step.startswith("write")] == [
        f"write 0 {place} {following - place}" for place, following in itertools.pairwise(places)
    ]
    assert segment_path(logs.folder, 0).read_bytes() == first + last


def test_a_log_that_becomes_shorter_while_it_is_read_is_an_error(logs: Logs) -> None:
    class ShrinkingFiles(Recorder):
        reads = 0

        def pread(self, fd: int, length: int, offset: int) -> bytes:
            self.reads += 1
            return super().pread(fd, length, offset) if self.reads == 1 or not length else b""

    put(logs.ready(), 3)
    os.utime(segment_path(logs.folder, 0), ns=(1, 1))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - looked at below
        logs(ShrinkingFiles()).bring_up_to_date()
    assert caught.value.errno == errno.EIO
    assert caught.value.strerror == "the log became shorter while it was read"


def test_a_torn_end_is_cut_with_a_warning(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    log = logs.ready()
    data = put(log, 2)
    path = segment_path(logs.folder, 0)
    path.write_bytes(data + b"torn")
    with caplog.at_level(logging.WARNING):
        log.bring_up_to_date()
    (copy,) = (logs.folder / "torn").iterdir()
    assert copy.read_bytes() == b"torn"
    assert copy.name.startswith("20261124T112000.123456-")
    (record,) = caplog.records
    assert record.name == "dolittle.engines.file"
    assert record.getMessage() == f"{WARNING}{copy}"
    assert path.read_bytes() == data
    assert log.own == as_on_disk(path, Mark(len(data), 2, 2, TIME_US))
    caplog.clear()
    log.bring_up_to_date()
    os.utime(path, ns=(1, 1))
    log.bring_up_to_date()
    assert not caplog.records


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_damage_stops_everything_but_reading_what_is_before_it(logs: Logs, durability: str) -> None:
    first = logs.ready(segment_bytes=10)
    sealed, last = put(first), put(first)
    path = segment_path(logs.folder, 1)
    path.write_bytes(last[:-5])
    files = Recorder()
    log = logs(files, is_synced=durability == "fsync")
    with pytest.raises(StoreDamaged) as caught:
        log.bring_up_to_date()
    assert log.damage is caught.value
    assert log.own == log.mark() == Mark(len(sealed), 1, 0, TIME_US)
    assert path.read_bytes() == last[:-5]
    files.taken()
    log.sync()
    assert files.taken() == []
    assert first.mark().position == 2


def test_a_failed_sync_is_the_last_and_is_known_to_others(logs: Logs) -> None:
    files = Recorder()
    log, other = logs.ready(files), logs.ready()
    data = put(log)
    files.fails = "sync 0"
    with pytest.raises(SyncFailed, match="the disk says no"):
        log.append(a_line(1, 1))
    assert log.mark() == other.mark() == log.own._replace(mtime_ns=0)
    files.fails = ""
    files.taken()
    log.sync()
    assert files.taken() == []
    assert is_behind(other)
    assert is_behind(log)
    assert log.unsettled_ids() == other.unsettled_ids() == {"c1"}
    other.bring_up_to_date()
    path = segment_path(logs.folder, 0)
    assert other.own == as_on_disk(path, Mark(len(data) + len(a_line(1, 1)), 2, 2, TIME_US))
    assert path.read_bytes() == data + a_line(1, 1)
    assert other.unsettled_ids() == set()
    # Whoever failed is not at the end any more, whatever the file looks like.
    log.bring_up_to_date()
    assert log.own == other.own


def test_who_failed_to_sync_reads_its_own_lines_again(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files)
    put(log)
    files.fails = "sync 0"
    stat = segment_path(logs.folder, 0).stat()
    with pytest.raises(SyncFailed):
        log.append(b"")
    os.utime(segment_path(logs.folder, 0), ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    files.fails = ""
    files.taken()
    log.bring_up_to_date()
    assert [step for step in files.taken() if step.startswith("write")]


def test_what_a_write_left_is_cut_back_on_disk(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files)
    data = put(log)
    path = segment_path(logs.folder, 0)
    files.fails = "sync 0"
    with pytest.raises(SyncFailed):
        log.append(b"x" * 1000)
    files.fails = ""
    files.taken()
    log.cut_back()
    assert files.taken() == [f"cut 0 {len(data)}", "sync 0", "fstat 0"]
    assert path.read_bytes() == data
    assert log.mark() == log.own == as_on_disk(path, Mark(len(data), 1, 1, TIME_US))
    log.bring_up_to_date()
    assert files.taken() == ["fstat 0"]


def test_the_very_first_line_may_not_be_settled(logs: Logs) -> None:
    log = logs.ready()
    segment_path(logs.folder, 0).write_bytes(a_line(0))
    assert log.unsettled_ids() == {"c0"}


def test_ids_that_are_not_settled_are_those_of_intact_lines_behind_the_mark(logs: Logs) -> None:
    log = logs.ready(segment_bytes=10)
    put(log)
    put(log, 2)
    with segment_path(logs.folder, 1).open("ab") as file:
        file.write(a_line(3) + b"no line\n" + with_a_sum(b'",}') + a_line(7) + a_line(8)[:-1])
    assert log.unsettled_ids() == {"c3", "c7", "c8"}
    put(logs.ready())


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("is_marked", [True, False])
def test_the_end_of_a_log_that_cannot_be_written_to_is_found(
    logs: Logs, is_marked: bool, damaged: bool
) -> None:
    first = logs.ready(segment_bytes=10)
    sealed, last = put(first), put(first)
    path = segment_path(logs.folder, 1)
    if damaged:
        path.write_bytes(last[:-1])
    if not is_marked:
        (logs.folder / "synced").unlink()
    before = path.read_bytes()
    files = Recorder()
    log = logs(files, is_writable=False)
    files.taken()
    log.find_end()
    steps = files.taken()
    assert not [step for step in steps if step.split()[0] in ("write", "cut", "sync")]
    assert path.read_bytes() == before
    if is_marked and not damaged:
        assert log.own == first.own
        assert not [step for step in steps if step.startswith("read")]
    else:
        count = 1 if damaged else 2
        address = len(sealed) + len(last) * (not damaged)
        assert log.own == Mark(address, count, 0, TIME_US)
    assert (log.damage is not None) == (is_marked and damaged)
    assert log.mark() == log.own
    assert is_behind(log)


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_changed_byte_is_found_where_nothing_can_be_written(logs: Logs, is_marked: bool) -> None:
    first = logs.ready()
    data = put(first, 2)
    segment_path(logs.folder, 0).write_bytes(data.replace(b'"c1"', b'"c2"'))
    if not is_marked:
        (logs.folder / "synced").unlink()
    log = logs(is_writable=False)
    log.find_end()
    assert log.own == Mark(len(a_line(0)), 1, 0, TIME_US)
    assert (log.damage is not None) == is_marked


def test_an_empty_log_is_whole_where_nothing_can_be_written(logs: Logs) -> None:
    logs.ready()
    (logs.folder / "synced").unlink()
    log = logs(is_writable=False)
    log.find_end()
    assert (log.own, log.damage) == (Mark(), None)


def test_a_log_whose_file_was_taken_away_is_not_written_to(logs: Logs) -> None:
    log = logs.ready()
    put(log)
    segment_path(logs.folder, 0).unlink()
    with pytest.raises(FileNotFoundError):
        log.bring_up_to_date()


def test_more_than_a_mark_says_is_nobodys_business_but_the_writers(logs: Logs) -> None:
    first = logs.ready(segment_bytes=10)
    put(first)
    put(first)
    with segment_path(logs.folder, 1).open("ab") as file:
        file.write(a_line(2, 2))
    files = Recorder()
    log = logs(files, is_writable=False)
    log.find_end()
    assert log.own == first.own
    assert log.damage is None
    assert not [step for step in files.taken() if step.startswith("read")]
