"""One more field reaches what depends on its class."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolittle_cli.main import main

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]
KITCHEN = ["add", "aggregate", "Kitchen", "ingredients:int=2", "--command",
           "prepare_dish=DishPrepared"]  # fmt: skip
CODE = "shop/aggregates/kitchen.py"
TEST = "tests/aggregates/test_kitchen.py"


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A microservice with an event and an aggregate root that applies it, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(DISH) == 0
    assert main(KITCHEN) == 0
    capsys.readouterr()
    return tmp_path / "shop"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_new_field_reaches_the_command_beneath_the_rule_of_its_owner(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(
        shop / CODE,
        "        self.apply",
        "        if not dish:\n            return\n        self.apply",
    )
    assert main([*DISH, "price:int"]) == 0
    assert f"edit       {CODE}" in capsys.readouterr().out
    assert (
        "    def prepare_dish(self, dish: str, chef: str, price: int) -> None:\n"
        "        if not dish:\n"
        "            return\n"
        "        self.apply(DishPrepared(dish=dish, chef=chef, price=price))\n"
        in (shop / CODE).read_text()
    )
    assert "price=3" in (shop / TEST).read_text()
    before = (shop / CODE).read_text()
    assert main(KITCHEN) == 0
    assert (shop / CODE).read_text() == before


def test_it_is_taken_back_with_the_command(shop: Path) -> None:
    before = {path: (shop / path).read_text() for path in (CODE, TEST)}
    assert main([*DISH, "price:int"]) == 0
    assert main(["undo"]) == 0
    assert {path: (shop / path).read_text() for path in (CODE, TEST)} == before


def test_what_its_owner_changed_in_the_same_place_stays_whole_and_is_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop / CODE, "dish: str, chef: str", "dish: str, chef: str, /")
    before = {path: (shop / path).read_text() for path in (CODE, TEST)}
    assert main([*DISH, "price:int=0"]) == 0
    assert f"{CODE} depends on the event DishPrepared" in capsys.readouterr().err
    assert {path: (shop / path).read_text() for path in (CODE, TEST)} == before


def test_a_field_of_a_value_reaches_the_tests_of_what_is_made_of_it(shop: Path) -> None:
    assert main(["add", "value", "Line", "sku:str"]) == 0
    assert main(["add", "event", "OrderPlaced", "lines:list[Line]"]) == 0
    assert main(["add", "value", "Line", "sku:str", "quantity:int"]) == 0
    assert "quantity" in (shop / "tests/events/test_order_placed.py").read_text()


def test_a_new_thing_changes_nothing_else(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "event", "ShopClosed"]) == 0
    assert all(line.startswith("create") for line in capsys.readouterr().out.splitlines())
