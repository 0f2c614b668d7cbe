"""``python -m tests.torture``: the long runs. ``make torture COUNT=1000000 SEED=1`` starts it."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from tests.torture.running import power_cut_course, processors, run_courses


def main() -> None:
    """Run what was asked for; exit with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="power cuts and kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=processors())
    asked = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {' '.join(sys.argv)}")  # noqa: TID251
    run_courses(
        power_cut_course,
        count=asked.count,
        seed=asked.seed,
        processes=asked.processes,
        what="crashes",
    )


if __name__ == "__main__":
    main()
