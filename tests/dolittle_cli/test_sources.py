from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dolittle_cli.emissions import emissions_of, made_anywhere, named_anywhere
from dolittle_cli.sources import Sources, read_sources

EVENTS = """\
from dolittle import event_type

@event_type
class DishPrepared:
    dish: str

    @classmethod
    def of(cls, dish):
        return cls(dish=dish)

@event_type
class KitchenClosed: ...

@event_type
class StockRanLow: ...
"""

KITCHEN = """\
import datetime as dt
from dolittle import AggregateRoot, aggregate_root, on
from .events import DishPrepared
from shop import KitchenClosed, events as happened

class Base(AggregateRoot):
    def shared(self):
        self._close()

    def _close(self):
        self.apply(KitchenClosed())

@aggregate_root
class Kitchen(Base):
    def prepare(self, dish):
        event = DishPrepared(dish=dish)
        self.apply(event)

    def either(self, ok):
        self.apply(DishPrepared.of("Taco") if ok else happened.StockRanLow())

    def many(self, dishes):
        for event in [DishPrepared(dish=dish) for dish in dishes]:
            self.apply(event)

    def helped(self):
        low(self)

    def nothing(self, DishPrepared):
        self.apply(DishPrepared)

    @on(DishPrepared)
    def on_prepared(self, event): ...

def low(kitchen):
    kitchen.apply(happened.StockRanLow())
"""

HANDLERS = """\
from dolittle import *
from shop.kitchen import Kitchen
from shop.events import *

@event_handler
class Cook:
    @handles(DishPrepared)
    async def cook(self, event):
        await self.shop.aggregate(Kitchen, "x").perform(Kitchen.prepare, "Taco")

    @handles(StockRanLow)
    async def close(self, event):
        await self.shop.commit(*[StockRanLow()], source="x")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Sources:
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from shop.events import KitchenClosed\n")
    (package / "events.py").write_text(EVENTS)
    (package / "kitchen.py").write_text(KITCHEN)
    (package / "handlers.py").write_text(HANDLERS)
    (package / "broken.py").write_text("def broken(:\n")
    return read_sources(tmp_path, "shop")


def test_a_file_that_does_not_parse_is_named_with_its_line(shop: Sources) -> None:
    [unread] = shop.unread
    assert (unread.path.name, unread.line) == ("broken.py", 1)
    assert set(shop.modules) == {"shop", "shop.events", "shop.kitchen", "shop.handlers"}


@pytest.mark.parametrize(
    ("text", "dotted"),
    [
        ("dt.datetime.now", "datetime.datetime.now"),
        ("DishPrepared", "shop.events.DishPrepared"),
        ("KitchenClosed", "shop.events.KitchenClosed"),
        ("happened.StockRanLow", "shop.events.StockRanLow"),
        ("Kitchen.prepare", "shop.kitchen.Kitchen.prepare"),
        ("open", "builtins.open"),
        ("unknown.thing", ""),
        ("f().x", ""),
    ],
)
def test_a_name_is_resolved_through_imports_and_re_exports(
    shop: Sources, text: str, dotted: str
) -> None:
    node = ast.parse(text, mode="eval").body
    assert shop.resolve(shop.modules["shop.kitchen"], node) == dotted


def test_a_parameter_hides_what_is_imported(shop: Sources) -> None:
    node = ast.parse("dt.now", mode="eval").body
    assert shop.resolve(shop.modules["shop.kitchen"], node, {"dt"}) == ""


def test_classes_are_found_by_what_decorates_them(shop: Sources) -> None:
    assert [cls.name for cls in shop.marked("aggregate_root")] == ["Kitchen"]
    assert [cls.name for cls in shop.marked("event_type")] == [
        *("DishPrepared", "KitchenClosed", "StockRanLow")
    ]
    on = shop.functions["shop.kitchen.Kitchen.on_prepared"]
    assert shop.marked_with(on, "on") == ["shop.events.DishPrepared"]


@pytest.mark.parametrize(
    ("command", "events"),
    [
        ("prepare", ["DishPrepared"]),
        ("either", ["DishPrepared", "StockRanLow"]),
        ("many", ["DishPrepared"]),
        ("helped", ["StockRanLow"]),
        ("shared", ["KitchenClosed"]),
        ("nothing", []),
    ],
)
def test_what_a_command_applies_is_found(shop: Sources, command: str, events: list[str]) -> None:
    kitchen = shop.classes["shop.kitchen.Kitchen"]
    function = shop.methods(kitchen)[command]
    found = emissions_of(shop, function, kitchen)
    assert sorted(item.target.rpartition(".")[2] for item in found) == events
    assert {item.kind for item in found} <= {"applies"}


def test_what_a_handler_performs_and_commits_is_found(shop: Sources) -> None:
    cook = shop.classes["shop.handlers.Cook"]
    methods = shop.methods(cook)
    found = [emissions_of(shop, methods[name], cook) for name in ("cook", "close")]
    assert [(item.kind, item.target) for items in found for item in items] == [
        ("performs", "shop.kitchen.Kitchen.prepare"),
        ("commits", "shop.events.StockRanLow"),
    ]


def test_every_event_that_is_made_counts_as_emitted(shop: Sources) -> None:
    assert made_anywhere(shop) == {
        f"shop.events.{name}" for name in ("DishPrepared", "KitchenClosed", "StockRanLow")
    }
    assert "Taco" in named_anywhere(shop)
