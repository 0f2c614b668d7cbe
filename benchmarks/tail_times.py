"""Timing a tail: the pace of commits, the reading process, and what lies between."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Final

from benchmarks.measuring import Figures

WARM_UP: Final = 50
EVERY_S: Final = 0.005
_READER_S_MAX: Final = 30


def pace(begin: float, number: int) -> None:
    """Wait until it is the turn of a commit, by its number."""
    left = begin + number * EVERY_S - time.monotonic()
    if left > 0:
        time.sleep(left)


class Reader:
    """The other process: says ``ready``, then when it saw each event, in nanoseconds."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Reader:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the reading process did not begin")
        return self

    def seen(self) -> list[int]:
        """Return when each event was seen, in order."""
        said, _ = self._process.communicate(timeout=_READER_S_MAX)
        seen: list[int] = json.loads(said)
        return seen

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def latencies(returned: list[int], seen: list[int]) -> Figures:
    """Return percentiles of "seen" less "commit returned"; the warm-up is left out."""
    between = sorted(
        (saw - back) / 1e6 for back, saw in zip(returned[WARM_UP:], seen[WARM_UP:], strict=True)
    )
    return {
        "p50 ms": between[len(between) // 2],
        "p99 ms": between[len(between) * 99 // 100],
        "least ms": between[0],
    }
