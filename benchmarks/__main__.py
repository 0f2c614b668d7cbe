"""``python -m benchmarks``: prepares, measures round by round, prints and writes the tables."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.environment import code, load, machine, peers_python
from benchmarks.measuring import (
    QUICK,
    Contestant,
    ContestantFailed,
    Row,
    Scale,
    Work,
    run_contestant,
)
from benchmarks.report import Report

BUILD: Final = Path(__file__).parent.parent / "build"
MODULES: Final = (
    "commits",
    "writers",
    "reading",
    "loading",
    "replaying",
    "tailing",
    "opening",
    "memory",
    "disk",
)
README: Final = Path(__file__).parent / "README.md"
LAST_RUN: Final = "## The last full run\n"
"""The heading in the README that is followed by the tables, up to the next heading."""

SECONDS_MAX: Final = 600


def rows() -> tuple[Row, ...]:
    """Return every row, in the order of the table."""
    return tuple(
        row for name in MODULES for row in importlib.import_module(f"benchmarks.{name}").ROWS
    )


def preparations(scale: Scale) -> dict[str, Contestant]:
    """Return how each thing that rows need is prepared, by its name."""
    logs = {"batches": (scale.batches, 100), "scattered": (scale.scattered, 1)}
    own = {**logs, "small": (1_000, 100), "large": (scale.large, 100)}

    def made(module: str, log: str, *, is_peer: bool) -> Contestant:
        events, per_commit = own[log]
        options = {"name": log, "events": events, "per_commit": per_commit}
        return Contestant(f"prepare {log}", f"{module}:prepare", options, is_peer)

    prepared = {log: made("stores", log, is_peer=False) for log in own}
    for log in logs:
        prepared[f"sqlite {log}"] = made("peers.sqlite", log, is_peer=False)
        prepared[f"eventsourcing {log}"] = made("peers.eventsourcing", log, is_peer=True)
        prepared[f"umadb {log}"] = made("peers.umadb", log, is_peer=True)
    return prepared


class Run:
    """One run over some rows."""

    def __init__(self, chosen: tuple[Row, ...], scale: Scale, seconds_max: float) -> None:
        self._rows = chosen
        self._scale = scale
        self._begin = time.monotonic()
        self._end = self._begin + seconds_max
        BUILD.mkdir(exist_ok=True)
        self._data = Path(tempfile.mkdtemp(prefix="bench-data-", dir=BUILD))
        self._peers, self._why_no_peers = peers_python(BUILD)
        self.report = Report(
            command=" ".join(["python -m benchmarks", *sys.argv[1:]]),
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",  # noqa: TID251 - a program's edge
            machine=machine(BUILD),
            code=code(BUILD.parent),
            rounds=0,
            rows=chosen,
        )
        if self._why_no_peers:
            self.report.failures["peers that must be installed"] = self._why_no_peers

    def run(self) -> Report:
        """Prepare, then measure round by round until done, out of time or interrupted."""
        try:
            self._prepare()
            self.report.loads.append(load())
            for number in range(self._scale.rounds):
                if not self._round(number):
                    break
                self.report.rounds += 1
                self.report.loads.append(load())
        except KeyboardInterrupt:
            self._say("interrupted")
        finally:
            shutil.rmtree(self._data, ignore_errors=True)
        self.report.taken_s = time.monotonic() - self._begin
        return self.report

    def _prepare(self) -> None:
        known = preparations(self._scale)
        for name in dict.fromkeys(need for row in self._rows for need in row.needs):
            if known[name].is_peer and self._why_no_peers:
                continue
            self._say(f"preparing {name}")
            try:
                figures = self._run(known[name])
            except ContestantFailed as error:
                self.report.failures[name] = str(error)
            else:
                (self._data / f"{name}.json").write_text(json.dumps(figures))

    def _round(self, number: int) -> bool:
        """Run every contestant once; return whether there was time for all."""
        for row, contestant in self._turns(number):
            if time.monotonic() > self._end:
                self._say("out of time")
                return False
            self._say(f"round {number + 1} of {self._scale.rounds}: {row.id}: {contestant.name}")
            try:
                figures = self._run(contestant)
            except ContestantFailed as error:
                self.report.failures[f"{row.id}: {contestant.name}, round {number + 1}"] = str(
                    error
                )
            else:
                self.report.add(row, contestant.name, number, figures)
        return True

    def _turns(self, number: int) -> Iterator[tuple[Row, Contestant]]:
        """Yield who runs in a round; who went first in one goes last in the next."""
        for row in self._rows:
            shift = number % len(row.contestants)
            for contestant in row.contestants[shift:] + row.contestants[:shift]:
                is_missing = contestant.is_peer and self._why_no_peers
                if not is_missing and not (contestant.is_once and number):
                    yield row, contestant

    def _run(self, contestant: Contestant) -> dict[str, float]:
        folder = self._data / "own"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        python = self._peers if contestant.is_peer else sys.executable
        return run_contestant(contestant, Work(folder, self._data, self._scale), python)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begin:5.0f} s  {text}", file=sys.stderr, flush=True)


def with_last_run(readme: str, tables: str) -> str:
    """Return the README with other tables."""
    before, _, after = readme.partition(LAST_RUN)
    _, following, rest = after.partition("\n## ")
    return f"{before}{LAST_RUN}\n{tables}{following}{rest}"


def main() -> int:
    """Run what the arguments say; return the exit code."""
    every = rows()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, little of everything")
    parser.add_argument(
        "--only",
        action="append",
        choices=[row.id for row in every],
        metavar="ROW",
        help=f"measure this row; may be repeated: {', '.join(row.id for row in every)}",
    )
    parser.add_argument("--rounds", type=int, help="how many interleaved rounds (default: 5)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS_MAX,
        help=f"begin nothing after so many seconds (default: {SECONDS_MAX})",
    )
    parser.add_argument(
        "--output", type=Path, default=BUILD / "bench.json", help="the file for all figures"
    )
    parser.add_argument(
        "--update-readme", action="store_true", help="put the tables into benchmarks/README.md"
    )
    asked = parser.parse_args()
    scale = QUICK if asked.quick else Scale()
    if asked.rounds is not None:
        if asked.rounds < 1:
            parser.error("--rounds: at least 1")
        scale = Scale(**{**vars(scale), "rounds": asked.rounds})
    chosen = tuple(row for row in every if not asked.only or row.id in asked.only)
    report = Run(chosen, scale, asked.seconds).run()
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(report.json())
    asked.output.with_suffix(".md").write_text(report.markdown())
    if asked.update_readme:
        README.write_text(with_last_run(README.read_text(), report.markdown()))
    print(report.markdown())
    print(f"written to {asked.output} and {asked.output.with_suffix('.md')}", file=sys.stderr)
    return 1 if report.rounds == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
