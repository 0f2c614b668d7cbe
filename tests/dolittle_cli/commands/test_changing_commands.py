"""What every command that changes a project refuses alike: no rights, a damaged manifest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle_cli.main import main

WITHOUT_ROOTS_RIGHTS = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'dolittle_cli', *sys.argv[1:]])"
)
"""Gives up for good what lets root write everywhere.

Source: prctl(2) and capabilities(7): PR_CAPBSET_DROP is 24, CAP_DAC_OVERRIDE is 1.
"""
COMMAND_S_MAX = 60
COMMANDS = [
    ["add", "event", "ShopClosed"],
    ["add", "event", "DishPrepared", "dish:str", "price:int"],
    ["add", "value", "Line", "sku:str"],
    ["add", "command", "Kitchen", "close"],
    ["add", "generation", "DishPrepared", "minutes:int=0"],
    ["add", "api"],
    ["add", "ci"],
    ["remove", "aggregate", "Kitchen"],
    ["rename", "event", "DishPrepared", "DishServed"],
    ["templates", "eject", "event"],
    ["undo"],
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    project = folder / "shop"
    assert main(["new", "microservice", "shop", "--into", str(folder)]) == 0
    for words in (
        ["event", "DishPrepared", "dish:str"],
        ["aggregate", "Kitchen", "--command", "prepare=DishPrepared"],
    ):
        assert main(["add", *words, "--project", str(project)]) == 0
    return project


@pytest.fixture
def shop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A microservice's folder, the current one."""
    project = tmp_path / "shop"
    shutil.copytree(template, project)
    monkeypatch.chdir(project)
    yield project
    for path in [project, *project.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_who_may_not_write_is_told_and_nothing_is_changed(shop: Path, words: list[str]) -> None:
    for path in [shop, *shop.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = everything_in(shop)
    as_anybody = [sys.executable, "-m", "dolittle_cli"]
    if os.geteuid() == 0:
        as_anybody = [sys.executable, "-c", WITHOUT_ROOTS_RIGHTS]
    done = subprocess.run(
        [*as_anybody, *words],
        cwd=shop,
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith("error: cannot write "), done.stderr
    assert error.endswith("permission denied; nothing was changed")
    assert "make the folder writable" in hint
    assert everything_in(shop) == before


@pytest.mark.parametrize("words", [*COMMANDS, ["update"], ["undo", "--list"]], ids=" ".join)
def test_a_damaged_record_is_named_and_nothing_is_changed(
    shop: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    record = shop / ".dolittle-manifest/0002-add-event-DishPrepared.json"
    record.write_text('{"format": 1,\n "command": ')
    before = everything_in(shop)
    capsys.readouterr()
    assert main(words) == 1
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert error.startswith(f"error: .dolittle-manifest/{record.name}: expecting value in line 2, ")
    assert "take the file back from version control, or delete it" in hint
    assert everything_in(shop) == before


def test_a_command_is_not_taken_back_twice(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["undo", "3"]) == 0
    capsys.readouterr()
    before = everything_in(shop)
    assert main(["undo", "3"]) == 2
    assert "there is no command 3" in capsys.readouterr().err
    assert everything_in(shop) == before
