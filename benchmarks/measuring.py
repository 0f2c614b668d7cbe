"""What a measurement is made of: rows, contestants, targets, and the child that runs one."""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

CHILD_S_MAX: Final = 180
"""One contestant, one round."""

_STAT_BLOCK_BYTES: Final = 512
"""Source: stat(2)."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        rounds: Each contestant runs once a round.
        singles: Commits of one event by one writer.
        hundreds: Commits of 100 events.
        per_writer: Commits of each of several writers.
        batches: Events of the log in commits of 100 that is read.
        scattered: Events of the log in commits of 1 that is read.
        large: Events of the log that memory and opening are measured with.
        tailed: Commits that the tail is timed with.
        pass_s_min: Reading is repeated for at least so many seconds.
        idle_s: How long an idle process is watched.
    """

    rounds: int = 5
    singles: int = 1_500
    hundreds: int = 300
    per_writer: int = 1_000
    batches: int = 150_000
    scattered: int = 100_000
    large: int = 3_000_000
    tailed: int = 300
    pass_s_min: float = 0.3
    idle_s: float = 8.0


QUICK: Final = Scale(
    rounds=1,
    singles=500,
    hundreds=60,
    per_writer=200,
    batches=40_000,
    scattered=20_000,
    large=200_000,
    tailed=100,
    pass_s_min=0.1,
    idle_s=3.0,
)


@dataclass(frozen=True)
class Work:
    """What a contestant gets.

    Attributes:
        folder: Its own, empty.
        data: What was prepared for all.
    """

    folder: Path
    data: Path
    scale: Scale


@dataclass(frozen=True)
class Contestant:
    """One function, run in a process of its own.

    Attributes:
        function: ``module:function`` in this package; called with a :class:`Work`.
        options: Further arguments.
        is_peer: Whether it runs in the peers' environment.
        is_once: Whether one round is enough, because nothing about it drifts.
    """

    name: str
    function: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_peer: bool = False
    is_once: bool = False


@dataclass(frozen=True)
class Target:
    """What one contestant's figure should be, alone or beside another contestant's.

    Attributes:
        against: The other contestant; empty: the figure itself is held against the bound.
        against_figure: Of the other contestant, or of the same; empty: the same figure.
    """

    what: str
    contestant: str
    figure: str = "rate"
    against: str = ""
    against_figure: str = ""
    at_least: float | None = None
    at_most: float | None = None

    def measured(self, results: Results) -> float | None:
        """Return the median of each round's ratio (or figure), ``None`` where one is missing."""
        mine = results.get(self.contestant, {})
        if not self.against:
            values = [figures[self.figure] for figures in mine.values()]
        else:
            other, beside = self.against_figure or self.figure, results.get(self.against, {})
            values = [mine[n][self.figure] / beside[n][other] for n in mine if n in beside]
        return statistics.median(values) if values else None

    def is_met(self, value: float) -> bool:
        """Tell whether a measured value is within the bound."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


@dataclass(frozen=True)
class Row:
    """One line of the table: contestants that are run one after another, in each round.

    Attributes:
        id: For ``--only``.
        needs: What must have been prepared, by name.
        unit: Of the figure ``rate``; of others the figure's name says it.
    """

    id: str
    title: str
    contestants: tuple[Contestant, ...]
    targets: tuple[Target, ...] = ()
    needs: tuple[str, ...] = ()
    unit: str = "events/s"


Results = dict[str, dict[int, Figures]]
"""The figures of a row's contestants, by round; one that failed in a round is missing there."""


class ContestantFailed(Exception):
    """A contestant's process did not answer with figures."""


def run_contestant(contestant: Contestant, work: Work, python: str) -> Figures:
    """Run a contestant in a new process and return its figures.

    Raises:
        ContestantFailed: With what the process said last.
    """
    arguments = {
        "function": contestant.function,
        "folder": str(work.folder),
        "data": str(work.data),
        "scale": asdict(work.scale),
        "options": dict(contestant.options),
    }
    try:
        done = subprocess.run(
            [python, "-m", "benchmarks.measuring", json.dumps(arguments)],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=CHILD_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ContestantFailed(f"it took longer than {CHILD_S_MAX} s") from error
    if done.returncode:
        raise ContestantFailed((done.stderr.strip().splitlines() or ["no message"])[-1])
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action took."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def median_rate(count: int, action: Callable[[], object], s_min: float) -> float:
    """Repeat an action for a while; return ``count`` by the median of how long it took."""
    taken: list[float] = []
    while sum(taken) < s_min or len(taken) < 2:
        taken.append(seconds(action))
    return count / statistics.median(taken)


def disk_bytes(folder: Path) -> int:
    """Return what the files in a folder occupy on disk: their blocks, not their lengths."""
    return sum(path.stat().st_blocks * _STAT_BLOCK_BYTES for path in folder.rglob("*"))


def main() -> None:
    """Run one contestant; for :func:`run_contestant`."""
    arguments = json.loads(sys.argv[1])
    module, _, name = arguments["function"].partition(":")
    work = Work(Path(arguments["folder"]), Path(arguments["data"]), Scale(**arguments["scale"]))
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    print(json.dumps(function(work, **arguments["options"])))


if __name__ == "__main__":
    main()
