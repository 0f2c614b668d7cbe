"""``python -m benchmarks.streams``: commands on events over a large log, as a person types them.

Each command is a process of its own, so its time has the start of Python in it; its memory is the
most that was resident. The event of which there are 30 lies evenly in the log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.environment import load, machine
from benchmarks.order import TYPE, content
from benchmarks.stores import EVENTS
from dolittle.engines.file import FileStore
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import Commit, CommittedEvents, EventToCommit

RARE: Final = "OrderRefused"
RARE_EVENTS: Final = 30
PER_COMMIT: Final = 100
_LOOK_S: Final = 0.01
QUEUED_MAX: Final = 64
SOURCES: Final = 1_000
BUILD: Final = Path(__file__).parent.parent / "build"
PROJECT: Final = '[microservice]\nname = "orders"\npackage = "orders"\n'
COMMANDS: Final = {
    "rare type, tail": ("tail", "--no-follow", "--type", RARE),
    "rare type, tail, all of them": ("tail", "--no-follow", "--from", "start", "--type", RARE),
    "rare type in a condition": (
        *("tail", "--no-follow", "--where"),
        f'type == "{RARE}" and content.quantity > 0',
    ),
    "rare type, count": ("tail", "--count", "--type", RARE),
    "one of 1,000 sources, last ten": ("list", "-n", "10", "--source", "customer-007"),
    "last ten that meet a condition": ("list", "-n", "10", "--where", "content.quantity == 5"),
    "count of a condition, all read": ("tail", "--count", "--where", "content.quantity == 5"),
    "text, nowhere in the log": ("search", "nowhere to be found"),
    "rates by type": ("stats",),
    "export to a file": ("export", "--overwrite", "--to-file", "export.jsonl"),
}


class Figures(NamedTuple):
    """What a command took."""

    seconds: float
    processor_s: float
    most_mib: float
    lines: int


def measure(project: Path, words: tuple[str, ...]) -> Figures:
    """Run one command; its output is counted."""
    command = [sys.executable, "-m", "dolittle_cli", "events", *words]
    begin = time.perf_counter()
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        peaks: list[float] = []
        looking = threading.Thread(target=_look_at_memory, args=(process.pid, peaks))
        looking.start()
        lines = sum(1 for _ in process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        looking.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    seconds, processor_s = time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
    return Figures(seconds, processor_s, max(peaks), lines)


def _look_at_memory(pid: int, peaks: list[float]) -> None:
    """Note the most memory that a process has had resident, in MiB, until it has ended.

    What its parent is told at the end includes the parent's own memory from before ``exec``.
    """
    status = Path(f"/proc/{pid}/status")
    while True:
        try:
            found = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        except OSError:
            return
        if not found:
            return
        peaks.append(int(found[0].split()[1]) / 1024)
        time.sleep(_LOOK_S)


async def fill(folder: Path, events: int) -> None:
    """Make a log with ``RARE_EVENTS`` of another type, evenly; durability is not measured."""
    store = await FileStore.open(folder, durability="os")
    waiting: deque[Future[CommittedEvents]] = deque()
    every = max(events // RARE_EVENTS, 1)
    for first in range(0, events, PER_COMMIT):
        made = tuple(
            EventToCommit(
                RARE if number % every == every // 2 else TYPE,
                f"customer-{number % SOURCES:03}",
                content(number),
            )
            for number in range(first, min(first + PER_COMMIT, events))
        )
        waiting.append(store.submit(Commit(new_id(), made, ExecutionContext())))
        if len(waiting) > QUEUED_MAX:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    await store.close()


def main() -> None:
    """Prepare, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    project = Path(tempfile.mkdtemp(prefix="bench-streams-", dir=BUILD))
    try:
        (project / "dolittle.toml").write_text(PROJECT)
        (project / "orders").mkdir()
        (project / EVENTS).mkdir(parents=True)
        asyncio.run(fill(project / EVENTS, options.events))
        print(f"{options.events:,} events, {machine(BUILD)}, load {load()}\n")
        print("| command | seconds | of the processor, s | most memory, MiB | lines |")
        print("| --- | --- | --- | --- | --- |")
        for name, words in COMMANDS.items():
            rounds = [measure(project, words) for _ in range(options.rounds)]
            best = min(rounds)
            memory = max(figures.most_mib for figures in rounds)
            times = f"{best.seconds:.2f} | {best.processor_s:.2f}"
            print(f"| {name} | {times} | {memory:.0f} | {best.lines:,} |", flush=True)
    finally:
        shutil.rmtree(project, ignore_errors=True)


if __name__ == "__main__":
    main()
