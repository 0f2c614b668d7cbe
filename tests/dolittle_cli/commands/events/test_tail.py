from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from dolittle.execution import ExecutionContext, new_id
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, EventToCommit
from dolittle_cli.main import main

WAIT_S = 20.0
"""For a process to start, on a busy machine."""

SEEN_S = 0.05
"""Within which an event of another process is shown."""

TAIL = [sys.executable, "-m", "dolittle_cli", "events", "tail"]


async def append(project: Path, *guests: int) -> None:
    """Commit from this process, while another one follows."""
    store = await open_store(load_configuration(project), "development")
    for number in guests:
        event = EventToCommit("OrderTaken", "Table 1", b'{"guests":%d}' % number)
        await store.commit(Commit(new_id(), (event,), ExecutionContext()))
    await store.close()


@contextmanager
def started(
    project: Path, *words: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*TAIL, *words],
        cwd=project,
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(stream: IO[bytes] | None, within_s: float = WAIT_S) -> bytes:
    assert stream is not None
    ready, _, _ = select.select([stream], [], [], within_s)
    assert ready, f"nothing came within {within_s} s"
    return stream.readline()


def processor_s(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a process has used (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_tail_shows_the_last_ten_and_ends_when_piped(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await append(kitchen, *range(12))
    done = subprocess.run(TAIL, cwd=kitchen, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(2, 12)]


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["-n", "2"], [10, 11]),
        (["-n", "0"], []),
        (["--from", "start"], list(range(12))),
        (["--from", "5", "-n", "1"], [11]),
        (["--from", "end"], []),
    ],
)
async def test_tail_chooses_how_many_of_the_past(
    kitchen: Path, words: list[str], positions: list[int]
) -> None:
    await append(kitchen, *range(12))
    done = subprocess.run(
        [*TAIL, "--json", *words], cwd=kitchen, capture_output=True, text=True, timeout=WAIT_S
    )
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == positions


async def test_tail_follows_other_processes_within_50_ms_and_filters(kitchen: Path) -> None:
    await append(kitchen, 0)
    with started(kitchen, "--follow", "--json", "--source", "Table 1") as process:
        assert json.loads(read_line(process.stdout))["position"] == 0
        store = await open_store(load_configuration(kitchen), "development")
        waits = []
        for number in range(1, 6):
            for source in ("Table 2", "Table 1"):
                event = EventToCommit("OrderTaken", source, b"{}")
                await store.commit(Commit(new_id(), (event,), ExecutionContext()))
            committed = time.perf_counter()
            assert json.loads(read_line(process.stdout))["position"] == number * 2
            waits.append(time.perf_counter() - committed)
        await store.close()
        # The quickest: a busy machine may hold any one of them up.
        assert min(waits) < SEEN_S


async def test_tail_uses_no_processor_time_while_nothing_happens(kitchen: Path) -> None:
    await append(kitchen, 0)
    with started(kitchen, "--follow", "--json") as process:
        read_line(process.stdout)
        before = processor_s(process)
        with pytest.raises(AssertionError):
            read_line(process.stdout, within_s=1.5)
        assert processor_s(process) - before < 0.1


async def test_tail_waits_for_a_store_without_making_it(kitchen: Path) -> None:
    with started(kitchen, "--follow", "--json") as process:
        assert read_line(process.stderr) == b"no events yet, waiting for the first one\n"
        assert not (kitchen / ".dolittle").exists()
        await append(kitchen, 7)
        assert json.loads(read_line(process.stdout))["content"] == {"guests": 7}


def test_tail_of_no_store_ends_when_it_does_not_follow(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "tail", "--no-follow"]) == 0
    assert capsys.readouterr().err == "no events yet\n"
    assert not (kitchen / ".dolittle").exists()


async def test_ctrl_c_ends_a_follower_with_130_and_no_word(kitchen: Path) -> None:
    await append(kitchen, 0)
    with started(kitchen, "--follow") as process:
        read_line(process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


async def test_a_closed_pipe_ends_a_follower_at_once_with_0(kitchen: Path) -> None:
    await append(kitchen, 0)
    with started(kitchen, "--follow") as process:
        read_line(process.stdout)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stdout = None


async def test_a_service_that_does_not_import_is_said_once(kitchen: Path) -> None:
    await append(kitchen, 0, 1, 2)
    (kitchen / "kitchen" / "broken.py").write_text("@event_type\nclass :\n")
    done = subprocess.run(TAIL, cwd=kitchen, capture_output=True, text=True, timeout=WAIT_S)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.count("broken.py:2") == 1
    assert done.returncode == 0


async def test_tail_follows_on_a_terminal_and_cuts_content_at_its_edge_only(
    kitchen: Path,
) -> None:
    await append(kitchen, 0)
    store = await open_store(load_configuration(kitchen), "development")
    event = EventToCommit("OrderTaken", "Table 1", b'{"note":"%s"}' % (b"x" * 200))
    await store.commit(Commit("id", (event,), ExecutionContext()))
    await store.close()
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    process = subprocess.Popen(
        TAIL, cwd=kitchen, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        assert read_line(process.stderr) == b"waiting for more; Ctrl-C ends this\n"
        shown = b""
        while shown.count(b"\n") < 2:
            assert select.select([ours], [], [], WAIT_S)[0], shown
            shown += os.read(ours, 4_096)
        first, second = shown.decode().splitlines()
        assert first.startswith("0  ")
        assert first.endswith("guests=0")
        assert second.startswith("1  ")
        assert "Table 1" in second
        assert second.endswith("x…")
        assert len(second) == 80
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
