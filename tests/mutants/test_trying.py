"""A change is noticed, or not, by the tests that reach its function; an endless one is, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
def scaled(number, factor=2):
    return number * factor


class Counter:
    @staticmethod
    def down(count):
        while count > 0:
            yield count
            count -= 1


def unreached():
    return 0
"""

TESTS = """
from counting import Counter, scaled


def test_a_number_is_scaled():
    assert scaled(3) == 6


def test_counting_ends():
    assert list(Counter.down(2)) == [2, 1]
"""

DRIVER = """
import sys
import pytest
from tests.mutants import trying
from tests.mutants.changes import Change

trying.TEST_CPU_S_MIN = 0.2
source = open("counting.py").read()
changes = [
    Change("counting", function, number, 1, old, new, source.replace(old, new))
    for number, (function, old, new) in enumerate([
        ("scaled", "factor=2", "factor=3"),
        ("scaled", "number * factor", "factor * number"),
        ("scaled", "number * factor", "number + factor"),
        ("Counter.down", "count -= 1", "count -= 0"),
        ("Counter.down", "count > 0", "count > 1"),
        ("unreached", "return 0", "return 1"),
    ])
]
tell = lambda tried: print(tried.change.name, tried.killer.rpartition("::")[2] or "-", tried.tests)
plugin = trying.Trying(changes, 1e9, tell)
without = [f"-pno:{name}" for name in ("asyncio", "cacheprovider", "terminal")]
pytest.main(["-s", *without], plugins=[plugin])
print(plugin.problem.partition("\\n")[0])
"""


def tried(folder: Path) -> list[str]:
    (folder / "counting.py").write_text(PROGRAM)
    root = Path(__file__).parents[2]
    driver = f"import sys; sys.path[:0] = [{str(root)!r}, {str(folder)!r}]\n{DRIVER}"
    done = subprocess.run(
        [sys.executable, "-c", driver], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_each_change_is_tried_on_the_tests_that_reach_it(tmp_path: Path) -> None:
    (tmp_path / "test_counting.py").write_text(TESTS)
    assert tried(tmp_path) == [
        "counting.scaled 0 test_a_number_is_scaled 1",
        "counting.scaled 1 - 1",
        "counting.scaled 2 test_a_number_is_scaled 1",
        "counting.Counter.down 3 test_counting_ends 1",
        "counting.Counter.down 4 test_counting_ends 1",
        "counting.unreached 5 - 0",
        "",
    ]


def test_nothing_is_tried_on_tests_that_fail_anyway(tmp_path: Path) -> None:
    (tmp_path / "test_counting.py").write_text(TESTS.replace("== 6", "== 7"))
    assert tried(tmp_path) == [
        "test_counting.py::test_a_number_is_scaled fails without any change:"
    ]
