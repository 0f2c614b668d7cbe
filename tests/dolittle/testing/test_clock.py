"""A clock that a test holds still."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dolittle.execution import Clock
from dolittle.testing import HeldClock


def test_a_held_clock_stands_still() -> None:
    clock: Clock = HeldClock(datetime(2026, 3, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 3, 1, tzinfo=UTC)


def test_advance_moves_by_seconds_and_says_where_to() -> None:
    clock = HeldClock(datetime(2026, 3, 1, tzinfo=UTC))
    assert clock.advance(90.5) == clock.now() == datetime(2026, 3, 1, 0, 1, 30, 500_000, tzinfo=UTC)


def test_a_held_clock_shows_utc_wherever_it_was_started() -> None:
    clock = HeldClock(datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now().tzinfo is UTC
    assert clock.now().hour == 0


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        HeldClock(datetime(2026, 3, 1))  # noqa: DTZ001 - this is what is refused


def test_a_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        HeldClock().advance(-1)
