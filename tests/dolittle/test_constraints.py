"""Constraints on fields: what they refuse, where, and what they leave readable."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dolittle.testing as kit
from dolittle import (
    AggregateRoot,
    RuleViolation,
    aggregate_root,
    constraint,
    event_type,
    on,
    projection,
    value,
)
from dolittle.constraints import violation_of
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.limits import Constraint
from dolittle.runtime.definition import define
from dolittle.runtime.http.schemas import Components
from dolittle.serialization import EventTypes, encode, from_values


@value
class Line:
    sku: Annotated[str, constraint(pattern=r"^[A-Z]{2}-\d+$", example="AB-1")]
    quantity: Annotated[int, constraint(ge=1, le=10)] = 1


@event_type
class OrderPlaced:
    total: Annotated[Decimal, constraint(ge=Decimal("0.01"), multiple_of=Decimal("0.01"))]
    lines: Annotated[list[Line], constraint(min_length=1, max_length=2)]
    email: Annotated[str, constraint(pattern="@", max_length=9)] | None = None
    notes: dict[str, Annotated[str, constraint(min_length=1)]] = {}  # noqa: RUF012


@aggregate_root
class Till(AggregateRoot):
    money: Annotated[Decimal, constraint(le=100)] = Decimal(0)

    def place(self, total: Annotated[Decimal, constraint(ge=1)], lines: list[Line]) -> None:
        self.apply(OrderPlaced(total=total, lines=lines))

    def place_stubbornly(self) -> None:
        with contextlib.suppress(RuleViolation):
            self.apply(OrderPlaced(total=Decimal(101), lines=[Line(sku="AB-1")]))

    @on(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        self.money += event.total


@projection
class Last:
    total: Annotated[Decimal, constraint(lt=50)]

    @on(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        self.total = event.total


LINE = Line(sku="AB-1")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"total": Decimal(0)}, "expected at least 0.01, got 0 - at `$.total`"),
        ({"total": Decimal("0.015")}, "expected a multiple of 0.01, got 0.015 - at `$.total`"),
        ({"total": Decimal("NaN")}, "total=Decimal('NaN') would be read back as"),
        ({"lines": []}, "expected at least 1 entry, got [] - at `$.lines`"),
        ({"lines": [LINE] * 3}, "expected at most 2 entries"),
        ({"lines": [LINE, Line(sku="ab-1")]}, "got 'ab-1' - at `$.lines[1].sku`"),
        ({"lines": [Line(sku="AB-1", quantity=0)]}, "at least 1, got 0 - at `$.lines[0].quantity`"),
        ({"email": "nobody"}, "expected a match of '@', got 'nobody' - at `$.email`"),
        ({"email": "1234567@90"}, "expected at most 9 characters"),
        ({"notes": {"a": ""}}, "expected at least 1 character, got '' - at `$.notes['a']`"),
    ],
)
def test_an_event_that_breaks_a_constraint_cannot_be_committed(
    changed: dict[str, Any], reason: str
) -> None:
    fits: dict[str, Any] = {"total": Decimal(1), "lines": [LINE]}
    encode(OrderPlaced(**fits))
    with pytest.raises(PayloadDoesNotFit) as refused:
        encode(OrderPlaced(**{**fits, **changed}))
    assert reason in str(refused.value)


def test_values_from_outside_are_held_to_constraints_also_as_text() -> None:
    fits = {"total": "1.00", "lines": [{"sku": "AB-1"}]}
    assert from_values(OrderPlaced, fits, what="event").total == Decimal(1)
    with pytest.raises(PayloadDoesNotFit, match=r"event: expected at least 0.01, got 0.00"):
        from_values(OrderPlaced, {**fits, "total": "0.00"}, what="event")
    with pytest.raises(PayloadDoesNotFit, match=r"at least 1, got -1"):
        from_values(Line, {"sku": "AB-1", "quantity": "-1"}, what="line", lenient=True)


async def test_an_argument_is_held_to_its_constraints() -> None:
    definition = define("shop", [Till, OrderPlaced, Line])
    command = definition.aggregates["Till"].commands["place"]
    with pytest.raises(PayloadDoesNotFit, match="expected at least 1, got 0"):
        from_values(command.arguments, {"total": "0", "lines": []}, what="Till.place")


def test_what_is_stored_already_is_read_although_it_breaks_a_constraint() -> None:
    stored = b'{"total":"0","lines":[]}'
    read = msgspec.json.decode(stored, type=OrderPlaced)
    assert read.total == 0
    assert OrderPlaced in [EventTypes([OrderPlaced]).class_of("OrderPlaced")]


def test_a_constraint_of_an_aggregate_root_is_a_rule() -> None:
    done = kit.given(Till, "a till", OrderPlaced(total=Decimal(99), lines=[LINE])).when(
        Till.place, total=Decimal(2), lines=[LINE]
    )
    done.then_refused("Till: expected at most 100, got 101 - at `money`")


def test_events_that_are_stored_lead_to_their_state_whatever_the_constraint() -> None:
    kit.given(Till, "a till", OrderPlaced(total=Decimal(500), lines=[LINE])).then_state(
        money=Decimal(500)
    )


def test_a_broken_constraint_cannot_be_caught_and_committed() -> None:
    kit.given(Till, "a till").when(Till.place_stubbornly).then_refused(
        "Till: expected at most 100, got 101 - at `money`"
    )


def test_a_read_model_that_breaks_a_constraint_is_not_stored() -> None:
    events = kit.given_events(OrderPlaced(total=Decimal(70), lines=[LINE]), source="a till")
    with pytest.raises(ValueError, match="expected less than 50, got 70"):
        events.then_read_model(Last, "a till", Last(total=Decimal(70)))


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (Annotated[bool, constraint(ge=1)], "the constraint ge means nothing for a bool"),
        (Annotated[int, constraint(pattern="x")], "the constraint pattern means nothing for a int"),
        (Annotated[int, constraint(max_length=1)], "max_length means nothing for a int"),
        (Annotated[list[str], constraint(pattern="x")], "pattern means nothing for a list"),
        (Annotated[int, constraint(ge=2, le=1)], "no number is between 2 and 1"),
        (Annotated[int, constraint(gt=1, le=1)], "no number is between 1 and 1"),
        (Annotated[str, constraint(min_length=2, max_length=1)], "no length is between 2 and 1"),
        (Annotated[str, constraint(min_length=-1)], "min_length=-1 is no length"),
        (Annotated[str, constraint(pattern="(")], "is no regular expression"),
        (Annotated[int, constraint(multiple_of=0)], "multiple_of=0 is not more than 0"),
        (Annotated[float, constraint(ge=float("nan"))], "ge=nan is no number to compare with"),
        (Annotated[int, constraint(ge=1, example=0)], "the example does not fit"),
    ],
)
def test_a_constraint_that_cannot_be_meant_is_found_when_it_is_loaded(of: Any, reason: str) -> None:
    made = type("Wrong", (), {"__annotations__": {"a": of}, "__module__": __name__})
    with pytest.raises(DeclarationErrors, match="field 'a'") as refused:
        define("shop", [event_type(made)])
    assert reason in str(refused.value)


def test_a_default_that_breaks_its_constraint_is_found_when_it_is_loaded() -> None:
    @event_type
    class Wrong:
        a: Annotated[int, constraint(ge=1)] = 0

    @aggregate_root
    class Root(AggregateRoot):
        a: Annotated[int, constraint(ge=1)] = 0

        def go(self, b: Annotated[int, constraint(ge=1)] = 0) -> None: ...

    with pytest.raises(DeclarationErrors) as refused:
        define("shop", [Wrong, Root])
    assert str(refused.value).count("its default does not fit: expected at least 1, got 0") == 3


def test_constraints_stand_in_schemas() -> None:
    components = Components()
    components.add("OrderPlaced", OrderPlaced)
    order = components.schemas["OrderPlaced"]["properties"]
    assert order["total"]["minimum"] == 0.01
    assert order["lines"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Line"},
        "minItems": 1,
        "maxItems": 2,
    }
    assert order["notes"]["additionalProperties"] == {"type": "string", "minLength": 1}
    line = components.schemas["Line"]["properties"]
    assert line["sku"] == {"type": "string", "pattern": r"^[A-Z]{2}-\d+$", "examples": ["AB-1"]}
    assert line["quantity"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}


def test_a_value_object_that_several_refer_to_is_one_schema() -> None:
    components = Components()
    components.add("OrderPlaced", OrderPlaced)
    components.add("Till.place", list[Line])
    assert [name for name in components.schemas if "Line" in name] == ["Line"]


@value
class Tree:
    size: Annotated[int, constraint(ge=0)]
    children: list[Tree] = []  # noqa: RUF012 - each instance gets its own


def test_a_class_that_contains_itself_is_checked_to_its_leaves() -> None:
    assert violation_of(Tree(1, [Tree(2, [Tree(3)])])) == ""
    assert "$.children[0].children[0].size" in violation_of(Tree(1, [Tree(2, [Tree(-3)])]))


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(-5, 5))
def test_bounds_are_exact_for_decimals(number: Decimal, bound: int) -> None:
    assert (Constraint(ge=bound).violation(number) == "") == (number >= bound)
    assert (Constraint(lt=bound).violation(number) == "") == (number < bound)


def test_a_float_is_a_multiple_as_people_read_it() -> None:
    assert Constraint(multiple_of=0.1).violation(0.3) == ""
    assert Constraint(multiple_of=0.1).violation(0.35) != ""
