"""Plans, as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.plan import Action, FileAction, Plan, plan_files


def test_files_are_created_or_identical_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text("b = 1\n")
    plan = plan_files(tmp_path, {"c/d.py": "d = 1\n", "b.py": "b = 1\n", "a.py": ""})
    assert plan.files == (
        FileAction(Action.CREATE, "a.py", ""),
        FileAction(Action.IDENTICAL, "b.py", "b = 1\n", "b = 1\n"),
        FileAction(Action.CREATE, "c/d.py", "d = 1\n"),
    )
    assert [item.path for item in plan.changes] == ["a.py", "c/d.py"]
    assert not (tmp_path / "a.py").exists()


def test_a_plan_is_shown_a_line_a_file(tmp_path: Path) -> None:
    files = (FileAction(Action.CREATE, "a.py", "x"), FileAction(Action.IDENTICAL, "b/c.py", "y"))
    assert Plan(tmp_path, files).lines() == ["create     a.py", "identical  b/c.py"]
    assert Plan(tmp_path, files, "kitchen").lines()[1] == "identical  kitchen/b/c.py"
    assert Plan(tmp_path, files).as_json() == {
        "root": str(tmp_path),
        "files": [
            {"action": "create", "path": "a.py", "text": "x"},
            {"action": "identical", "path": "b/c.py", "text": "y"},
        ],
        "manifest": [],
        "kept": [],
    }


@pytest.mark.parametrize("found", ["other\n", "", "text\r", "text\r\n\n"])
def test_a_file_with_another_text_is_a_conflict(tmp_path: Path, found: str) -> None:
    (tmp_path / "a.py").write_bytes(found.encode())
    plan = plan_files(tmp_path, {"a.py": "text\n"})
    assert plan.files == (FileAction(Action.CONFLICT, "a.py", "text\n", found),)
    assert plan.conflicts == plan.changes == plan.files


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xff\x00")
    with pytest.raises(CommandLineError, match=r"a\.py exists, and is no text"):
        plan_files(tmp_path, {"a.py": "text\n"})


def test_a_plan_as_a_difference_tells_edits_too(tmp_path: Path) -> None:
    files = (
        FileAction(Action.CREATE, "a.py", "new\n"),
        FileAction(Action.DELETE, "b.py", before="old"),
        FileAction(Action.EDIT, "c.py", "1\n3\n", "1\n2\n"),
        FileAction(Action.IDENTICAL, "d.py", "same\n", "same\n"),
    )
    assert Plan(tmp_path, files).diff() == [
        "--- /dev/null", "+++ b/a.py", "@@ -0,0 +1 @@", "+new",
        "--- a/b.py", "+++ /dev/null", "@@ -1 +0,0 @@", "-old", "\\ No newline at end of file",
        "--- a/c.py", "+++ b/c.py", "@@ -1,2 +1,2 @@", " 1", "-2", "+3",
    ]  # fmt: skip


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").mkdir()
    with pytest.raises(CommandLineError, match=r"cannot read a\.py: is a directory"):
        plan_files(tmp_path, {"a.py": "text\n"})
    (tmp_path / "b").write_text("")
    with pytest.raises(CommandLineError, match=r"cannot read b/c\.py: not a directory"):
        plan_files(tmp_path, {"b/c.py": "text\n"})
