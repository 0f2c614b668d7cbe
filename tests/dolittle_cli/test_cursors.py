from __future__ import annotations

from pathlib import Path

import pytest

from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError


def test_a_cursor_that_was_not_written_has_no_place(tmp_path: Path) -> None:
    assert Cursor(tmp_path / "seen").read("log", "here") is None


def test_a_cursor_holds_a_place_for_each_log(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "seen")
    cursor.write("one", "kitchen", "development", 3)
    cursor.write("two", "bar", "development", 5)
    cursor.write("one", "kitchen", "development", 4)
    assert (cursor.read("one", ""), cursor.read("two", "")) == (4, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["seen"]


def test_a_cursor_of_another_log_is_refused_and_names_both(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "seen")
    cursor.write("one", "kitchen", "north", 3)
    with pytest.raises(CommandLineError, match="than the one in /there: of kitchen/north"):
        cursor.read("two", "/there")


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '{"format": "dolittle cursor 9"}'])
def test_a_file_that_is_no_cursor_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seen"
    path.write_text(text)
    with pytest.raises(CommandLineError, match="is no cursor file"):
        Cursor(path).read("one", "")
    with pytest.raises(CommandLineError, match="is no cursor file"):
        Cursor(path).write("one", "kitchen", "development", 3)
    assert path.read_text() == text


def test_a_cursor_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_text('{"format": "dolittle cursor 9", "places": {}}')
    with pytest.raises(CommandLineError, match="another version"):
        Cursor(path).read("one", "")


def test_a_cursor_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="cannot be written"):
        Cursor(tmp_path / "no folder" / "seen").write("one", "kitchen", "development", 3)
