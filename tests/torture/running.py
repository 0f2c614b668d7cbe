"""Runs courses of events over all processors, shows how far it is, and names a seed that fails."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

SHOW_EVERY_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """What became of one course.

    Attributes:
        seed: What made it.
        count: What it adds to the count that was asked for.
        tried: What it tried, counted.
        failure: How it failed, or empty.
    """

    seed: int
    count: int
    tried: Counter[str]
    failure: str = ""


def power_cut_course(seed: int) -> Outcome:
    """Go through one course of power cuts and kills."""
    from tests.torture.power_cuts import Course

    course = Course(seed)
    failure = ""
    try:
        course.run()
    except Exception:  # noqa: BLE001 - whatever it is, its seed is to be told
        failure = traceback.format_exc()
    return Outcome(seed, course.tried["cuts"] + course.tried["kills"], course.tried, failure)


def run_courses(
    course: Callable[[int], Outcome], *, count: int, seed: int, processes: int, what: str
) -> tuple[Counter[str], int]:
    """Run courses from a seed on until ``count`` is reached; return what was tried, and the count.

    Raises:
        SystemExit: One failed; its seed was said.
    """
    tried: Counter[str] = Counter()
    done, courses = 0, 0
    started = shown = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes, _ignore_interrupts) as pool:
        # In order, so that COUNT=1 tries the seed that was asked for.
        for outcome in pool.imap(course, itertools.count(seed)):
            if outcome.failure:
                pool.terminate()
                print(outcome.failure, file=sys.stderr)
                print(f"FAILED with seed {outcome.seed}; {done:,} {what} had passed")
                print(f"again: make torture COUNT=1 SEED={outcome.seed} ONLY=crashes")
                raise SystemExit(1)
            done += outcome.count
            courses += 1
            tried.update(outcome.tried)
            now = time.monotonic()
            if done >= count:
                pool.terminate()
                break
            if now - shown > SHOW_EVERY_S:
                shown = now
                rate = done / (now - started)
                left = (count - done) / rate if rate else 0.0
                print(f"{done:,} of {count:,} {what}, {rate:,.0f} a second, {left:,.0f} s left")
                sys.stdout.flush()
    took_s = time.monotonic() - started
    print(f"{done:,} {what} in {took_s:,.1f} s, {done / took_s:,.0f} a second: all passed")
    print(f"  {courses:,} courses from seed {seed}, {processes} processes")
    for name, number in tried.most_common():
        print(f"  {number:>12,}  {name}")
    sys.stdout.flush()
    return tried, done


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Each torn end is a warning of the engine; here there are a million.
    logging.disable(logging.WARNING)


def processors() -> int:
    """Return how many processes can work at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flip_bytes(seed: int) -> Outcome:
    """Flip one bit of each byte of one part of the log, and cut the log there."""
    from tests.torture.flips import FLIPS_PER_COURSE, flip_share

    begin = seed * FLIPS_PER_COURSE
    failure = ""
    tried: Counter[str] = Counter()
    try:
        tried = flip_share((begin, begin + FLIPS_PER_COURSE, 1))
    except Exception:  # noqa: BLE001 - whatever it is, its seed is to be told
        failure = traceback.format_exc()
    return Outcome(seed, FLIPS_PER_COURSE, tried, failure)
