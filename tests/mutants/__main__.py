"""Changes the file engine a little, in one place at a time: do the tests notice?"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.mutants.changes import changes_of
from tests.mutants.trying import Tried, Trying

ENGINE = "dolittle.engines.file"
MODULES = (
    "recovery",
    "line",
    "segments",
    "log",
    "synced",
    "settling",
    "unsettled",
    "index",
    "keys",
    "blocks",
    "chain",
)

TESTS = (
    "tests/dolittle/engines/file/test_line.py",
    "tests/dolittle/engines/file/test_recovery.py",
    "tests/dolittle/engines/file/test_segments.py",
    "tests/dolittle/engines/file/test_synced.py",
    "tests/dolittle/engines/file/test_chain.py",
    "tests/dolittle/engines/file/test_blocks.py",
    "tests/dolittle/engines/file/test_log.py",
    "tests/dolittle/engines/file/test_log_recovery.py",
    "tests/dolittle/engines/file/test_settling.py",
    "tests/dolittle/engines/file/test_index_answers.py",
    "tests/dolittle/engines/file/test_index.py",
    "tests/dolittle/engines/file/test_unbuilt.py",
    "tests/dolittle/engines/file/test_store.py",
    "tests/dolittle/engines/file/test_verify.py",
    "tests/dolittle/engines/file/test_faults.py",
    "tests/torture/test_failed_sync.py",
    "tests/torture/test_overlapping.py",
    "tests/torture/test_two_faults.py",
    "tests/torture/test_courses.py",
)
LEFT_OUT = (
    # It looks from another process, which does not have the change.
    "tests/dolittle/engines/file/test_store.py::test_a_user_who_may_only_read_reads",
    # It takes as long as all others together, and those of single modules are as sharp.
    "tests/torture/test_courses.py::test_every_byte_of_a_short_log_may_be_flipped_or_be_its_last",
)


class Report:
    """Says what happens while it happens, and the table at the end."""

    def __init__(self, totals: dict[str, int], *, is_verbose: bool) -> None:
        self._totals = totals
        self._is_verbose = is_verbose
        self._tried: list[Tried] = []

    def tell(self, tried: Tried) -> None:
        """Say what became of a change."""
        self._tried.append(tried)
        change = tried.change
        if not tried.killer:
            reason = "" if tried.tests else " (no test reaches it)"
            print(f"\n{change.name} survived{reason}: {change.module}, line {change.line}")
            for sign, text in (("-", change.old), ("+", change.new)):
                print("\n".join(f"  {sign} {line}" for line in text.splitlines()))
        elif self._is_verbose:
            print(f"{change.name}: {tried.killer}, {tried.tests} tests, {tried.seconds:.2f} s")
        if sys.stderr.isatty():
            count, total = len(self._tried), sum(self._totals.values())
            print(f"\r{count} of {total} ", end="", file=sys.stderr, flush=True)

    def table(self) -> str:
        """Return the table, one row for each module."""
        rows = ["| module | mutants | tried | killed | share | seconds |", "| --- " * 6 + "|"]
        for module, total in self._totals.items():
            tried = [each for each in self._tried if each.change.module == f"{ENGINE}.{module}"]
            killed = sum(bool(each.killer) for each in tried)
            share = f"{100 * killed / len(tried):.1f} %" if tried else ""
            seconds = sum(each.seconds for each in tried)
            rows.append(
                f"| `{module}` | {total} | {len(tried)} | {killed} | {share} | {seconds:.0f} |"
            )
        return "\n".join(rows)


def main() -> int:
    """Try the changes of some modules; return 0 unless nothing could be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(MODULES)}; default: all")
    parser.add_argument(
        "--limit-s", type=float, default=float("inf"), help="begin none after so many seconds"
    )
    parser.add_argument("--only", default="", help="what the names of changes must begin with")
    parser.add_argument("--slow", action="store_true", help="run slow tests as well")
    parser.add_argument("--seed", type=int, default=1, help="the order, if there is a limit")
    parser.add_argument("--verbose", action="store_true", help="name the test that noticed each")
    options = parser.parse_args()
    modules = options.modules or MODULES
    if unknown := set(modules) - set(MODULES):
        known = ", ".join(MODULES)
        parser.error(f"no such module: {', '.join(sorted(unknown))}; there are {known}")
    changes = [
        change
        for module in modules
        for change in changes_of(f"{ENGINE}.{module}")
        if change.name.startswith(options.only)
    ]
    if not changes:
        parser.error(f"no change has a name that begins with {options.only!r}")
    totals = {
        module: sum(change.module == f"{ENGINE}.{module}" for change in changes)
        for module in modules
    }
    # So that what was tried within a limit stands for the rest.
    random.Random(options.seed).shuffle(changes)
    report = Report(totals, is_verbose=options.verbose)
    trying = Trying(changes, options.limit_s, report.tell)
    started = time.monotonic()
    # A folder in memory where there is one: what is tried is no question of the disk.
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="mutants-", dir=memory if memory.is_dir() else None))
    # Whoever ends it finds nothing left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(place / "hypothesis")
    arguments = ["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:xdist", "-s"]
    arguments += ["--basetemp", str(place / "tests"), *TESTS]
    arguments += [f"--deselect={test}" for test in LEFT_OUT]
    if not options.slow:
        arguments += ["-m", "not slow"]
    try:
        pytest.main(arguments, plugins=[trying])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if trying.problem:
        print(trying.problem, file=sys.stderr)
        return 1
    print(f"\n{report.table()}\n\n{time.monotonic() - started:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
