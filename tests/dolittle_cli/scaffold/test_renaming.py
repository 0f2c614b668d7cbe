"""Renaming by syntax tree."""

from __future__ import annotations

import ast

import pytest

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.renaming import Renaming, mentions, renamed

DISH = Renaming(
    "kitchen.events.dish_prepared",
    "kitchen.events.dish_served",
    {"DishPrepared": "DishServed"},
)


def in_a_handler(text: str) -> str:
    return renamed("kitchen/handlers/clerk.py", text, DISH)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from kitchen.events.dish_prepared import DishPrepared, Size\nx: DishPrepared\n",
            "from kitchen.events.dish_served import DishServed, Size\nx: DishServed\n",
        ),
        (
            "from kitchen.events.dish_prepared import DishPrepared as D\nD(1)\n",
            "from kitchen.events.dish_served import DishServed as D\nD(1)\n",
        ),
        (
            "from kitchen.events import dish_prepared\ndish_prepared.DishPrepared(1)\n",
            "from kitchen.events import dish_served\ndish_served.DishServed(1)\n",
        ),
        (
            "from ..events.dish_prepared import DishPrepared\nDishPrepared(1)\n",
            "from ..events.dish_served import DishServed\nDishServed(1)\n",
        ),
        (
            "import kitchen.events.dish_prepared\nkitchen.events.dish_prepared.DishPrepared\n",
            "import kitchen.events.dish_served\nkitchen.events.dish_served.DishServed\n",
        ),
        (
            "import kitchen.events.dish_prepared as m\nm.DishPrepared\n",
            "import kitchen.events.dish_served as m\nm.DishServed\n",
        ),
        (
            "from kitchen.events import DishPrepared\nDishPrepared\n",
            "from kitchen.events import DishServed\nDishServed\n",
        ),
        (
            "from kitchen.events.dish_prepared import (\n    # why\n    DishPrepared,  # this\n)\n",
            "from kitchen.events.dish_served import (\n    # why\n    DishServed,  # this\n)\n",
        ),
        (
            'from kitchen.events.dish_prepared import DishPrepared\nx: "list[DishPrepared]"\n',
            'from kitchen.events.dish_served import DishServed\nx: "list[DishServed]"\n',
        ),
    ],
)
def test_what_is_bound_by_an_import_is_renamed_where_it_is_used(before: str, after: str) -> None:
    assert in_a_handler(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "from other.events import DishPrepared\nDishPrepared(1)\n",
        "DishPrepared = 1\nprint(DishPrepared)\n",
        "x.DishPrepared\n",
        'print("DishPrepared")  # DishPrepared, dish_prepared\n',
        "class DishPreparedHandler:\n    dish_prepared = 1\n",
        "def f(DishPrepared: int) -> int:\n    return DishPrepared\n",
        "from kitchen.events.dish_prepared import *\n".replace("dish_prepared", "dishes"),
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert in_a_handler(text) == text


def test_the_class_is_renamed_where_it_is_defined_and_comments_stay() -> None:
    text = (
        "@event_type  # DishPrepared\n"
        "class DishPrepared:\n"
        '    """DishPrepared."""\n\n'
        "    def again(self) -> 'DishPrepared':\n"
        "        return   DishPrepared( )\n"
    )
    changed = renamed("kitchen/events/dish_prepared.py", text, DISH)
    assert changed == (
        "@event_type  # DishPrepared\n"
        "class DishServed:\n"
        '    """DishPrepared."""\n\n'
        "    def again(self) -> 'DishServed':\n"
        "        return   DishServed( )\n"
    )


def test_a_new_name_that_means_something_else_in_a_file_is_refused() -> None:
    text = (
        "from kitchen.events.dish_prepared import DishPrepared\n"
        "from kitchen.events.dish_thrown import DishServed\n"
    )
    text += "print(DishPrepared, DishServed)\n"
    with pytest.raises(CommandLineError, match=r"'DishServed' means something else in kitchen/han"):
        in_a_handler(text)


def test_what_is_renamed_and_renamed_back_is_as_it_was() -> None:
    text = (
        "from kitchen.events.dish_prepared import DishPrepared\n\n\n"
        "def f(event: DishPrepared) -> None:\n    DishPrepared(event)\n"
    )
    back = Renaming(DISH.new_module, DISH.module, {"DishServed": "DishPrepared"})
    changed = in_a_handler(text)
    assert changed != text
    ast.parse(changed)
    assert renamed("kitchen/handlers/clerk.py", changed, back) == text


def test_mentions_are_whole_words_with_their_lines() -> None:
    assert mentions("DishPreparedX\na DishPrepared\n", ["DishPrepared"]) == [(2, "DishPrepared")]
