"""Walks through projects at random, checks them, and finds the shortest walk to a fault."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.walk.checking import Checker
from tests.walk.moves import Moves
from tests.walk.steps import Doing, FaultError, Step, Typed, make_project

REPLAYS_MAX: Final = 400
"""How often a walk is tried again with something left out, until it is short enough."""

_CODE: Final = re.compile(r"\b[A-Z]{1,4}[0-9]{3,4}\b|\[[a-z-]+\]|\b\w+Error\b")


@dataclass
class Walked:
    """What came of a walk.

    Attributes:
        seed: Which one.
        steps: What was done.
        codes: How many commands ended with which exit code.
        fault: What was found; ``None``: nothing.
    """

    seed: int
    steps: tuple[Step, ...] = ()
    codes: Counter[int] = field(default_factory=Counter)
    fault: FaultError | None = None


def has_example(seed: int) -> bool:
    """Tell whether the walk of a seed begins with the example: every other one does."""
    return seed % 2 == 0


def walk(
    seed: int, commands: int, checker: Checker, *, every: int = 0, spawns: bool = False
) -> Walked:
    """Walk once.

    Args:
        seed: Of its luck; the same one walks the same way.
        commands: How many; the edits between them come on top.
        checker: What checks the project in the end.
        every: Check it after as many commands too; 0: in the end only.
        spawns: Whether every command is a process of its own.
    """
    walked = Walked(seed)
    with _project(seed, checker) as project:
        doing = Doing(project, spawns)
        moves = Moves(project, random.Random(seed), doing.done)
        try:
            while len(doing.codes) < commands:
                step = moves.next()
                if step is None:
                    continue
                doing.perform(step)
                is_due = isinstance(step, Typed) and every and len(doing.codes) % every == 0
                if is_due or len(doing.codes) == commands:
                    checker.check(project)
        except FaultError as fault:
            walked.fault = fault
        walked.steps = tuple(doing.done)
        walked.codes = Counter(doing.codes)
    return walked


def replay(seed: int, steps: Sequence[Step], checker: Checker) -> FaultError | None:
    """Do some steps again and check the project; return the fault that this finds."""
    with _project(seed, checker) as project:
        doing = Doing(project)
        try:
            for step in steps:
                doing.perform(step)
            checker.check(project)
        except FaultError as fault:
            return fault
    return None


def shortest(walked: Walked, checker: Checker) -> tuple[Step, ...]:
    """Return as few of a walk's steps as show its fault, found by leaving out one after another."""
    assert walked.fault is not None
    wanted, steps = signature(walked.fault), list(walked.steps)
    tries = 0
    size = max(1, len(steps) // 2)
    while size and tries < REPLAYS_MAX:
        at = len(steps) - size
        while at >= 0 and tries < REPLAYS_MAX:
            fewer = steps[:at] + steps[at + size :]
            tries += 1
            fault = replay(walked.seed, fewer, checker)
            if fault is not None and signature(fault) == wanted:
                steps = fewer
            at -= size
        size //= 2
    return tuple(steps)


def signature(fault: FaultError) -> str:
    """Return what faults with one cause are likely to share: the kind, and the first code."""
    code = _CODE.search(fault.text)
    return f"{fault.kind} {code[0] if code else ''}".strip()


@contextmanager
def _project(seed: int, checker: Checker) -> Iterator[Path]:
    """Give a new microservice; it is made once, and copied for each walk."""
    example = has_example(seed)
    new = checker.folder / ("example" if example else "plain")
    if not new.exists():
        make_project(new, example=example)
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        yield Path(shutil.copytree(new / "cafe", Path(folder) / "cafe"))
