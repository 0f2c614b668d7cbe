"""The log alone: what it does to its files, in which order, and when others see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle.engines.file import log as log_module
from dolittle.engines.file.segments import segment_path
from dolittle.engines.file.synced import Mark
from tests.dolittle.engines.file.by_hand import a_line, is_behind
from tests.dolittle.engines.file.recorder import STORE, TIME_US, Logs, Recorder, as_on_disk, put


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path)
    yield logs
    logs.close()


def test_a_new_log_is_on_disk_before_anything_is_written_to_it(logs: Logs) -> None:
    files = Recorder()
    log = logs(files)
    assert log.own == Mark()
    assert not is_behind(log)
    files.taken()
    log.bring_up_to_date()
    steps = files.taken()
    begun = ["open 0 create", "sync 0", "close 0", "sync folder log", "names"]
    assert steps[:5] == begun
    assert [step for step in steps[5:] if step.split()[0] not in ("stat", "names", "read")] == [
        # Its locks and marks are made; whoever syncs holds one of them.
        "open written create",
        "open written create",
        "fstat written",
        "write written 0 184",
        "close written",
        "open 0 r",
        "open 0 w",
        "sync 0",
        "sync folder log",
        "fstat 0",
    ]
    assert log.own == as_on_disk(segment_path(logs.folder, 0), Mark())
    assert log.mark() == log.own
    assert log.seed == log_module.seed_of(STORE)


def test_what_is_appended_is_read_when_it_is_published(logs: Logs) -> None:
    files = Recorder()
    log, other = logs.ready(files), logs.ready()
    path = segment_path(logs.folder, 0)
    files.taken()
    data = a_line(0) + a_line(1)
    log.append(data)
    assert files.taken() == [f"write 0 0 {len(data)}", "sync 0"]
    assert path.read_bytes() == data
    assert log.mark().address == other.mark().address == 0
    assert not is_behind(other)
    log.publish(len(data), 2, TIME_US)
    assert files.taken() == ["fstat 0"]
    expected = as_on_disk(path, Mark(len(data), 2, 2, TIME_US))
    assert log.own == log.mark() == other.mark() == expected
    assert is_behind(other)
    assert not is_behind(log)
    # Behind it goes the next one, into the file that is open, whoever has looked for others.
    log.segments.refresh()
    files.taken()
    log.append(a_line(2, 2))
    assert files.taken() == [f"write 0 {len(data)} {len(a_line(2, 2))}", "sync 0"]
    log.publish(len(a_line(2, 2)), 3, TIME_US + 5)
    whole = as_on_disk(path, Mark(len(data) + len(a_line(2, 2)), 3, 3, TIME_US + 5))
    assert log.own == whole


def test_nothing_is_looked_at_while_nobody_else_has_written(logs: Logs) -> None:
    files = Recorder()
    log, other = logs.ready(files), logs.ready()
    put(log)
    files.taken()
    log.bring_up_to_date()
    assert files.taken() == ["fstat 0"]
    put(other)
    assert is_behind(log)
    log.bring_up_to_date()
    assert files.taken() == ["stat 0"]
    assert log.own == other.own
    assert not is_behind(log)
    log.bring_up_to_date()
    assert files.taken() == ["fstat 0"]
    put(log)
    other.bring_up_to_date()
    assert other.own == log.own
    assert other.own.position == 3


def test_a_log_that_was_opened_anew_believes_the_mark(logs: Logs) -> None:
    put(logs.ready(), 3)
    files = Recorder()
    log = logs(files)
    files.taken()
    log.bring_up_to_date()
    assert files.taken() == ["stat 0"]
    assert log.own == logs.made[0].own


def test_a_full_segment_is_followed_by_another(logs: Logs) -> None:
    files = Recorder()
    size = len(a_line(0))
    log = logs.ready(files, segment_bytes=2 * size)
    reader = logs(is_writable=False)
    data = put(log) + put(log)
    assert log.segments.last.first_position == 0
    assert reader.mark().position == 2
    assert len(data) == 2 * size
    before = log.own
    files.taken()
    log.append(a_line(2, 2))
    steps = files.taken()
    assert [step for step in steps if step.split()[0] not in ("stat", "names")] == [
        "open 2 create",
        "sync 2",
        "close 2",
        "sync folder log",
        "close 0",
        "open 2 w",
        "fstat 2",
        f"write 2 0 {size}",
        "sync 2",
    ]
    path = segment_path(logs.folder, 2)
    begun = before._replace(inode=path.stat().st_ino, size=0, mtime_ns=log.own.mtime_ns)
    assert log.own == begun == reader.mark()
    log.publish(size, 3, TIME_US)
    assert log.own == as_on_disk(path, Mark(3 * size, 3, 3, TIME_US))
    assert reader.mark() == log.own
    # Who reads has noticed the new file, and looks only once.
    assert [each.first_position for each in reader.segments.all] == [0, 2]
    segment_path(logs.folder, 9).write_bytes(b"")
    assert reader.mark() == log.own
    assert len(reader.segments.all) == 2
    segment_path(logs.folder, 9).unlink()
    other = logs.ready(segment_bytes=2 * size)
    put(other)
    assert segment_path(logs.folder, 2).read_bytes() == a_line(2, 2) + a_line(3, 3)
    put(other)
    files.taken()
    log.bring_up_to_date()
    assert log.own == other.own
    assert log.segments.last.first_position == 4
    put(log)
    assert segment_path(logs.folder, 4).read_bytes() == a_line(4, 4) + a_line(5, 5)


def test_a_segment_that_cannot_be_begun_leaves_no_open_file(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files, segment_bytes=1)
    put(log)
    files.fails = "sync 1"
    with pytest.raises(OSError, match="says no"):
        log.append(a_line(1, 1))
    assert "1" not in files.names_of.values()
    files.fails = ""
    put(log)
    assert log.own.position == 2


def test_a_segment_that_cannot_be_opened_leaves_the_one_before_closed_once(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files, segment_bytes=1)
    put(log)
    files.fails = "open 1 w"
    for _ in range(2):
        with pytest.raises(OSError, match="says no"):
            log.append(a_line(1, 1))
    files.fails = ""
    put(log)
    assert log.own.position == 2


def test_with_durability_os_a_segment_is_synced_before_the_next_one_begins(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files, is_synced=False, segment_bytes=1)
    data = put(log)
    path = segment_path(logs.folder, 0)
    assert "sync 0" not in files.taken()[-3:]
    assert log.own == as_on_disk(path, Mark(len(data), 1, 0, TIME_US))
    log.append(a_line(1))
    steps = files.taken()
    assert steps.index("sync 0") < steps.index("open 1 create")
    assert not [step for step in steps[steps.index("open 1 w") :] if step.startswith("sync")]
    assert (log.own.position, log.own.attested) == (1, 1)
    log.publish(len(a_line(1)), 2, TIME_US)
    assert (log.own.position, log.own.attested) == (2, 1)


def test_a_sync_that_is_asked_for_attests_what_is_there(logs: Logs) -> None:
    files = Recorder()
    log, other = logs.ready(files, is_synced=False), logs.ready(is_synced=False)
    put(log)
    put(other)
    files.taken()
    log.sync()
    assert [step for step in files.taken() if "stat" not in step] == ["sync 0"]
    path = segment_path(logs.folder, 0)
    size = 2 * len(a_line(0))
    assert log.own == other.mark() == as_on_disk(path, Mark(size, 2, 2, TIME_US))
    log.sync()
    assert files.taken() == ["fstat 0"]


def test_a_log_without_segments_has_no_end_to_find(logs: Logs) -> None:
    log = logs(is_writable=False)
    log.find_end()
    assert log.own == log.mark() == Mark()
    assert log.damage is None


def test_who_may_write_needs_the_mark(logs: Logs) -> None:
    class NoFiles(Recorder):
        def open(self, path: Path, flags: int) -> int:
            raise FileNotFoundError(path)

    with pytest.raises(FileNotFoundError):
        logs(NoFiles())
    assert logs(NoFiles(), is_writable=False).mark() == Mark()


def test_a_log_lets_go_of_all_its_files(logs: Logs) -> None:
    files = Recorder()
    log = logs.ready(files, segment_bytes=10)
    for _ in range(3):
        put(log)
        log.segments.read(log.segments.last, 0, 10)
    assert files.names_of
    log.close()
    assert not files.names_of
    log.close()
    assert is_behind(log)
    assert log.mark() == log.own
