from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolittle.testing import HeldClock
from dolittle_cli import run_logs
from dolittle_cli.run_logs import LogReader, RunLog

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "kitchen.log"


def texts(lines: list[run_logs.LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_read_with_their_times(path: Path, clock: HeldClock) -> None:
    log = RunLog(path, clock, pytest.fail)
    log.write("one")
    clock.advance(60)
    log.write("  two  words")
    found = LogReader("kitchen", path).last(10, None)
    assert texts(found) == ["one", "  two  words"]
    assert [line.time for line in found] == [NOON, NOON + timedelta(minutes=1)]
    assert texts(LogReader("kitchen", path).last(1, None)) == ["  two  words"]
    assert texts(LogReader("kitchen", path).last(9, NOON + timedelta(seconds=1))) == [
        "  two  words"
    ]


def test_what_is_added_is_read_once_also_over_a_log_that_was_put_aside(
    path: Path, clock: HeldClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "LOG_BYTES_MAX", 100)
    log, reader = RunLog(path, clock, pytest.fail), LogReader("kitchen", path)
    assert reader.more() == []
    seen: list[str] = []
    for number in range(20):
        log.write(f"line {number}")
        seen += texts(reader.more())
    log.write("end")
    seen += texts(reader.more())
    assert seen == [f"line {number}" for number in range(20)] + ["end"]
    assert path.with_name("kitchen.log.1").stat().st_size < 200


def test_a_line_that_is_being_written_is_left_for_later(path: Path, clock: HeldClock) -> None:
    RunLog(path, clock, pytest.fail).write("one")
    reader = LogReader("kitchen", path)
    with path.open("a") as file:
        file.write("2026-01-31T12:00:00.000000Z tw")
        file.flush()
        assert texts(reader.last(9, None)) == ["one"]
        file.write("o\n")
    assert texts(reader.more()) == ["two"]


def test_what_is_no_line_of_a_log_is_left_out(path: Path, clock: HeldClock) -> None:
    RunLog(path, clock, pytest.fail).write("one")
    with path.open("ab") as file:
        file.write(b"\xff\xfe nothing\n\n")
    assert texts(LogReader("kitchen", path).last(9, None)) == ["one"]


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path, clock: HeldClock) -> None:
    (tmp_path / "logs").write_text("a file, no folder")
    told: list[str] = []
    log = RunLog(tmp_path / "logs" / "kitchen.log", clock, told.append)
    log.write("one")
    log.write("two")
    assert len(told) == 1
    assert "cannot be written" in told[0]
