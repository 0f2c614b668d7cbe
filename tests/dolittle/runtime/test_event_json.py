from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from dolittle.events import event_type
from dolittle.runtime.event_json import event_json, time_json
from dolittle.serialization import EventTypes
from dolittle.store import CommitHeader, CommittedEvent

KEYS = [
    "position",
    "time",
    "type",
    "type_id",
    "generation",
    "source",
    "aggregate",
    "version",
    "commit",
    "index",
    "correlation",
    "causation",
    "public",
    "tenant",
    "content",
]


@event_type("dish-prepared")
class DishPrepared:
    dish: str


def committed(*, aggregate: str = "", causation: str = "") -> CommittedEvent:
    header = CommitHeader("c1", datetime(2026, 1, 31, 10, tzinfo=UTC), "k1", causation)
    return CommittedEvent(
        position=7,
        commit=header,
        index=2,
        type_id="dish-prepared",
        generation=1,
        source="Dolittle Tacos",
        aggregate=aggregate,
        version=3 if aggregate else 0,
        public=False,
        content=b'{"dish":"Bean Blaster Taco"}',
    )


def test_event_json_has_every_key_in_a_fixed_order() -> None:
    found = event_json(
        committed(aggregate="Kitchen", causation="c0/0"), EventTypes(), "development"
    )
    assert list(found) == KEYS
    assert found["aggregate"] == "Kitchen"
    assert found["version"] == 3
    assert found["causation"] == "c0/0"
    assert found["content"] == {"dish": "Bean Blaster Taco"}
    assert found["time"] == "2026-01-31T10:00:00.000000Z"
    assert json.loads(json.dumps(found)) == found


def test_event_json_says_null_where_there_is_no_aggregate_and_no_cause() -> None:
    found = event_json(committed(), EventTypes(), "development")
    assert (found["aggregate"], found["version"], found["causation"]) == (None, None, None)


def test_event_json_names_the_type_by_alias_and_falls_back_to_the_id() -> None:
    known = event_json(committed(), EventTypes([DishPrepared]), "development")
    unknown = event_json(committed(), EventTypes(), "development")
    assert (known["type"], known["type_id"]) == ("DishPrepared", "dish-prepared")
    assert (unknown["type"], unknown["type_id"]) == ("dish-prepared", "dish-prepared")


def test_time_json_is_utc_wherever_the_time_was_told() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert time_json(datetime(2026, 1, 31, 19, tzinfo=tokyo)) == "2026-01-31T10:00:00.000000Z"
