"""``python -m tests.torture``: the long runs. ``make torture COUNT=1000000 SEED=1`` starts it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.torture.faults import CODES, READS, fail_each
from tests.torture.flips import LOG_BYTES, FlippedLog
from tests.torture.processes import contend, kill_rounds
from tests.torture.running import flip_bytes, power_cut_course, processors, run_courses

PARTS = ("crashes", "faults", "flips", "kills", "contention")


def main() -> None:
    """Run what was asked for; exit with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="power cuts and kills to try")
    parser.add_argument("--seed", type=int, default=1, help="of the first course")
    parser.add_argument("--rounds", type=int, default=1_000, help="of kill -9 of four processes")
    parser.add_argument("--decisions", type=int, default=100_000, help="among eight processes")
    parser.add_argument("--processes", type=int, default=processors())
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    asked = parser.parse_args()
    now = datetime.now(UTC)  # noqa: TID251 - it is for a person
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}"
    print(f"{now:%Y-%m-%d %H:%M} UTC, {machine}, Python {platform.python_version()}")
    print(f"python -m tests.torture {' '.join(sys.argv[1:])}", flush=True)
    run: dict[str, Callable[[], None]] = {
        "crashes": lambda: _crashes(asked),
        "faults": _faults,
        "flips": lambda: _flips(asked),
        "kills": lambda: _in_folder(
            "kills",
            lambda folder: kill_rounds(folder, asked.rounds, processes=4, seed=asked.seed),
        ),
        "contention": lambda: _in_folder(
            "contention",
            lambda folder: contend(folder, asked.decisions, processes=8, sources=4),
        ),
    }
    for part in asked.only or PARTS:
        run[part]()


def _crashes(asked: argparse.Namespace) -> None:
    run_courses(
        power_cut_course,
        count=asked.count,
        seed=asked.seed,
        processes=asked.processes,
        what="crashes",
    )


def _faults() -> None:
    failed: Counter[str] = Counter()
    started = time.monotonic()
    for is_sticky in (False, True):
        for code in CODES:
            failed += fail_each(code, is_sticky=is_sticky)
        failed += fail_each(CODES[0], is_sticky=is_sticky, kinds=READS)
    _say("faults", failed, started)


def _flips(asked: argparse.Namespace) -> None:
    started = time.monotonic()
    bits = FlippedLog().flip_every_bit()
    _say("flips", Counter({"bits flipped within their line": bits}), started)
    run_courses(
        flip_bytes, count=LOG_BYTES, seed=0, processes=asked.processes, what="bytes of a log"
    )


def _in_folder(part: str, run: Callable[[Path], Counter[str]]) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        _say(part, run(Path(folder)), started)


def _say(part: str, tried: Counter[str], started: float) -> None:
    print(f"{part} in {time.monotonic() - started:,.1f} s: all passed")
    for name, number in tried.most_common():
        print(f"  {number:>12,}  {name}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
