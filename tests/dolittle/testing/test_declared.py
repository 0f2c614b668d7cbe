"""What a store keeps of an event."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dolittle import event_type
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.testing import stored_content


@event_type
class OrderPaid:
    amount: Decimal
    at: datetime


def test_stored_content_is_json_by_field() -> None:
    event = OrderPaid(amount=Decimal("9.50"), at=datetime(2026, 1, 31, tzinfo=UTC))
    assert stored_content(event) == {"amount": "9.50", "at": "2026-01-31T00:00:00Z"}


def test_what_cannot_be_stored_is_refused() -> None:
    @event_type
    class Strange:
        sort: memoryview | object

    with pytest.raises(PayloadDoesNotFit, match="OrderPaid"):
        stored_content(OrderPaid(amount="much", at=datetime(2026, 1, 31, tzinfo=UTC)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no event"):
        stored_content({"amount": 1})
    with pytest.raises(DeclarationErrors):
        stored_content(Strange(sort=1))


def test_what_would_be_read_back_as_something_else_is_refused() -> None:
    @event_type
    class NoteMade:
        text: str

    with pytest.raises(PayloadDoesNotFit, match=r"would be read back as '9\.50'") as refused:
        stored_content(NoteMade(text=Decimal("9.50")))  # type: ignore[arg-type]
    assert "Decimal('9.50')" in str(refused.value)
