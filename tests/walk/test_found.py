"""Walks that once led to a project that failed its own checks, each as short as it could be."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.walk.checking import Checker
from tests.walk.steps import Doing, Step, Typed, make_project

pytestmark = pytest.mark.slow

FOUND = {
    "imports that two commands add in one place are sorted": [
        "add event GuestClosed note:str?",
        "add aggregate TableRoot --command=do_it=GuestClosed",
        "add command TableRoot pay_order total:Decimal:ge=0 urgent:bool=false note:str?",
        "add generation GuestClosed new26:date?",
    ],
}


@pytest.mark.parametrize("steps", FOUND.values(), ids=FOUND)
def test_a_walk_that_once_failed_passes(
    tmp_path: Path, checker: Checker, steps: list[str | Step]
) -> None:
    doing = Doing(make_project(tmp_path, example=False))
    for step in steps:
        doing.perform(Typed(tuple(shlex.split(step))) if isinstance(step, str) else step)
    checker.check(doing.project)
