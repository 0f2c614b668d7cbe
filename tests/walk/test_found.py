"""Walks that once led to a project that failed its own checks, each as short as it could be."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.walk.checking import Checker
from tests.walk.steps import Deleted, Doing, Edited, Step, Typed, make_project

pytestmark = pytest.mark.slow

OF_THE_EXAMPLE = "of the example: "
"""How a walk is called that begins with the example."""

FOUND: dict[str, list[str | Step]] = {
    "imports that two commands add in one place are sorted": [
        "add event GuestClosed note:str?",
        "add aggregate TableRoot --command=do_it=GuestClosed",
        "add command TableRoot pay_order total:Decimal:ge=0 urgent:bool=false note:str?",
        "add generation GuestClosed new26:date?",
    ],
    "of the example: an update leaves what was renamed renamed": [
        "rename event DishPrepared DishPreparedToo",
        Typed(("update",), "0.1.1"),
    ],
    "a generation that a test was made of is not taken back": [
        "add event DishPaid note:str?",
        "add generation DishPaid new21:date?",
        "add projection TableView count:int=0 --on DishPaid",
        "undo 3",
    ],
    "a generation that a command was made of is not taken back": [
        "add event DishPaid note:str?",
        "add aggregate CookRoot",
        "add generation DishPaid new21:date?",
        "add command CookRoot pay --event DishPaid",
        "undo 4",
    ],
    "of the example: a field does not get into a test that looks like the one which is gone": [
        "add event GuestPlaced day:date? tags:list[str]=[]",
        "add generation GuestPlaced new58:enum(a,b)=b",
        "add command Kitchen pay_tip name:str at:datetime note:str?",
        "add generation TipPaid new91:date?",
        "add generation GuestPlaced new40:date?",
        "add aggregate CookRoot name:str total:Decimal:ge=0 --command=do_it=TipPaid",
        "add event GuestPlaced more55:int=1 day:date? tags:list[str]=[]",
        Deleted("tests/aggregates/test_cook_root.py"),
        "add generation TipPaid new70:enum(a,b)=b",
        "add command CookRoot pay_dish --event GuestPlaced",
        Typed(("update",), "0.1.1"),
    ],
    "a test that was deleted comes back with the fields of later generations": [
        "add event DishPaid note:str?",
        "add generation DishPaid new21:date?",
        Deleted("tests/events/test_dish_paid.py"),
        "add event DishPaid note:str? more:int=1",
    ],
    "a handler's test that was deleted comes back with the methods as they are": [
        "add event TableSent name:str",
        "add handler MenuHandler --on TableSent",
        Deleted("tests/handlers/test_menu_handler.py"),
        "rename event TableSent TableSentToo",
        "add handler MenuHandler --on TableSentToo",
    ],
    "value objects do not hold one another": [
        "add value BillPart day:date?",
        "add value GuestPart all:list[BillPart]=[] total:Decimal:ge=0",
        "add value BillPart of:GuestPart? key:UUID day:date?",
    ],
    "what a command's test no longer uses is no longer imported": [
        "add aggregate MenuRoot",
        "add value DishPart status:enum(new,paid)=new",
        "add value TipPart of:DishPart?",
        "add command MenuRoot cancel_order all:list[TipPart]=[]",
        "add value TipPart of:str?",
    ],
    "a handler's test that was deleted comes back with the methods that its owner keeps": [
        "add event TableSent name:str",
        "add handler MenuHandler --on TableSent",
        Deleted("tests/handlers/test_menu_handler.py"),
        Edited("cafe/handlers/menu_handler.py", '."""', '; mine."""'),
        "rename event TableSent TableSentToo",
        "add handler MenuHandler --on TableSentToo",
    ],
    "a renaming is undone also where its owner has changed what it moved": [
        "add event TipClosed urgent:bool=false",
        "add generation TipClosed new25:str=x",
        "rename event TipClosed TipClosedToo",
        Edited("cafe/events/tip_closed_too.py", '."""', '; mine."""'),
        "undo",
    ],
}


@pytest.mark.parametrize("name", FOUND)
def test_a_walk_that_once_failed_passes(tmp_path: Path, checker: Checker, name: str) -> None:
    doing = Doing(make_project(tmp_path, example=name.startswith(OF_THE_EXAMPLE)))
    for step in FOUND[name]:
        doing.perform(Typed(tuple(shlex.split(step))) if isinstance(step, str) else step)
    checker.check(doing.project)
