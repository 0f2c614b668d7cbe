"""Merging two changes of one text."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.scaffold.merge import (
    BEGIN,
    END,
    Merged,
    has_markers,
    merge,
    merge_without_base,
    unified,
)

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "\n"]), max_size=8).map("".join)
CLASS = "class Dish:\n    name: str\n    chef: str\n"


@given(base=LINES, other=LINES)
def test_a_change_of_one_side_alone_is_taken_whole(base: str, other: str) -> None:
    assert merge(base, other, base) == Merged(other, 0)
    assert merge(base, base, other) == Merged(other, 0)
    assert merge(base, other, other) == Merged(other, 0)


@given(base=LINES, yours=LINES, generated=LINES)
def test_no_line_of_the_owner_is_lost(base: str, yours: str, generated: str) -> None:
    merged = merge(base, yours, generated)
    assert has_markers(merged.text) is bool(merged.conflicts)
    for line in set(yours.splitlines()) - set(base.splitlines()):
        assert merged.text.splitlines().count(line) >= yours.splitlines().count(line)


@pytest.mark.skipif(shutil.which("git") is None, reason="nothing to compare with")
@pytest.mark.parametrize(
    ("yours", "generated"),
    [
        ("0\n1\n2\n3\n4\n5\n", "1\n2\n3\n4\n5\n6\n"),
        ("1\n3\n4\n5\n", "1\n2\n3\n4\nfive\n"),
        ("1\ntwo\n3\n4\n5\n", "1\nTWO\n3\n4\n5\n"),
        ("1\n2\n3\n4\n5", "one\n2\n3\n4\n5\n"),
    ],
)
def test_it_agrees_with_git(tmp_path: Path, yours: str, generated: str) -> None:
    texts = {"yours": yours, "base": "1\n2\n3\n4\n5\n", "generated": generated}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    words = ["git", "merge-file", "-p", "-L", "yours", "-L", "base", "-L", "generated", *texts]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    merged = merge(texts["base"], yours, generated)
    assert (merged.text, merged.conflicts) == (done.stdout, done.returncode)


def test_changes_of_one_line_are_a_conflict() -> None:
    merged = merge("a\nb\nc\n", "a\nmine\nc\n", "a\nyours\nc\n")
    assert merged == Merged(f"a\n{BEGIN}\nmine\n=======\nyours\n{END}\nc\n", 1)


def test_a_last_line_without_an_end_does_not_swallow_a_marker() -> None:
    assert merge("a", "b", "c").text == f"{BEGIN}\nb\n=======\nc\n{END}\n"


def test_a_field_goes_before_the_method_that_its_owner_added_in_the_same_place() -> None:
    method = "\n    def cook(self) -> None:\n        pass\n"
    merged = merge(CLASS, CLASS + method, CLASS + "    price: int\n", is_python=True)
    assert merged == Merged(CLASS + "    price: int\n" + method, 0)


def test_a_field_is_added_beside_a_line_that_its_owner_changed() -> None:
    yours = CLASS.replace("chef: str", 'chef: str = "Ann"')
    merged = merge(CLASS, yours, CLASS + "    price: int = 0\n", is_python=True)
    assert merged == Merged(yours + "    price: int = 0\n", 0)


@pytest.mark.parametrize(
    ("yours", "generated"),
    [
        (CLASS + "    price: int\n", CLASS + "    price: str\n"),  # one field twice
        ("def f() -> int:\n    return 1\n" + CLASS, "def f() -> str:\n    return 2\n" + CLASS),
        (CLASS + "    x: int = (\n    1)\n", CLASS + "    y = )\n"),  # no Python
    ],
)
def test_what_would_be_no_sound_module_is_a_conflict(yours: str, generated: str) -> None:
    assert merge(CLASS, yours, generated, is_python=True).conflicts == 1


def test_one_keyword_argument_twice_is_a_conflict() -> None:
    base = "f(\n    a=1,\n)\n"
    yours, generated = "f(\n    a=1,\n    b=2,\n)\n", "f(\n    a=1,\n    b=3,\n)\n"
    assert merge(base, yours, generated, is_python=True).conflicts == 1


def test_other_texts_take_neighbouring_changes_for_a_conflict() -> None:
    assert merge("a\nb\n", "A\nb\n", "a\nB\n").conflicts == 1
    assert merge("a\n", "a\nmine\n", "a\ngenerated\n").conflicts == 1


def test_without_a_base_what_only_one_has_is_taken() -> None:
    assert merge_without_base("a\nmine\nb\n", "a\nb\ngenerated\n") == Merged(
        "a\nmine\nb\ngenerated\n", 0
    )
    assert merge_without_base("a\nmine\nb\n", "a\ngenerated\nb\n").conflicts == 1


def test_a_difference_says_where_a_last_line_has_no_end() -> None:
    assert unified("a.txt", "x\n", "x")[-3:] == ["-x", "+x", "\\ No newline at end of file"]
    assert unified("a.txt", "", "x\n")[:2] == ["--- /dev/null", "+++ b/a.txt"]


TESTS = """\
def test_pay() -> None:
    done = given(Bill).when(Bill.pay, new=1)

    done.then(BillPaid(new=1))
"""


def test_what_is_new_in_a_function_does_not_go_into_one_that_looks_like_it() -> None:
    other = TESTS.replace("pay", "send").replace("BillPaid", "BillSent")
    generated = TESTS.replace("new=1", "new=1, more=2")
    merged = merge(TESTS, f"{other}\n\n{TESTS}", generated, is_python=True)
    assert merged == Merged(f"{other}\n\n{generated}", 0)
    assert merge(TESTS, other, generated, is_python=True).conflicts == 1
    assert merge(TESTS, f"{other}\n\n# more\n", generated, is_python=True).conflicts == 1


def test_a_line_of_the_owner_stays_in_a_method_that_is_generated_under_another_name() -> None:
    yours = TESTS.replace("    done.then", "    print(done)\n    done.then")
    generated = TESTS.replace("test_pay", "test_pay_now")
    merged = merge(TESTS, yours, generated, is_python=True)
    assert merged == Merged(yours.replace("test_pay", "test_pay_now"), 0)
