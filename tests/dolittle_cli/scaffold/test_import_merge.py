"""Merging the imports of a module as a set."""

from __future__ import annotations

import pytest

from dolittle_cli.scaffold.merge import Merged, merge

BASE = """\
from dolittle import event_type

from cafe.values.dish import Dish


@event_type
class Placed:
    dish: Dish
"""


def test_imports_that_both_sides_add_in_one_place_are_sorted() -> None:
    yours = BASE.replace("from dolittle", "from decimal import Decimal\n\nfrom dolittle")
    yours = yours.replace("dish: Dish\n", "dish: Dish\n    total: Decimal\n")
    generated = BASE.replace("from dolittle", "from datetime import date\n\nfrom dolittle")
    generated = generated.replace("    dish: Dish\n", "    day: date\n    dish: Dish\n")
    merged = merge(BASE, yours, generated, is_python=True)
    assert merged.conflicts == 0
    imports = merged.text.partition("\n\nfrom cafe")[0].split("\n")
    assert imports == [
        "from datetime import date", "from decimal import Decimal", "",
        "from dolittle import event_type",
    ]  # fmt: skip


def test_names_that_both_sides_import_of_one_module_stand_on_one_line() -> None:
    yours = BASE.replace("import event_type\n", "import event_type, value\n")
    generated = BASE.replace("import event_type\n", "import constraint, event_type\n")
    merged = merge(BASE, yours, generated, is_python=True)
    assert merged.conflicts == 0
    assert "from dolittle import constraint, event_type, value\n" in merged.text


def test_an_import_that_is_no_longer_generated_stays_if_the_owner_uses_it() -> None:
    yours = BASE + "\n\ndef cook(dish: Dish) -> None:\n    print(dish)\n"
    generated = BASE.replace("\nfrom cafe.values.dish import Dish\n", "")
    generated = generated.replace("dish: Dish", "dish: str")
    merged = merge(BASE, yours, generated, is_python=True)
    assert merged == Merged(yours.replace("    dish: Dish", "    dish: str"), 0)


def test_an_import_that_the_owner_took_out_comes_back_with_code_that_needs_it() -> None:
    yours = BASE.replace("\nfrom cafe.values.dish import Dish\n", "").replace(
        "dish: Dish", "dish: str"
    )
    generated = BASE + "    other: Dish | None = None\n"
    merged = merge(BASE, yours, generated, is_python=True)
    assert merged == Merged(
        BASE.replace("dish: Dish", "dish: str") + "    other: Dish | None = None\n", 0
    )


def test_an_import_goes_with_the_last_line_that_used_it() -> None:
    base = BASE + "    other: Dish\n"
    yours = base.replace("    other: Dish\n", "    other: str\n")
    generated = base.replace("    dish: Dish\n", "    dish: str\n")
    merged = merge(base, yours, generated, is_python=True)
    assert "import Dish" not in merged.text


def test_an_import_that_nobody_uses_stays_if_its_owner_wants_it() -> None:
    yours = BASE.replace("import event_type\n", "import event_type, projection\n")
    merged = merge(BASE, yours, BASE + "    count: int = 0\n", is_python=True)
    assert merged == Merged(yours + "    count: int = 0\n", 0)


@pytest.mark.parametrize(
    "line",
    [
        "from dolittle import event_type  # ours\n",
        "import os, sys\nfrom dolittle import event_type\n",
        "from dolittle import (\n    event_type,\n)\n",
    ],
)
def test_imports_that_their_owner_laid_out_by_hand_are_left_so(line: str) -> None:
    yours = BASE.replace("from dolittle import event_type\n", line)
    merged = merge(BASE, yours, BASE + "    count: int = 0\n", is_python=True)
    assert merged == Merged(yours + "    count: int = 0\n", 0)
