"""Stored events of older generations are read as the class is now."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dolittle import event_type, upcaster
from dolittle.errors import DeclarationErrors, UnreadableEvent
from dolittle.runtime.definition import define
from dolittle.store import CommitHeader, CommittedEvent


@event_type("DishPrepared", generation=3)
class DishPrepared:
    dish: str
    chef: str
    minutes: int


@upcaster(DishPrepared, from_generation=1)
def name_the_chef(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "chef": "unknown"}


@upcaster(DishPrepared, from_generation=2)
def count_minutes(content: dict[str, Any]) -> dict[str, Any]:
    content["minutes"] = content.pop("hours", 1) * 60
    return content


def stored(generation: int, content: bytes) -> CommittedEvent:
    header = CommitHeader("c", datetime(2026, 1, 31, tzinfo=UTC), "c")
    return CommittedEvent(
        4, header, 0, "DishPrepared", generation, "Dolittle Tacos", "", 0, False, content
    )


def test_an_older_generation_goes_through_every_upcaster_up_to_the_class() -> None:
    types = define("kitchen", [DishPrepared, count_minutes, name_the_chef]).event_types

    assert types.decode(stored(1, b'{"dish":"Taco"}')) == DishPrepared("Taco", "unknown", 60)
    assert types.decode(stored(2, b'{"dish":"Taco","chef":"T","hours":2}')) == DishPrepared(
        "Taco", "T", 120
    )
    assert types.decode(stored(3, b'{"dish":"Taco","chef":"T","minutes":5}')) == DishPrepared(
        "Taco", "T", 5
    )


def test_a_generation_newer_than_the_class_is_unreadable() -> None:
    types = define("kitchen", [DishPrepared, count_minutes, name_the_chef]).event_types

    with pytest.raises(UnreadableEvent, match="DishPrepared is generation 3"):
        types.decode(stored(4, b"{}"))


def test_a_failing_upcaster_makes_the_event_unreadable_and_says_why() -> None:
    types = define("kitchen", [DishPrepared, count_minutes, name_the_chef]).event_types

    with pytest.raises(UnreadableEvent, match="TypeError"):
        types.decode(stored(2, b'{"dish":"Taco","chef":"T","hours":null}'))


def test_a_hole_in_the_chain_is_an_error_when_the_microservice_is_loaded() -> None:
    with pytest.raises(DeclarationErrors, match="nothing turns generation 1 into 2") as caught:
        define("kitchen", [DishPrepared, count_minutes])

    assert caught.value.problems[0][0] == __file__


def test_two_upcasters_of_one_generation_and_one_too_many_are_errors() -> None:
    @upcaster(DishPrepared, from_generation=2)
    def once_more(content: dict[str, Any]) -> dict[str, Any]:
        return content

    @upcaster(DishPrepared, from_generation=3)
    def beyond(content: dict[str, Any]) -> dict[str, Any]:
        return content

    with pytest.raises(DeclarationErrors) as caught:
        define("kitchen", [DishPrepared, name_the_chef, count_minutes, once_more, beyond])

    messages = " ".join(problem[2] for problem in caught.value.problems)
    assert "another one takes generation 2" in messages
    assert "takes generation 3, but DishPrepared is generation 3" in messages


def test_an_upcaster_of_a_class_that_is_no_event_type_is_an_error() -> None:
    @upcaster(int, from_generation=1)
    def lost(content: dict[str, Any]) -> dict[str, Any]:
        return content

    with pytest.raises(DeclarationErrors, match="upcaster lost is for no event type"):
        define("kitchen", [lost])
