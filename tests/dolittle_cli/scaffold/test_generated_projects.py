"""Generates projects and runs what they ship: linter, formatter, type checker and tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle_cli.main import main

pytestmark = pytest.mark.slow

LONG_EVENT = "LongEventNameThatGoesOnAndOnForFortyChar"
LONG_FIELD = "field_name_that_goes_on_for_forty_chars_"
ALL_TYPES = [
    "customer:UUID", "total:Decimal", "status:enum(new,in-work)=new", "tags:list[str]",
    "note:str?", "per_day:dict[str,int]", "day:datetime", "on_day:date", "urgent:bool=false",
    "weight:float=1e30", "count:int", "grid:list[list[float]]", "maybe:list[enum(a,b)]?",
    "by:dict[str,dict[str,list[Decimal?]]]", 'quote:str=it\'s "so"', "match:str", "type:int=-3",
    "codes:list[str:pattern=^[a-z]+$]", "shares:dict[str,Decimal:ge=0:le=1]={}",
    r"emails:list[str:pattern=^[^@\s]+@[^@\s]+$:max_length=100]:min_length=1:max_length=50",
]  # fmt: skip
ADDED = [
    ["event", "OrderPlaced", *ALL_TYPES, "--public"],
    ["event", "ShopClosed"],
    ["event", LONG_EVENT, f"{LONG_FIELD}:UUID", *(f"{LONG_FIELD[:-1]}{i}:datetime" for i in "abc"),
     f"{LONG_FIELD[:-1]}d:Decimal={'1234567890' * 7}", f"{LONG_FIELD[:-1]}e:str={'x ' * 39}",
     f"{LONG_FIELD[:-1]}f:datetime=2026-01-31T12:13:14.555Z"],
    ["aggregate", "Empty"],
    ["aggregate", "Shop", "open:bool=true", "status:enum(new,in-work)", "total:Decimal",
     "note:str?", "by:dict[str,dict[str,list[Decimal?]]]", "own:enum(x,y)=y",
     "--command", "place_order=OrderPlaced", "--command", "close=ShopClosed"],
    ["aggregate", "LongAggregateNameThatGoesOnAndOnForForty", f"{LONG_FIELD}:UUID?",
     f"{LONG_FIELD[:-1]}e:str={'y ' * 39}",
     f"{LONG_FIELD[:-1]}f:datetime=2026-01-31T12:13:14.555Z",
     "--command", f"long_command_name_that_goes_on_for_forty={LONG_EVENT}"],
    ["handler", "Clerk", "--on", "ShopClosed", "--unpartitioned"],
    ["handler", "LongHandlerNameThatGoesOnAndOnForFortyCh", "--on", LONG_EVENT, "OrderPlaced"],
    ["projection", "ByStatus", "status:enum(new,in-work)", "total:Decimal", "tags:list[str]=[]",
     "count:int=0", "own:enum(a,b)=a", "--on", "OrderPlaced", "--key", "status"],
    ["projection", "ByDay", "--on", "OrderPlaced", "--key", "day"],
    ["projection", "BySource", "--on", "OrderPlaced", "ShopClosed"],
    ["projection", "Nothing", "seen:str?", "--on", "ShopClosed"],
    ["projection", "LongProjectionNameThatGoesOnAndOnForFort", f"{LONG_FIELD}:UUID?",
     f"{LONG_FIELD[:-1]}f:datetime", "source:str", "--on", LONG_EVENT, "--key", LONG_FIELD],
]  # fmt: skip


@pytest.mark.parametrize("example", [[], ["--example", "kitchen"]])
def test_a_new_microservice_passes_its_own_checks(
    tmp_path: Path, check: Callable[[Path], None], example: list[str]
) -> None:
    assert main(["new", "microservice", "order-desk", "--into", str(tmp_path), *example]) == 0
    check(tmp_path / "order-desk")


def test_a_microservice_passes_its_own_checks_with_everything_added(
    tmp_path: Path, check: Callable[[Path], None]
) -> None:
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    for words in ADDED:
        assert main(["add", *words, "--project", str(tmp_path / "shop")]) == 0
    check(tmp_path / "shop")


def test_it_passes_them_after_every_single_thing_that_is_added(
    tmp_path: Path, check: Callable[[Path], None]
) -> None:
    assert main(["new", "microservice", "kitchen", "--into", str(tmp_path)]) == 0
    for words in (
        ["event", "DishPrepared", "dish:str", "chef:str"],
        ["aggregate", "Kitchen", "ingredients:int=2", "--command", "prepare_dish=DishPrepared"],
        ["handler", "DishHandler", "--on", "DishPrepared"],
        ["projection", "DishCounter", "--on", "DishPrepared", "--key", "dish"],
    ):
        assert main(["add", *words, "--project", str(tmp_path / "kitchen")]) == 0
        check(tmp_path / "kitchen")


def test_the_tests_that_are_generated_can_fail(tmp_path: Path) -> None:
    project = tmp_path / "kitchen"
    assert main(["new", "microservice", "kitchen", "--into", str(tmp_path)]) == 0
    for words in ADDED[:2]:
        assert main(["add", *words, "--project", str(project)]) == 0
    for words in (
        ["aggregate", "Order", "total:Decimal", "--command", "place=OrderPlaced"],
        ["handler", "Clerk", "--on", "OrderPlaced"],
        ["projection", "Orders", "total:Decimal", "count:int=0", "--on", "OrderPlaced"],
    ):
        assert main(["add", *words, "--project", str(project)]) == 0
    changes = {
        "events/order_placed.py": ("total: Decimal", "total: str"),
        "aggregates/order.py": ("self.total = event.total", "self.total = Decimal(1)"),
        "handlers/clerk.py": ("context.source, event", "event, context.source"),
        "projections/orders.py": ("self.total = event.total", "self.total = Decimal(1)"),
    }
    for path, (old, new) in changes.items():
        file = project / "kitchen" / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        test = project / "tests" / Path(path).parent / f"test_{Path(path).name}"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
            cwd=project, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1, f"{path}\n{done.stdout}"
        file.write_text(text)
