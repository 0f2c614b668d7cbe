"""Files whose lines end as on Windows stay so, whatever a command does to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold.journal import recover
from dolittle_cli.scaffold.line_ends import is_crlf, with_crlf, with_newlines
from dolittle_cli.scaffold.plan import Action, FileAction, Plan
from dolittle_cli.scaffold.write import write_plan

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]
EVENT = "shop/events/dish_prepared.py"
CODE = "shop/aggregates/kitchen.py"
TEST = "tests/aggregates/test_kitchen.py"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", False), ("a", False), ("a\n", False), ("a\r\n", True), ("a\r\nb", True),
     ("a\r\nb\n", False), ("a\rb\r\n", False)],
)  # fmt: skip
def test_a_text_is_crlf_if_every_line_ends_so(text: str, expected: bool) -> None:
    assert is_crlf(text) is expected
    assert with_newlines(text) == (text.replace("\r", "") if expected else text)
    if expected:
        assert with_crlf(with_newlines(text)) == text


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A microservice whose every file has lines that end as on Windows, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    folder = tmp_path / "shop"
    monkeypatch.chdir(folder)
    assert main(DISH) == 0
    assert main(["add", "aggregate", "Kitchen", "--command", "prepare=DishPrepared"]) == 0
    for path in files_of(folder):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    capsys.readouterr()
    return folder


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]


def lonely_newlines(folder: Path) -> list[str]:
    """Return the files that have a line which does not end as on Windows."""
    return [
        path.relative_to(folder).as_posix()
        for path in files_of(folder)
        if b"\n" in path.read_bytes().replace(b"\r\n", b"")
    ]


def test_the_same_command_again_changes_nothing(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DISH, "--diff"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"identical  {EVENT}",
        "identical  tests/events/test_dish_prepared.py",
    ]
    assert main(["update", "--check"]) == 0
    assert lonely_newlines(shop) == []


def test_one_more_field_is_merged_and_the_diff_shows_it_alone(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / CODE
    path.write_bytes(
        path.read_bytes().replace(b"        self.apply", b"        x = 1\r\n        self.apply")
    )
    assert main([*DISH, "price:int", "--diff"]) == 0
    out = capsys.readouterr().out
    changed = [
        line for line in out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert "+    price: int" in changed
    assert len(changed) == 13
    assert (
        b"    def prepare(self, dish: str, chef: str, price: int) -> None:\r\n        x = 1\r\n"
    ) in path.read_bytes()
    assert lonely_newlines(shop) == []
    assert main(["undo"]) == 0
    assert b"price" not in path.read_bytes()
    assert lonely_newlines(shop) == []


def test_a_command_is_added_to_the_class(shop: Path) -> None:
    assert main(["add", "event", "ShopClosed"]) == 0
    assert main(["add", "command", "Kitchen", "close", "--event", "ShopClosed"]) == 0
    assert b"    def close(self) -> None:\r\n" in (shop / CODE).read_bytes()
    assert set(lonely_newlines(shop)) == {
        "shop/events/shop_closed.py",
        "tests/events/test_shop_closed.py",
    }


def test_a_generation_is_added_to_the_event(shop: Path) -> None:
    assert main(["add", "generation", "DishPrepared", "minutes:int=0"]) == 0
    assert b"    minutes: int = 0\r\n" in (shop / EVENT).read_bytes()
    assert lonely_newlines(shop) == []


def test_a_dependency_is_added_to_the_project(shop: Path) -> None:
    assert main(["add", "api"]) == 0
    assert b"fastapi" in (shop / "pyproject.toml").read_bytes()
    assert set(lonely_newlines(shop)) == {"shop/api.py", "tests/test_api.py"}


def test_what_is_renamed_and_taken_back_keeps_its_line_ends(shop: Path) -> None:
    before = {path: path.read_bytes() for path in files_of(shop)}
    assert main(["rename", "event", "DishPrepared", "DishServed"]) == 0
    assert b"class DishServed:\r\n" in (shop / "shop/events/dish_served.py").read_bytes()
    assert lonely_newlines(shop) == []
    assert main(["undo"]) == 0
    assert {path: path.read_bytes() for path in files_of(shop)} == before


def test_what_is_removed_comes_back_with_its_line_ends(shop: Path) -> None:
    before = {path: path.read_bytes() for path in files_of(shop)}
    assert main(["remove", "aggregate", "Kitchen"]) == 0
    assert not (shop / CODE).exists()
    assert main(["undo"]) == 0
    assert {path: path.read_bytes() for path in files_of(shop)} == before


def test_a_write_that_was_killed_puts_the_line_ends_back(shop: Path) -> None:
    before = (shop / CODE).read_bytes()
    plan = Plan(shop, (FileAction(Action.EDIT, CODE, "x = 1\n", with_newlines(before.decode())),))
    script = (
        "import os, sys; from pathlib import Path\n"
        "from dolittle_cli.scaffold.plan import Action, FileAction, Plan, read_text\n"
        "from dolittle_cli.scaffold.write import RealDisk, write_plan\n"
        "class Dies(RealDisk):\n"
        "    def delete(self, path): os._exit(9)\n"
        f"root, path = Path({str(shop)!r}), {CODE!r}\n"
        "item = FileAction(Action.EDIT, path, 'x = 1\\n', read_text(root, path))\n"
        "write_plan(Plan(root, (item,)), Dies())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == 9
    assert (shop / CODE).read_bytes() == b"x = 1\r\n"
    assert recover(shop)
    assert (shop / CODE).read_bytes() == before
    write_plan(plan)
    assert (shop / CODE).read_bytes() == b"x = 1\r\n"


def test_a_file_whose_lines_end_in_several_ways_is_left_to_its_owner(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / CODE
    path.write_bytes(path.read_bytes() + b"x = 1\n")
    before = path.read_bytes()
    assert main(["add", "command", "Kitchen", "close", "--event", "DishPrepared"]) == 1
    assert "do not end with a plain newline" in capsys.readouterr().err
    assert path.read_bytes() == before
