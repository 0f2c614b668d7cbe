"""The testing kit reads what older generations stored."""

from __future__ import annotations

from typing import Any

import pytest

from dolittle import event_type, upcaster
from dolittle.errors import DeclarationErrors, UnreadableEvent
from dolittle.testing import read_content


@event_type("dish-prepared", generation=3)
class DishPrepared:
    dish: str
    chef: str
    minutes: int = 0


@upcaster(DishPrepared, from_generation=1)
def name_the_chef(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "chef": "unknown"}


@upcaster(DishPrepared, from_generation=2)
def count_minutes(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "minutes": content.pop("hours", 0) * 60}


@event_type(generation=2)
class MenuWritten:
    name: str


def test_content_goes_through_the_upcasters_beside_the_class() -> None:
    assert read_content(DishPrepared, {"dish": "Taco"}, generation=1) == DishPrepared(
        dish="Taco", chef="unknown"
    )
    content = {"dish": "Taco", "chef": "Mr. Taco", "hours": 2}
    assert read_content(DishPrepared, content, generation=2) == DishPrepared(
        dish="Taco", chef="Mr. Taco", minutes=120
    )


def test_content_of_the_newest_generation_is_read_as_it_is() -> None:
    content = {"dish": "Taco", "chef": "Mr. Taco", "minutes": 3}
    assert read_content(DishPrepared, content, generation=3).minutes == 3


def test_upcasters_may_be_given() -> None:
    given = [name_the_chef, count_minutes]
    read = read_content(DishPrepared, {"dish": "Taco"}, generation=1, upcasters=given)
    assert read.chef == "unknown"


def test_a_hole_in_the_chain_is_found() -> None:
    with pytest.raises(DeclarationErrors, match="nothing turns generation 1 into 2"):
        read_content(MenuWritten, {"name": "lunch"}, generation=1)
    with pytest.raises(DeclarationErrors, match="nothing turns generation 2 into 3"):
        read_content(DishPrepared, {"dish": "Taco"}, generation=1, upcasters=[name_the_chef])


def test_content_that_does_not_fit_in_the_end_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent, match="dish"):
        read_content(DishPrepared, {"dosh": "Taco"}, generation=1)


def test_a_class_that_is_no_event_type_is_refused() -> None:
    with pytest.raises(TypeError, match="int is no event type"):
        read_content(int, {}, generation=1)
