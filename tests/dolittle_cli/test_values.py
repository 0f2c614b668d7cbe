from __future__ import annotations

import pytest

from dolittle_cli.errors import WrongUsage
from dolittle_cli.values import parse_values


def test_values_are_split_at_the_first_equals_sign() -> None:
    assert parse_values(["dish=Bean Blaster Taco", "note=a=b", "empty="]) == {
        "dish": "Bean Blaster Taco",
        "note": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("words", [["dish"], ["=taco"], [""], ["dish=a", "dish=b"]])
def test_what_is_no_name_and_value_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(WrongUsage):
        parse_values(words)
