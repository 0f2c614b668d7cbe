from __future__ import annotations

from typing import Any

import pytest

from dolittle import event_type
from dolittle.errors import PayloadDoesNotFit
from dolittle.serialization import NESTING_MAX, EventTypes, encode, from_values


@event_type
class DishPrepared:
    dish: str = ""
    count: int = 0
    price: float = 0.0
    tags: list[str] = []  # noqa: RUF012 - copied for each event
    more: Any = None


@event_type("DishPrepared", generation=2)
class DishPreparedAnew:
    dish: str


def nested(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "values",
    [
        {"dish": 5},
        {"dish": "\ud800"},
        {"dish": None},
        {"count": "5"},
        {"count": True},
        {"count": 1.5},
        {"price": float("nan")},
        {"price": float("inf")},
        {"price": 10**400},
        {"tags": ("a", 5)},
        {"tags": {"a": 1}},
        {"more": object()},
        {"more": {1j: 2}},
        {"more": nested(10_000)},
    ],
    ids=str.split(
        "number surrogate none text bool fraction nan inf huge mixed dict object key deep"
    ),
)
def test_a_value_that_would_not_come_back_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PayloadDoesNotFit, match="event type DishPrepared: "):
        encode(DishPrepared(**values))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "expected an object, got list"),
        ({"dihs": "a"}, "there is no field 'dihs'"),
        ({"count": "x"}, "count"),
        ({"more": nested(NESTING_MAX + 1)}, "nest deeper than 64 levels"),
        ({"more": nested(100_000)}, "nest deeper than 64 levels"),
    ],
    ids=["list", "unknown", "type", "deep", "very deep"],
)
def test_values_that_do_not_fit_are_refused(values: Any, reason: str) -> None:
    with pytest.raises(PayloadDoesNotFit, match=reason):
        from_values(DishPrepared, values, what="event type DishPrepared")


def test_texts_stand_for_other_values_where_that_is_wanted() -> None:
    values = {"dish": "[a]", "count": "3", "price": "1.5", "tags": '["a", "b"]'}
    built = from_values(DishPrepared, values, what="", lenient=True)
    assert built == DishPrepared(dish="[a]", count=3, price=1.5, tags=["a", "b"])


def test_the_newest_generation_of_an_id_is_the_class() -> None:
    for classes in ([DishPrepared, DishPreparedAnew], [DishPreparedAnew, DishPrepared]):
        types = EventTypes(classes)
        assert types.class_of("DishPrepared") is DishPreparedAnew
        assert types.alias("DishPrepared") == "DishPreparedAnew"
        assert types.alias("unknown") == "unknown"
        assert "unknown" not in types
