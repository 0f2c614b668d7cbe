from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dolittle import Outcome, event_type, on, projection
from dolittle.projections import check_projection, projection_declaration_of

PROJECTION = """
from dolittle import event_type, on, projection

@event_type
class DishPrepared:
    dish: str
    chef: str = ""

class Counting:
    def add(self, count):
        return count + {step}

@projection
class DishCounter(Counting):
    '''{docstring}'''
    dish: {type} = {default}
    tags: list[str] = []

    @on(DishPrepared, key={key})
    def on_prepared(self, event: DishPrepared) -> None:
        '''{method_docstring}'''
        if event.dish in {{"taco", "burrito", "nacho", "quesadilla"}}:
            self.dish = self.add(self.dish)

from dolittle.projections import check_projection, projection_declaration_of
declaration = projection_declaration_of(DishCounter)
check_projection(declaration)
assert not declaration.problems, declaration.problems
print(declaration.fingerprint)
"""

PLAIN = {
    "step": "1",
    "docstring": "Counts.",
    "type": "int",
    "default": "0",
    "key": "'dish'",
    "method_docstring": "",
}


def fingerprint(folder: Path, seed: str = "0", **changes: str) -> str:
    """Return the fingerprint that another process computes, which hashes in its own way."""
    path = folder / "counting.py"
    path.write_text(PROJECTION.format(**{**PLAIN, **changes}))
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    return done.stdout.strip()


def test_the_fingerprint_is_the_same_in_every_process(tmp_path: Path) -> None:
    assert len({fingerprint(tmp_path, seed) for seed in ("1", "2", "3")}) == 1


def test_the_fingerprint_changes_with_what_makes_the_read_model(tmp_path: Path) -> None:
    plain = fingerprint(tmp_path)
    changes: list[dict[str, str]] = [
        {"step": "2"},
        {"type": "float"},
        {"default": "1"},
        {"key": "'chef'"},
        {"key": "lambda event, context: 'all'"},
    ]
    different = {fingerprint(tmp_path, **change) for change in changes}
    assert len(different) == len(changes)
    assert plain not in different


def test_the_docstring_of_a_projection_does_not_change_its_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path, docstring="Counts dishes.") == fingerprint(tmp_path)


@event_type
class DishPrepared:
    dish: str


@event_type
class DishRemoved:
    dish: str


class NotDecorated:
    dish: str


def problems_of(cls: Any) -> list[str]:
    declaration = projection_declaration_of(cls)
    assert declaration is not None
    check_projection(declaration)
    return [problem.message for problem in declaration.problems]


def test_every_problem_of_a_projection_is_told_at_its_line() -> None:
    @projection
    class Broken:
        strange: complex = 0j

        @on(NotDecorated)
        def one(self, event: NotDecorated) -> None: ...

        @on("DishPrepared")  # type: ignore[arg-type]
        def two(self, event: DishPrepared) -> None: ...

        @on(DishPrepared, key="chef")
        async def three(self, event: DishPrepared) -> None: ...

        @on(DishPrepared)
        def four(self) -> None: ...

        @on(DishRemoved, key=17)
        def five(self, event: DishRemoved, *, context: object) -> None: ...

    declaration = projection_declaration_of(Broken)
    assert declaration is not None
    check_projection(declaration)
    told = {problem.message for problem in declaration.problems}
    assert told == {
        "projection Broken: field 'strange': complex cannot be stored as JSON",
        "Broken.one: @on(NotDecorated) is for no event type",
        "Broken.two: @on('DishPrepared') is for no event type",
        "Broken.three: an @on method cannot be async: it only changes fields",
        "Broken.three: DishPrepared has no field 'chef' to key by",
        "Broken: two methods are marked @on(DishPrepared)",
        "Broken.four must take (self, event) or (self, event, context), it takes (self)",
        "Broken.five: key=17 is no key",
        "Broken.five must take (self, event) or (self, event, context), "
        "it takes (self, event: 'DishRemoved', *, context: 'object')",
    }
    lines = {problem.message: problem.line for problem in declaration.problems}
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "@on(NotDecorated)" in source[lines[min(told, key=lambda m: "one:" not in m)] - 1]
    assert all(problem.path == __file__ for problem in declaration.problems)


def test_a_projection_that_projects_nothing_is_a_problem() -> None:
    @projection
    class Idle:
        count: int = 0

    assert problems_of(Idle) == ["projection Idle projects nothing"]


def test_an_inherited_method_projects_for_the_projection_below() -> None:
    @projection
    class Above:
        count: int = 0

        @on(DishPrepared)
        def on_prepared(self, event: DishPrepared) -> None:
            self.count += 1

    @projection
    class Below(Above):
        extra: int = 3
        names: list[str] = []  # noqa: RUF012 - copied for each document

        @on(DishRemoved)
        def on_removed(self, event: DishRemoved) -> Outcome:
            return Outcome.DELETE

    assert problems_of(Below) == []
    declaration = projection_declaration_of(Below)
    assert declaration is not None
    assert sorted(declaration.methods) == ["DishPrepared", "DishRemoved"]
    assert (Below().extra, Below().names, Below().count) == (3, [], 0)
    assert projection_declaration_of(Above) is not declaration
