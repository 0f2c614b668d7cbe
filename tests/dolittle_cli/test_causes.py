from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dolittle.store import CommitHeader, CommittedEvent
from dolittle_cli.causes import Caused, make_tree, walk

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def caused(number: int, by: int | None) -> Caused:
    causation = f"c{by}/0" if by is not None else ""
    header = CommitHeader(f"c{number}", NOON + timedelta(seconds=number), "x", causation)
    event = CommittedEvent(number, header, 0, "X", 1, "s", "", 0, False, b"{}")
    return Caused("kitchen", event)


def test_effects_stand_under_their_cause() -> None:
    items = [caused(0, None), caused(1, 0), caused(2, 1), caused(3, 0), caused(4, 9)]
    roots = make_tree(items)
    assert [item.event.position for item in roots] == [0, 4]
    assert [item.event.position for item in walk(roots)] == [0, 1, 2, 3, 4]
    assert items[2].after_s == 1.0
    assert items[4].after_s is None


@given(st.lists(st.none() | st.integers(0, 12), max_size=12))
def test_every_event_is_in_the_tree_once_whatever_causes_what(causes: list[int | None]) -> None:
    items = [caused(number, by) for number, by in enumerate(causes)]
    found = [item.event.position for item in walk(make_tree(items))]
    assert sorted(found) == list(range(len(causes)))
