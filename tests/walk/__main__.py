"""``python -m tests.walk``: walks through generated projects; ``make walk COUNT=10`` starts it."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.walk.checking import Checker
from tests.walk.steps import Typed
from tests.walk.walking import Walked, has_example, shortest, signature, walk

GARBAGE: Final = 50_000
"""How many new objects it takes until Python looks for garbage: a walk makes syntax trees, which
live a short time."""


def main() -> int:
    """Walk as often as was asked for; return 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many walks")
    parser.add_argument("--seed", type=int, default=1, help="of the first walk; then one more each")
    parser.add_argument("--commands", type=int, default=50, help="of each walk")
    parser.add_argument("--every", type=int, default=0, help="check after as many commands too")
    parser.add_argument("--spawn", type=int, default=100, help="in one of as many walks, each "
                        "command is a process of its own; 0: in none")  # fmt: skip
    parser.add_argument("--shorten", action="store_true", help="find the shortest way to a fault")
    parser.add_argument("--verbose", action="store_true", help="show each step of each walk")
    asked = parser.parse_args()
    # Where a project has ruff, a rename sorts imports and breaks lines with it.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    now = datetime.now(UTC)  # noqa: TID251 - it is for a person
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}"
    print(f"{now:%Y-%m-%d %H:%M} UTC, {machine}, Python {platform.python_version()}")
    print(f"python -m tests.walk {' '.join(sys.argv[1:])}", flush=True)
    codes: Counter[int] = Counter()
    faults: Counter[str] = Counter()
    started, used = time.monotonic(), _cpu_s()
    gc.set_threshold(GARBAGE)
    with Checker() as checker:
        for seed in range(asked.seed, asked.seed + asked.count):
            walked = _walk(seed, asked, checker)
            codes += walked.codes
            if walked.fault is not None:
                faults[signature(walked.fault)] += 1
                _tell(walked, checker, shorten=asked.shorten)
    took, used = time.monotonic() - started, _cpu_s() - used
    print(f"{asked.count} walks in {took:,.0f} s, {used:,.0f} s of processor time")
    print(f"{sum(codes.values()):>8,}  commands")
    for code, number in sorted(codes.items()):
        print(f"{number:>8,}  ended with {code}")
    for what, number in faults.most_common():
        print(f"{number:>8,}  walks with a fault: {what}")
    print("all passed" if not faults else "FAULTS")
    return 1 if faults else 0


def _walk(seed: int, asked: argparse.Namespace, checker: Checker) -> Walked:
    started = _cpu_s()
    spawns = bool(asked.spawn) and seed % asked.spawn == 0
    walked = walk(seed, asked.commands, checker, every=asked.every, spawns=spawns)
    how = "spawned" if spawns else ""
    what = f"FAULT {signature(walked.fault)}" if walked.fault else "passed"
    spent = _cpu_s() - started
    print(f"seed {seed:>5}  {len(walked.steps):>3} steps  {spent:5.1f} s  {what}  {how}".rstrip())
    if asked.verbose:
        print("\n".join(f"  {step}" for step in walked.steps))
    sys.stdout.flush()
    return walked


def _tell(walked: Walked, checker: Checker, *, shorten: bool) -> None:
    """Say what a walk has found, and how to come there."""
    steps = shortest(walked, checker) if shorten else walked.steps
    print(f"  walk of seed {walked.seed}{', shortened' if shorten else ''}:")
    example = " --example kitchen" if has_example(walked.seed) else ""
    print(f"    dolittle new microservice cafe{example}")
    print("\n".join(f"    {step}" for step in steps))
    typed = sum(isinstance(step, Typed) for step in steps)
    print(f"  after {typed} commands: {walked.fault}".replace("\n", "\n  "), flush=True)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
