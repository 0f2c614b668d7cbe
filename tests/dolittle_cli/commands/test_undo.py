"""``dolittle undo``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]
HANDLER = ["add", "handler", "Clerk", "--on", "DishPrepared"]
EVENT = "shop/events/dish_prepared.py"
TEST = "tests/events/test_dish_prepared.py"


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A new microservice, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    capsys.readouterr()
    return tmp_path / "shop"


def test_each_undo_walks_back_one_command_until_the_project_is_as_it_was_made(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = [everything_in(shop)]
    for words in (DISH, HANDLER, [*DISH, "price:int=0"], ["remove", "handler", "Clerk"]):
        assert main(words) == 0
        states.append(everything_in(shop))
    for state in reversed(states[:-1]):
        assert main(["undo"]) == 0
        assert everything_in(shop) == state
    capsys.readouterr()
    assert main(["undo"]) == 2
    assert "that would take back the project itself" in capsys.readouterr().err
    assert everything_in(shop) == states[0]


def test_it_says_what_it_takes_back_and_shows_the_files(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    capsys.readouterr()
    assert main(["undo"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"delete     {EVENT}", f"delete     {TEST}"]
    assert err.splitlines() == ["taking back 2: dolittle add event DishPrepared dish:str chef:str"]


def test_what_the_owner_changed_stays_and_is_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    change(shop / EVENT, "chef: str", "chef: str  # who")
    mine = (shop / EVENT).read_text()
    capsys.readouterr()
    assert main(["undo"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"delete     {TEST}"]
    assert f"{EVENT} stays: it was changed since it was generated" in err
    assert (shop / EVENT).read_text() == mine


def test_a_merged_field_goes_and_what_the_owner_wrote_stays(shop: Path) -> None:
    assert main(DISH) == 0
    change(shop / EVENT, "    dish: str", '    """A dish."""\n\n    dish: str')
    before = (shop / EVENT).read_text()
    assert main([*DISH, "price:int=0"]) == 0
    change(shop / EVENT, '"""A dish."""', '"""A dish, served."""')
    assert main(["undo"]) == 0
    assert (shop / EVENT).read_text() == before.replace("A dish.", "A dish, served.")


def test_a_change_that_cannot_be_taken_out_stays_and_is_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    assert main([*DISH, "price:int=0"]) == 0
    change(shop / EVENT, "price: int = 0", "price: int = 7")
    assert main(["undo"]) == 0
    assert f"{EVENT} stays: it was changed since, in the same place" in capsys.readouterr().err
    assert "price: int = 7" in (shop / EVENT).read_text()


def test_folders_with_other_things_stay(shop: Path) -> None:
    (shop / "shop/events/__init__.py").unlink()
    (shop / "shop/events").rmdir()
    assert main(DISH) == 0
    assert main(["add", "event", "ShopClosed"]) == 0
    assert main(["undo", "2"]) == 0
    assert (shop / "shop/events/__init__.py").is_file()
    assert (shop / "shop/events/shop_closed.py").is_file()
    assert main(["undo"]) == 0
    assert not (shop / "shop/events/shop_closed.py").exists()


def test_a_command_of_a_number_is_taken_back_and_the_others_stay(shop: Path) -> None:
    assert main(DISH) == 0
    assert main(["add", "event", "ShopClosed"]) == 0
    assert main(["undo", "2"]) == 0
    assert not (shop / EVENT).exists()
    assert (shop / "shop/events/shop_closed.py").is_file()


@pytest.mark.parametrize(
    ("later", "named"),
    [
        (["add", "projection", "Dishes", "--on", "DishPrepared"], "tests/projections/"),
        (["add", "command", "Kitchen", "cook", "--event", "DishPrepared"], "shop/aggregates/"),
    ],
)
def test_a_generation_is_built_upon_by_what_was_made_of_its_fields(
    shop: Path, capsys: pytest.CaptureFixture[str], later: list[str], named: str
) -> None:
    assert main(["add", "aggregate", "Kitchen"]) == 0
    assert main(DISH) == 0
    assert main(["add", "generation", "DishPrepared", "price:int=0"]) == 0
    assert main(later) == 0
    before = everything_in(shop)
    capsys.readouterr()
    assert main(["undo", "4"]) == 1
    assert f"is built upon by: {named}" in capsys.readouterr().err
    assert everything_in(shop) == before
    assert main(["undo"]) == 0
    assert main(["undo"]) == 0


def test_what_is_built_upon_is_refused_with_what_depends_on_it(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    assert main(HANDLER) == 0
    (shop / "serve.py").write_text("import json\nfrom shop.events import dish_prepared\n")
    before = everything_in(shop)
    capsys.readouterr()
    assert main(["undo", "2"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    error, hint = err.splitlines()[-2:]
    assert "is built upon by: serve.py:2, shop/handlers/clerk.py:7, tests/handlers/" in error
    assert hint == "hint: take those back first, or say --force"
    assert everything_in(shop) == before
    assert main(["undo", "2", "--force"]) == 0
    assert not (shop / EVENT).exists()


def test_a_command_whose_files_a_later_one_changed_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    assert main([*DISH, "price:int=0"]) == 0
    assert main(["undo", "2"]) == 1
    assert "is built upon by: 3 (dolittle add event DishPrepared" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["7"], "there is no command 7"), (["last"], "there is no command last")],
)
def test_a_command_that_does_not_exist_is_refused(
    shop: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["undo", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "dolittle undo --list" in err


def test_a_number_of_two_branches_asks_for_the_name(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    assert main(["add", "event", "ShopClosed"]) == 0
    folder = shop / ".dolittle-manifest"
    (folder / "0003-add-event-ShopClosed.json").rename(folder / "0002-add-event-ShopClosed.json")
    assert main(["undo", "2"]) == 2
    assert "0002-add-event-DishPrepared, 0002-add-event-ShopClosed" in capsys.readouterr().err
    assert main(["undo", "0002-add-event-DishPrepared"]) == 0
    assert not (shop / EVENT).exists()


def test_where_nothing_is_remembered_there_is_nothing_to_take_back(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / ".dolittle-manifest/0001-new-microservice-shop.json").unlink()
    assert main(["undo"]) == 2
    assert "there is nothing to take back" in capsys.readouterr().err
    assert main(["undo", "--list"]) == 0
    assert "no command is remembered here" in capsys.readouterr().err


def test_the_commands_are_listed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(DISH) == 0
    capsys.readouterr()
    assert main(["undo", "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "1       14     dolittle new microservice shop",
        "2       2      dolittle add event DishPrepared dish:str chef:str",
    ]
    assert main(["undo", "--list", "--json"]) == 0
    commands = json.loads(capsys.readouterr().out)["commands"]
    assert commands[1]["name"] == "0002-add-event-DishPrepared"
    assert commands[1]["files"] == [EVENT, TEST]


def test_a_dry_run_shows_what_would_be_taken_back_and_changes_nothing(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    before = everything_in(shop)
    capsys.readouterr()
    assert main(["undo", "--dry-run", "--diff"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"delete     {EVENT}\n")
    assert "-class DishPrepared:\n" in out
    assert main(["undo", "--dry-run", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["written"], value["number"]) == (False, 2)
    assert [item["action"] for item in value["files"]] == ["delete", "delete"]
    assert everything_in(shop) == before


def test_the_whole_project_goes_by_force_and_the_owners_files_stay(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "notes.txt").write_text("mine\n")
    change(shop / "README.md", "# shop", "# My shop")
    assert main(["undo", "--force"]) == 0
    assert set(everything_in(shop)) == {"notes.txt", "README.md"}


def test_an_added_thing_with_a_conflict_is_taken_back_whole(shop: Path) -> None:
    assert main(DISH) == 0
    change(shop / EVENT, "chef: str", "chef: int")
    before = everything_in(shop)
    words = ["add", "event", "DishPrepared", "dish:str", "chef:UUID", "--on-conflict", "merge"]
    assert main(words) == 3
    assert main(["undo"]) == 0
    assert everything_in(shop) == before


RENAMED = "shop/events/dish_cooked.py"


def test_a_renaming_is_undone_with_what_its_owner_has_changed_since(shop: Path) -> None:
    assert main(DISH) == 0
    assert main(["rename", "event", "DishPrepared", "DishCooked"]) == 0
    change(shop / RENAMED, "chef: str", "chef: str\n    price: int = 0")
    assert main(["undo"]) == 0
    assert not (shop / RENAMED).exists()
    text = (shop / EVENT).read_text()
    assert "price: int = 0" in text
    assert "class DishPrepared:" in text
    assert "@event_type\n" in text


def test_a_renaming_whose_lines_were_changed_is_not_undone_by_halves(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(DISH) == 0
    assert main(["rename", "event", "DishPrepared", "DishCooked"]) == 0
    change(shop / RENAMED, "class DishCooked:", "class DishCooked:  # or prepared")
    before = everything_in(shop)
    capsys.readouterr()
    assert main(["undo"]) == 2
    told = capsys.readouterr().err
    assert f"{RENAMED} was changed since, in the lines that the renaming changed" in told
    assert "dolittle rename event DishCooked DishPrepared" in told
    assert everything_in(shop) == before
