"""Value objects."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest

from dolittle import constraint, event_type, value
from dolittle.errors import DeclarationErrors
from dolittle.runtime.definition import define
from dolittle.testing import stored_content


@value
class Money:
    """An amount of a currency."""

    amount: Decimal
    currency: Annotated[str, constraint(min_length=3, max_length=3)] = "EUR"

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@event_type
class BillPaid:
    total: Money
    parts: dict[str, list[Money]] = {}  # noqa: RUF012 - each instance gets its own


def test_a_value_is_what_it_holds() -> None:
    assert Money(amount=Decimal(1)) == Money(Decimal(1), "EUR")
    assert Money(Decimal(1)) != Money(Decimal(2))
    assert len({Money(Decimal(1)), Money(Decimal(1))}) == 1


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Money(Decimal(1)).amount = Decimal(2)  # type: ignore[misc]


def test_a_value_keeps_its_methods_and_its_docstring() -> None:
    assert str(Money(Decimal(1))) == "1 EUR"
    assert Money.__doc__ == "An amount of a currency."


def test_a_value_is_stored_within_an_event() -> None:
    event = BillPaid(total=Money(Decimal("1.50")), parts={"a": [Money(Decimal(1), "USD")]})
    assert stored_content(event) == {
        "total": {"amount": "1.50", "currency": "EUR"},
        "parts": {"a": [{"amount": "1", "currency": "USD"}]},
    }


def test_a_value_alone_has_stored_content_too() -> None:
    assert stored_content(Money(Decimal(1))) == {"amount": "1", "currency": "EUR"}


def test_a_value_that_cannot_be_stored_is_found_when_it_is_loaded() -> None:
    @value
    class Strange:
        what: complex

    @value
    class Loose:
        size: Annotated[bool, constraint(ge=1)]

    @value
    class Backwards:
        a: int = 1
        b: str  # type: ignore[misc]

    with pytest.raises(DeclarationErrors) as refused:
        define("shop", [Strange, Loose, Backwards])
    text = str(refused.value)
    assert "value Strange: field 'what': complex cannot be stored as JSON" in text
    assert "value Loose: field 'size': the constraint ge means nothing for a bool" in text
    assert "value Backwards: " in text


def test_values_of_a_definition_are_checked_and_need_no_event() -> None:
    assert list(define("shop", [Money]).event_types) == []
