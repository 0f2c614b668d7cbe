"""Edits of modules at places that their syntax tree names."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.scaffold.command import event_name
from dolittle_cli.scaffold.editing import ModuleEdit, NotSure

MODULE = '''\
"""A module."""

from decimal import Decimal

from shop.events.order import Order


class Kitchen:
    size: int = 1  # in metres
'''


def needing(text: str, *imports: tuple[str, str]) -> str:
    edit = ModuleEdit("shop/a.py", text)
    edit.need(imports, "shop")
    return edit.text()


def test_imports_are_sorted_in_where_they_are_sorted_already() -> None:
    made = needing(MODULE, ("typing", "Any"), ("shop.events.dish", "Dish"), ("dolittle", "on"))
    assert made == MODULE.replace(
        "from decimal import Decimal\n\nfrom shop.events.order",
        "from decimal import Decimal\nfrom typing import Any\n\nfrom dolittle import on\n\n"
        "from shop.events.dish import Dish\nfrom shop.events.order",
    )


def test_what_is_imported_already_changes_nothing() -> None:
    assert needing(MODULE, ("decimal", "Decimal"), ("shop.events.order", "Order")) == MODULE


@pytest.mark.parametrize(
    "own",
    [
        "from decimal import Decimal  # money\n",
        "import shop.events.order\nfrom decimal import Decimal\n",
        "from decimal import (\n    Decimal,\n)\n",
    ],
)
def test_imports_in_an_order_of_their_owner_stay_and_ours_go_among_them(own: str) -> None:
    made = needing(f"{own}\nA = 1\n", ("typing", "Any"))
    assert made.replace("from typing import Any\n", "") == f"{own}\nA = 1\n"
    assert made.index("from decimal") < made.index("from typing") < made.index("A = 1")


def test_a_name_joins_the_import_of_its_module_where_that_is_plain() -> None:
    own = "from shop.b import B, A\nfrom shop.a import (\n    X,  # the first\n)\nimport decimal\n"
    made = needing(own, ("shop.b", "C"), ("shop.a", "Y"), ("decimal", "Decimal"), ("uuid", "UUID"))
    assert "from shop.b import A, B, C\n" in made
    assert "    X,  # the first\n)\n" in made
    assert "from shop.a import Y\n" in made
    names = {name for node in ast.walk(ast.parse(made)) if isinstance(node, ast.ImportFrom)
             for name in (alias.name for alias in node.names)}  # fmt: skip
    assert names == {"A", "B", "C", "X", "Y", "Decimal", "UUID"}


def test_a_module_without_imports_gets_them_behind_its_docstring() -> None:
    assert needing('"""A."""\n\nA = 1\n', ("typing", "Any")) == (
        '"""A."""\n\nfrom typing import Any\n\nA = 1\n'
    )
    assert ast.parse(needing("A = 1\n", ("typing", "Any")))


def test_a_name_that_means_something_else_is_not_imported_over_it() -> None:
    with pytest.raises(NotSure, match="the name Kitchen means something else in it"):
        needing(MODULE, ("shop.aggregates.kitchen", "Kitchen"))
    with pytest.raises(NotSure, match="the name Decimal means"):
        needing(MODULE, ("shop.decimals", "Decimal"))


def test_edits_are_made_together_with_the_lines_as_they_were_read() -> None:
    edit = ModuleEdit("a.py", "a = 1\nb = 2\nc = 3\n")
    edit.insert_after(1, "after_a = 1")
    edit.replace(2, 2, "b = 20\nmore_b = 21")
    edit.insert_after(1, "after_a = 2")
    edit.insert_after(0, "first = 0")
    assert edit.text() == (
        "first = 0\na = 1\nafter_a = 1\nafter_a = 2\nb = 20\nmore_b = 21\nc = 3\n"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class A(\n", "it is no Python"),
        ("class A:\r\n    a = 1\r\n", "do not end with a plain newline"),
        ("class A:\n\ta = 1\n", "not indented by four spaces"),
        ("class A: a = 1\n", "not indented by four spaces"),
        ("class B:\n    a = 1\n", "it has 0 classes A"),
        ("class A:\n    a = 1\nclass A:\n    b = 1\n", "it has 2 classes A"),
        ("if 1:\n    class A:\n        a = 1\n", "it has 0 classes A"),
    ],
)
def test_a_class_that_is_written_in_an_unusual_way_is_left_alone(text: str, reason: str) -> None:
    with pytest.raises(NotSure) as refused:
        ModuleEdit("shop/a.py", text).class_named("A")
    assert str(refused.value).startswith(f"shop/a.py: {reason}") or reason in str(refused.value)
    assert "nothing was written" in str(refused.value)


def test_an_edit_that_would_be_no_python_is_refused() -> None:
    edit = ModuleEdit("a.py", "a = 1\n")
    edit.insert_after(1, "    b = 2")
    with pytest.raises(NotSure, match="the edit would not be Python"):
        edit.text()


@given(st.lists(st.sampled_from(["a = 1", "", "# b", "def f() -> None: ...", "é = 'ü'"])))
def test_without_edits_a_module_stays_as_it_is(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines) or "\n"
    assert ModuleEdit("a.py", text).text() == text


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("prepare_dish", "DishPrepared"), ("pay", "KitchenPaid"), ("pay_bill", "BillPaid"),
        ("carry_out_order", "OutOrderCarried"), ("ship_order", "OrderShipped"),
        ("plan_menu", "MenuPlanned"), ("send_mail", "MailSent"), ("close", "KitchenClosed"),
        ("open_door", "DoorOpened"), ("fix_it", "ItFixed"), ("play_song", "SongPlayed"),
        ("tie_knot", "KnotTied"), ("withdraw_money", "MoneyWithdrawn"), ("cook_meal", "MealCooked"),
    ],
)  # fmt: skip
def test_an_event_is_named_after_the_command_in_the_past(method: str, expected: str) -> None:
    assert event_name(method, "Kitchen") == expected
