"""One more field reaches what depends on its class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold.manifest import read_manifest

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


def test_the_base_of_later_merges_has_nothing_that_the_file_never_had(shop: Path) -> None:
    change(shop / "shop/events/dish_prepared.py", "chef: str", "chef: str\n    note: str")
    change(shop / CODE, "chef: str)", "chef: str, note: str)")
    change(shop / CODE, "chef=chef))", "chef=chef, note=note))")
    change(shop / CODE, '    """', '    """Mine. ')
    (shop / TEST).unlink()
    mine = (shop / CODE).read_text()
    base = read_manifest(shop).things()["aggregate Kitchen"].files[CODE].base
    assert main(["add", "generation", "DishPrepared", "price:int=0"]) == 0
    now = (shop / CODE).read_text()
    assert now != mine
    kept = read_manifest(shop).things()["aggregate Kitchen"].files[CODE].base
    assert kept in (base, now)
    assert main([*KITCHEN[:3], "more:int=1", *KITCHEN[3:]]) == 0
    assert (shop / CODE).read_text() == now.replace(
        "    ingredients: int = 2\n", "    more: int = 1\n    ingredients: int = 2\n"
    )


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


DESK = "shop/aggregates/desk.py"
DESK_TEST = "tests/aggregates/test_desk.py"


@pytest.fixture
def desk(shop: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The same with commands that were added to an aggregate root which was there."""
    assert main(["add", "aggregate", "Desk"]) == 0
    assert main(["add", "command", "Desk", "note", "--event", "DishPrepared"]) == 0
    assert main(["add", "command", "Desk", "take_order", "guest:str"]) == 0
    capsys.readouterr()
    return shop


def test_a_new_field_reaches_a_command_that_was_added_to_a_class(desk: Path) -> None:
    assert main([*DISH, "price:Decimal=0.5"]) == 0
    text = (desk / DESK).read_text()
    assert "from decimal import Decimal\n" in text
    assert (
        '    def note(self, dish: str, chef: str, price: Decimal = Decimal("0.5")) -> None:\n'
        "        self.apply(DishPrepared(dish=dish, chef=chef, price=price))\n"
    ) in text
    assert "def take_order(self, guest: str) -> None:\n" in text
    tests = (desk / DESK_TEST).read_text()
    assert 'DishPrepared(dish="a dish", chef="a chef", price=Decimal("9.50"))' in tests
    before = text
    assert main(["add", "command", "Desk", "note", "--event", "DishPrepared"]) == 0
    assert (desk / DESK).read_text() == before


def test_it_reaches_the_command_that_brought_the_event_and_its_fold(desk: Path) -> None:
    change(desk / DESK, "    def note(", "    seats: int = 0\n\n    def note(")
    assert main(["add", "event", "OrderTaken", "guest:str", "seats:int"]) == 0
    text = (desk / DESK).read_text()
    assert "    def take_order(self, guest: str, seats: int) -> None:\n" in text
    assert "    def on_order_taken(self, event: OrderTaken) -> None:\n" in text
    assert "        self.seats = event.seats\n" in text
    assert "done.then_state(seats=3)" in (desk / DESK_TEST).read_text()


def test_it_is_merged_into_a_command_beneath_the_rule_of_its_owner(desk: Path) -> None:
    change(
        desk / DESK,
        "        self.apply(DishPrepared",
        "        print(dish)\n        self.apply(DishPrepared",
    )
    assert main([*DISH, "price:int"]) == 0
    assert (
        "    def note(self, dish: str, chef: str, price: int) -> None:\n"
        "        print(dish)\n"
        "        self.apply(DishPrepared(dish=dish, chef=chef, price=price))\n"
    ) in (desk / DESK).read_text()


def test_a_command_that_its_owner_laid_out_anew_is_left_with_its_test_and_named(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk / DESK, "dish: str, chef: str", "dish: str, chef: str, /")
    before = {path: (desk / path).read_text() for path in (DESK, DESK_TEST)}
    assert main([*DISH, "price:int=0"]) == 0
    assert f"{DESK} keeps note as it is: it depends on the event DishPrepared" in (
        capsys.readouterr().err
    )
    assert {path: (desk / path).read_text() for path in (DESK, DESK_TEST)} == before


def test_a_command_that_is_gone_stays_away(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (desk / DESK).read_text()
    begin, end = text.index("    def note("), text.index("    def take_order(")
    (desk / DESK).write_text(text[:begin] + text[end:])
    before = (desk / DESK).read_text()
    assert main([*DISH, "price:int"]) == 0
    assert (desk / DESK).read_text() == before
    assert "keeps" not in capsys.readouterr().err


def test_a_generation_reaches_what_depends_on_its_event(desk: Path) -> None:
    assert main(["add", "generation", "DishPrepared", "minutes:int=0"]) == 0
    for path in (CODE, DESK):
        assert "dish: str, chef: str, minutes: int = 0" in (desk / path).read_text()
        assert "chef=chef, minutes=minutes" in (desk / path).read_text()
    assert main(["undo"]) == 0
    assert "minutes" not in (desk / CODE).read_text() + (desk / DESK_TEST).read_text()


def test_a_new_field_reaches_the_tests_of_older_generations(
    desk: Path, check: Callable[[Path], None]
) -> None:
    assert main(["add", "generation", "DishPrepared", "minutes:int=0"]) == 0
    number = "00000000-0000-0000-0000-000000000007"
    assert main(["add", "generation", "DishPrepared", f"oven:UUID={number}"]) == 0
    assert main([*DISH, "table:int"]) == 0
    text = (desk / "tests/events/test_dish_prepared.py").read_text()
    first, second = text.split("def test_generation_1")[1].split("def test_generation_2")
    assert '    stored = {"dish": "a dish", "chef": "a chef", "table": 3}\n' in first
    assert (
        '    expected = DishPrepared(dish="a dish", chef="a chef", table=3, minutes=0)\n' in first
    )
    assert '    stored = {"dish": "a dish", "chef": "a chef", "table": 3, "minutes": 3}\n' in second
    assert '        "table": 3,\n        "minutes": 0,\n' in text
    check(desk)
    assert main([*DISH, "table:int"]) == 0
    assert (desk / "tests/events/test_dish_prepared.py").read_text() == text
