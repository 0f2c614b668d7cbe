"""What is stored is what was meant, and what does not fit is refused."""

from decimal import Decimal
from typing import Any

import pytest

from dolittle import event_type
from dolittle.errors import PayloadDoesNotFit
from dolittle.serialization import encode


@event_type
class OrderPlaced:
    note: str
    total: float = 0.0


def test_a_value_that_would_be_read_back_as_another_is_refused_and_named() -> None:
    wrong: Any = Decimal("1.50")

    with pytest.raises(PayloadDoesNotFit, match=r"note=Decimal\('1.50'\)"):
        encode(OrderPlaced(note=wrong))


def test_a_whole_number_in_a_field_for_floats_is_stored() -> None:
    assert encode(OrderPlaced(note="x", total=3)) == b'{"note":"x","total":3}'
