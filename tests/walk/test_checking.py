"""What the checks of a walk find: a walk that finds nothing must have looked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.walk.checking import Checker
from tests.walk.steps import FaultError, make_project
from tests.walk.walking import signature

pytestmark = pytest.mark.slow

EVENT = "cafe/events/dish_prepared.py"
TEST = "tests/events/test_dish_prepared.py"


def _write(place: str, text: str) -> Callable[[Path], None]:
    def write(project: Path) -> None:
        path = project / place
        path.write_text(path.read_text() + text)

    return write


BROKEN = {
    "ruff check F821": _write(EVENT, "\n\ndef other() -> int:\n    return missing\n"),
    "ruff format": _write(EVENT, "\n\ndef other()->int:\n    return 1\n"),
    "mypy [return-value]": _write(EVENT, '\n\ndef other() -> int:\n    return "1"\n'),
    "mypy [no-untyped-def]": _write(TEST, "\n\ndef test_other(x=1):\n    assert x\n"),
    "pytest AssertionError": _write(TEST, '\n\ndef test_x() -> None:\n    assert str(1) == "2"\n'),
    "pytest": _write(
        TEST,
        "\n\ndef test_x() -> None:\n    import warnings\n\n"
        '    warnings.warn("old", DeprecationWarning, stacklevel=1)\n',
    ),
}


@pytest.mark.parametrize("found", BROKEN)
def test_what_is_broken_is_found(tmp_path: Path, checker: Checker, found: str) -> None:
    project = make_project(tmp_path, example=True)
    checker.check(project)
    BROKEN[found](project)
    with pytest.raises(FaultError) as fault:
        checker.check(project)
    assert found in (signature(fault.value), fault.value.kind)


def test_a_change_of_one_letter_within_a_second_is_found(tmp_path: Path, checker: Checker) -> None:
    project = make_project(tmp_path, example=True)
    path = project / TEST
    path.write_text(path.read_text() + "\n\ndef test_other() -> None:\n    assert len([1])\n")
    checker.check(project)
    path.write_text(path.read_text().replace("len([1])", "len(111)"))
    with pytest.raises(FaultError, match="arg-type"):
        checker.check(project)


def test_a_project_is_checked_as_it_is_now(tmp_path: Path, checker: Checker) -> None:
    project = make_project(tmp_path, example=True)
    text = (project / EVENT).read_text()
    (project / EVENT).write_text(text.replace("dish: str", "dish: int"))
    with pytest.raises(FaultError):
        checker.check(project)
    (project / EVENT).write_text(text)
    checker.check(project)
