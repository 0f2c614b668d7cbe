"""Walks at random through a project: add, edit, rename, remove, undo, update; and checks it.

``make walk COUNT=10 SEED=7`` walks longer; each walk names the seed that repeats it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.walk.checking import Checker
from tests.walk.steps import Deleted, Doing, Edited, FaultError, Typed, make_project
from tests.walk.walking import Walked, replay, shortest, signature, walk

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _with_ruff(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the project has ruff, a rename sorts imports and breaks lines with it.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def _told(walked: Walked) -> str:
    return "\n".join([f"seed {walked.seed}", *map(str, walked.steps), str(walked.fault)])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_project_passes_its_own_checks_wherever_a_walk_leads(checker: Checker, seed: int) -> None:
    walked = walk(seed, 25, checker, every=5)
    assert walked.fault is None, _told(walked)
    assert sum(walked.codes.values()) == 25


def test_commands_that_are_processes_do_the_same(checker: Checker) -> None:
    called, spawned = walk(2, 4, checker), walk(2, 4, checker, spawns=True)
    assert called.fault is None, _told(called)
    assert (called.steps, called.codes) == (spawned.steps, spawned.codes)


def test_a_fault_is_found_and_the_walk_to_it_is_made_short(checker: Checker) -> None:
    steps = (
        Typed(("add", "event", "DishPaid", "note:str?")),
        Typed(("add", "handler", "Cook", "--on", "DishPaid")),
        Edited("cafe/events/dish_paid.py", "note: str | None", "note: Any | None"),
        Deleted("tests/handlers/test_cook.py"),
    )
    fault = replay(1, steps, checker)
    assert fault is not None
    assert signature(fault) == "ruff check F821"
    assert shortest(Walked(1, steps, fault=fault), checker) == (steps[0], steps[2])


@pytest.mark.parametrize(
    ("name", "then", "kind"),
    [("DishPaid", "again", "again"), ("DishPaid", "undo", "undo"), ("dish", "undo", "refused")],
)
def test_what_a_command_should_not_have_changed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, then: str, kind: str
) -> None:
    project = make_project(tmp_path, example=False)
    doing = Doing(project)
    run = doing.run

    def careless(words: tuple[str, ...], version: str) -> int:
        readme = project / "README.md"
        readme.write_text(f"{readme.read_text()}more\n")
        return run(words, version)

    monkeypatch.setattr(doing, "run", careless)
    with pytest.raises(FaultError, match="README") as fault:
        doing.perform(Typed(("add", "event", name), then=then))
    assert fault.value.kind == kind
