from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolittle_cli.commands.events.live_statistics import drawing
from dolittle_cli.commands.events.statistics import Counted, Statistics, Tally
from dolittle_cli.console import Console, width_of
from dolittle_cli.main import main

SHOWN_S_MAX = 20.0
BEGAN = datetime(2026, 1, 31, 10, tzinfo=UTC)
NAMES = ("DishPrepared", "OrderTakenAtTheTableByTheWindow", "Pâtisserie出前")


def of(names: tuple[str, ...], count: int = 3, prefix: str = "") -> Counted:
    statistics = Statistics(str)
    ended = BEGAN + timedelta(seconds=7)
    statistics.tallies = {name: Tally(count, BEGAN, ended) for name in names}
    statistics.total = Tally(count * len(names), BEGAN, ended)
    return Counted(statistics, prefix=prefix)


@pytest.mark.parametrize("columns", [40, 47, 60, 61, 79, 80, 100, 120, 200])
@pytest.mark.parametrize("count", [3, 1_234_567])
def test_the_table_fits_into_the_terminal_and_cuts_no_name(
    monkeypatch: pytest.MonkeyPatch, columns: int, count: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "24")

    lines = drawing(Console(), [of(NAMES, count)])

    assert max(map(width_of, lines)) < columns
    assert all(any(name in line for line in lines) for name in NAMES)
    assert f"{count * 3:,}" in "\n".join(lines)


def test_a_wide_terminal_has_all_columns_and_a_narrow_one_the_figures_below_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "120")
    titles, *_ = drawing(Console(), [of(NAMES)])
    assert titles.split() == ["TYPE", "EVENTS", "SHARE", "PER", "SECOND", "FIRST", "LAST"]

    monkeypatch.setenv("COLUMNS", "40")
    assert drawing(Console(), [of(NAMES[:2], prefix="bar | ")])[:2] == [
        "bar | DishPrepared",
        "  3 events, 50.0%, 0.286 per second",
    ]


@pytest.mark.parametrize("columns", [40, 120])
@pytest.mark.parametrize("rows", [4, 5, 6, 7, 8, 12, 24])
def test_the_table_is_no_higher_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(rows))
    names = tuple(f"{NAMES[1]}{number}" for number in range(30))

    lines = drawing(Console(), [of(names)])

    assert len(lines) < rows
    shown = sum(NAMES[1] in line for line in lines)
    assert f"({30 - shown} more)" in lines
    assert any(line.startswith("all") for line in lines)


def test_one_event_type_has_no_row_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert len(drawing(Console(), [of(NAMES[:1])])) == 2


def append(folder: Path) -> None:
    words = ["events", "append", "OrderTaken", "--source", "T", "guests=1"]
    assert main([*words, "--project", str(folder)]) == 0


def test_on_a_terminal_the_table_is_replaced_where_it_stands(kitchen: Path) -> None:
    append(kitchen)
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", "tail", "--stats"],
        cwd=kitchen, env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    try:
        assert "\033" not in read_until(screen, r"OrderTaken  1 .*\n")
        append(kitchen)
        again = read_until(screen, r"OrderTaken  2 .*\n")
        assert "\033[2F\033[J" in again
        assert again.index("\033[2F\033[J") < again.index("OrderTaken  2")
        # Made so narrow that the two lines take three rows: all of them are replaced.
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
        process.send_signal(signal.SIGWINCH)  # as the terminal does
        assert "\033[4F\033[J" in read_until(screen, r"  2 events, .*\n")
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def read_until(screen: int, pattern: str) -> str:
    """What a terminal shows until there is a match of a pattern."""
    shown, end = "", time.monotonic() + SHOWN_S_MAX
    while not re.search(pattern, shown):
        ready, _, _ = select.select([screen], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{pattern!r} did not come; came: {shown!r}"
        with contextlib.suppress(OSError):
            shown += os.read(screen, 4096).decode()
    return shown


def test_in_a_pipe_each_time_is_one_line(kitchen: Path) -> None:
    append(kitchen)
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", "tail", "-f", "--stats"],
        cwd=kitchen, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert re.fullmatch(r"\S+Z  1 event: OrderTaken 1\n", process.stdout.readline())
        append(kitchen)
        line = process.stdout.readline()
        assert re.fullmatch(r"\S+Z  2 events, 1 of them new: OrderTaken 2\n", line)
    finally:
        process.kill()
        process.communicate()
