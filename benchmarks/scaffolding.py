"""``python -m benchmarks.scaffolding``: what the command line costs, as ratios in one run.

Each pair runs in turns, so that a busy machine slows both; what is compared is the fastest
of each, since other programs only add to it. Compiled modules are kept, as everywhere: where the
environment forbids that, each start would compile anew, and nothing else would be measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dolittle_cli.scaffold.render import templates_folder

ROUNDS: Final = 11
COMMAND_S_MAX: Final = 60

_ENVIRONMENT: Final = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
"""Of the commands that are measured."""

PLAIN_TYPER: Final = '''\
import typer

app = typer.Typer()


@app.command()
def greet(name: str) -> None:
    """Greet somebody."""
    print(f"Hello {name}")


@app.command()
def part(name: str) -> None:
    """Part from somebody."""
    print(f"Goodbye {name}")


app()
'''


@dataclass(frozen=True)
class Pair:
    """Two commands, and what the first may cost of the second.

    Attributes:
        own: Returns the command for a round.
        other: The same for what it is held against.
        ratio_max: Of the fastest.
    """

    name: str
    own: Callable[[int], Sequence[str]]
    against: str
    other: Callable[[int], Sequence[str]]
    ratio_max: float


def pairs(folder: Path) -> list[Pair]:
    """Return the pairs; they write below a folder."""
    dolittle = [sys.executable, "-m", "dolittle_cli"]
    project = folder / "shop"
    subprocess.run(
        [*dolittle, "new", "microservice", "shop", "--into", str(folder)],
        check=True,
        capture_output=True,
        timeout=COMMAND_S_MAX,
        env=_ENVIRONMENT,
    )
    script = folder / "plain.py"
    script.write_text(PLAIN_TYPER)
    answers = ["-d", "name=other", "-d", "package=other", "-d", "dolittle_version=0.1.0"]
    copier = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", *answers]
    return [
        Pair(
            "new microservice",
            lambda n: [*dolittle, "new", "microservice", f"own-{n}", "--into", str(folder)],
            "copier copy of the same files",
            lambda n: [*copier, str(templates_folder() / "microservice"), str(folder / f"c{n}")],
            1.3,
        ),
        Pair(
            "add event",
            lambda n: [
                *dolittle,
                "add",
                "event",
                f"Dish{n}Made",
                "a:str",
                "--project",
                str(project),
            ],
            "dolittle --version",
            lambda _: [*dolittle, "--version"],
            3.0,
        ),
        Pair(
            "--help",
            lambda _: [*dolittle, "--help"],
            "--help of two commands in plain typer",
            lambda _: [sys.executable, str(script), "--help"],
            2 / 3,
        ),
    ]


def measured(pair: Pair, rounds: int) -> tuple[float, float]:
    """Return the fastest of both, in seconds; one round before them is not counted."""
    own: list[float] = []
    other: list[float] = []
    for number in range(rounds + 1):
        for words, times in ((pair.own(number), own), (pair.other(number), other)):
            begin = time.perf_counter()
            subprocess.run(
                words, check=True, capture_output=True, timeout=COMMAND_S_MAX, env=_ENVIRONMENT
            )
            times.append(time.perf_counter() - begin)
    return min(own[1:]), min(other[1:])


def main() -> int:
    """Measure and print; return 1 if something costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    is_missed = False
    with tempfile.TemporaryDirectory(prefix="dolittle-scaffolding-") as temporary:
        for pair in pairs(Path(temporary)):
            own, other = measured(pair, rounds)
            ratio = own / other
            is_missed |= ratio > pair.ratio_max
            verdict = "missed" if ratio > pair.ratio_max else "met"
            print(
                f"{pair.name:<18} {own * 1000:6.0f} ms  {ratio:5.2f} x {other * 1000:4.0f} ms "
                f"({pair.against}); at most {pair.ratio_max:.2f}: {verdict}"
            )
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
