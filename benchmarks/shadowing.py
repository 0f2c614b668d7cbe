"""``python -m benchmarks.shadowing``: a shadow replay of 1,000,000 events, its rate and memory."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.measuring import QUICK, Work
from benchmarks.memory import peak_mib
from benchmarks.replaying import PROJECTION, WAIT_S_MAX, delivering
from benchmarks.stores import prepare
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.shadows import Shadow

LOG: Final = "shadowed"
EVENTS: Final = 1_000_000
EVENTS_MAX: Final = 5_000_000
PER_COMMIT: Final = 100
KEYS: Final = 20
BUILD: Final = Path(__file__).parent.parent / "build"


async def deliver(project: Path) -> None:
    """Let the projection make the read models that readers see."""
    async with delivering(project, PROJECTION) as microservice:
        last = await microservice.store.head() - 1
        await microservice.wait_until_seen(PROJECTION, last, timeout_s=WAIT_S_MAX)


async def shadow(project: Path) -> None:
    """Make a shadow and compare it, then compare again without anything to fold; print both."""
    async with Microservice.open(project, deliver=False) as microservice:
        head = await microservice.store.head()
        made = Shadow(microservice, microservice.definition.projection(PROJECTION), "benchmark")
        before = peak_mib()
        begin = time.perf_counter()
        difference = await made.fold(KEYS)
        seconds = time.perf_counter() - begin
        begin = time.perf_counter()
        await made.fold(KEYS)
        again_s = time.perf_counter() - begin
    assert difference.position == head
    assert not difference.changes
    print(
        f"{head:,} events, {difference.same:,} read models: {seconds:.1f} s, "
        f"{head / seconds:,.0f} events a second; peak {peak_mib():.0f} MiB "
        f"({before:.0f} MiB before it began); compared again in {again_s * 1000:.0f} ms"
    )


def main() -> None:
    """Prepare a log, then deliver and shadow it, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadowing", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--only", choices=("deliver", "shadow"), help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        asyncio.run({"deliver": deliver, "shadow": shadow}[given.only](given.project))
        return
    if not 0 < given.events <= EVENTS_MAX:
        parser.error(f"--events: 1 to {EVENTS_MAX:,}")
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-shadow-", dir=BUILD) as folder:
        work = Work(folder=Path(folder), data=Path(folder), scale=QUICK)
        prepare(work, LOG, given.events, PER_COMMIT)
        for step in ("deliver", "shadow"):
            command = [sys.executable, "-m", "benchmarks.shadowing", "--only", step]
            subprocess.run(
                [*command, "--project", str(Path(folder) / LOG)], check=True, timeout=WAIT_S_MAX
            )


if __name__ == "__main__":
    main()
