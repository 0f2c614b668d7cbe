"""What is stored is what was meant, and what does not fit is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dolittle import event_type
from dolittle.errors import PayloadDoesNotFit, UnreadableEvent
from dolittle.serialization import EventTypes, encode
from dolittle.store import CommitHeader, CommittedEvent


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


HEADER = CommitHeader("c", datetime(2026, 11, 24, tzinfo=UTC), "c")


def stored(position: int, content: bytes, *, generation: int = 1, type_id: str = "OrderPlaced"):
    return CommittedEvent(
        position, HEADER, 0, type_id, generation, "table-4", "", 0, False, content
    )


@event_type("OrderPlaced", generation=2)
class OrderPlacedAgain:
    note: str
    total: float = 0.0


def test_events_decoded_together_are_those_decoded_one_by_one() -> None:
    types = EventTypes([OrderPlacedAgain], {"OrderPlaced": [lambda old: {**old, "total": 2.5}]})
    events = [
        stored(0, b'{"note":"a"}', generation=2),
        stored(1, b'{"note":"b"}'),
        stored(2, b'{"note":"c","total":1}', generation=2),
    ]
    assert types.decode_all(events) == [types.decode(event) for event in events]
    assert types.decode_all(events)[1] == OrderPlacedAgain(note="b", total=2.5)
    assert types.decode_all([]) == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (stored(1, b'{"note":7}'), "Expected `str`"),
        (stored(1, b"{}", type_id="Unknown"), "no class has this event type id"),
        (stored(1, b'{"note":"x"}', generation=3), "the class OrderPlaced is generation 1"),
    ],
)
def test_the_first_unreadable_one_of_several_is_named(event: CommittedEvent, reason: str) -> None:
    types = EventTypes([OrderPlaced])
    events = [stored(0, b'{"note":"a"}'), event, stored(2, b"{}")]
    with pytest.raises(UnreadableEvent, match=reason) as caught:
        types.decode_all(events)
    assert caught.value.position == 1
