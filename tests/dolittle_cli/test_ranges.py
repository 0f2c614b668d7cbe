from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle.engines.memory import MemoryStore
from dolittle.errors import Unknown
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit, Selection
from dolittle.testing import HeldClock
from dolittle_cli.cursors import Cursor
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.ranges import (
    BACK_MAX,
    Ago,
    At,
    AtTime,
    BeforeEnd,
    Behind,
    End,
    OfCursor,
    OfEvent,
    Start,
    parse,
    position_of,
    select,
    understood,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def make_log(clock: HeldClock, commits: int = 5) -> MemoryStore:
    """Make a log with one commit of two events a minute."""
    store = MemoryStore(clock=clock)
    for number in range(commits):
        event = EventToCommit("DishPrepared", f"kitchen {number % 2}", b"{}")
        await store.commit(Commit(f"c{number}", (event, event), ExecutionContext()))
        clock.advance(60)
    return store


async def positions(store: MemoryStore, selection: Selection) -> list[int]:
    return [event.position async for page in store.read(selection) for event in page.events]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("start", Start()),
        ("end", End()),
        ("0", At(0)),
        ("12", At(12)),
        ("-10", BeforeEnd(10)),
        ("+5", Behind(5)),
        ("evt:abc/1", OfEvent("abc/1")),
        ("cursor:seen", OfCursor(Path("seen"))),
        ("@2026-01-31", AtTime(datetime(2026, 1, 31, tzinfo=UTC))),
        ("@2026-01-31T10:00Z", AtTime(datetime(2026, 1, 31, 10, tzinfo=UTC))),
        ("@2026-01-31T10:00", AtTime(datetime(2026, 1, 31, 10, tzinfo=UTC))),
        ("@2026-01-31T10:00:30+02:00", AtTime(datetime(2026, 1, 31, 8, 0, 30, tzinfo=UTC))),
        ("@-15m", Ago(timedelta(minutes=15))),
        ("@-1h30m", Ago(timedelta(minutes=90))),
        ("@-2d", Ago(timedelta(days=2))),
    ],
)
def test_parse_reads_each_form(text: str, bound: object) -> None:
    assert parse(text) == bound


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "first",
        "1.5",
        "--1",
        "+",
        "-",
        "@",
        "@-",
        "@-15",
        "@-m",
        "@tomorrow",
        "evt:",
        "²",
        "@9999-12-31T23:59-12:00",
    ],
)
def test_parse_refuses_what_is_no_place_and_says_what_is(text: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        parse(text)
    assert refused.value.exit_code == 2
    assert repr(text) in str(refused.value)
    for form in ("start", "end", "-N", "+N", "@2026-01-31", "@-15m", "evt:ID"):
        assert form in refused.value.hint


@pytest.mark.parametrize("text", ["@-99999999w", "@-9999999999999d"])
def test_parse_refuses_an_age_that_no_date_can_hold(text: str) -> None:
    with pytest.raises(WrongUsage, match="longer ago than any event"):
        parse(text)


@given(st.text() | st.from_regex(r"@-?[0-9:TZ+-]{1,25}"))
def test_parse_answers_or_refuses_whatever_is_typed(text: str) -> None:
    with contextlib.suppress(WrongUsage):
        parse(text)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        ("start", "end", range(10)),
        ("3", None, range(3, 10)),
        ("10", None, []),
        ("end", None, []),
        ("-3", None, range(7, 10)),
        ("-99", None, range(10)),
        ("-0", None, []),
        ("+3", None, range(3, 10)),
        ("+99", None, []),
        ("2", "5", range(2, 5)),
        ("2", "+3", range(2, 5)),
        (None, "+3", range(3)),
        (None, "-2", range(8)),
        (None, "start", []),
        ("evt:c2", None, range(4, 10)),
        ("evt:c2/1", None, range(5, 10)),
        ("evt:c1", "evt:c2", range(2, 4)),
        ("@2026-01-31T12:02Z", None, range(4, 10)),
        ("@2026-01-31T12:01Z", "@2026-01-31T12:03Z", range(2, 6)),
        ("@2026-01-31T12:01Z", "+1", range(2, 3)),
        ("@-2m", None, range(6, 10)),
    ],
)
async def test_select_includes_from_and_excludes_to(
    start: str | None, stop: str | None, expected: range
) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    selection = await select(
        store, clock, parse(start) if start else None, parse(stop) if stop else None
    )
    assert await positions(store, selection) == list(expected)


async def test_select_keeps_what_else_restricts() -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    selection = await select(store, clock, parse("2"), parse("+4"), Selection(source="kitchen 0"))
    assert await positions(store, selection) == [4, 5]


async def test_a_position_beyond_the_end_is_refused_with_where_the_end_is() -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    with pytest.raises(CommandLineError, match=r"position 11 .* the last event is at position 9"):
        await select(store, clock, parse("11"))


async def test_an_id_that_no_event_has_is_refused() -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    for text in ("evt:nothing", "evt:c2/7"):
        with pytest.raises(Unknown):
            await select(store, clock, parse(text))


async def test_looking_far_back_is_refused_with_a_better_way() -> None:
    with pytest.raises(WrongUsage) as refused:
        await select(MemoryStore(), HeldClock(NOON), BeforeEnd(BACK_MAX + 1))
    assert "@-2d" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "position"),
    [("start", 0), ("@2026-01-31T12:01:30Z", 4), ("@-1s", 10), ("-1", 9), ("end", 10)],
)
async def test_position_of_a_time_is_that_of_the_first_event_from_then_on(
    text: str, position: int
) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    assert await position_of(store, clock, parse(text)) == position


@pytest.mark.parametrize("text", ["@2027-01-01", "@2026-01-31T12:05:01Z"])
@pytest.mark.parametrize("is_start", [True, False])
async def test_a_time_in_the_future_is_refused(text: str, is_start: bool) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    bound = parse(text)
    with pytest.raises(CommandLineError, match="in the future: it is 2026-01-31T12:05"):
        await select(store, clock, bound if is_start else None, None if is_start else bound)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("5", "4"),
        ("end", "start"),
        ("-1", "-3"),
        ("@2026-01-31T12:03", "@2026-01-31T12:02"),
        ("@2026-01-31T12:03", "2"),
        ("8", "@2026-01-31T12:01"),
        ("@-10s", "@-20s"),
    ],
)
async def test_bounds_the_wrong_way_round_are_refused(start: str, stop: str) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    with pytest.raises(WrongUsage, match=r"--to .* lies before --from"):
        await select(store, clock, parse(start), parse(stop))


async def test_a_range_without_events_is_a_range() -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    assert await positions(store, await select(store, clock, parse("3"), parse("3"))) == []


async def test_the_place_of_a_cursor_is_where_reading_stopped(tmp_path: Path) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    Cursor(tmp_path / "seen").write(store.id, "kitchen", "development", 7)
    assert await position_of(store, clock, OfCursor(tmp_path / "seen")) == 7
    with pytest.raises(CommandLineError, match="of another event log"):
        await position_of(MemoryStore(), clock, OfCursor(tmp_path / "seen"))
    with pytest.raises(CommandLineError, match="there is no cursor"):
        await position_of(store, clock, OfCursor(tmp_path / "other"))


@pytest.mark.parametrize(
    ("start", "stop", "words"),
    [
        ("start", None, "from position 0 (2026-01-31T12:00:00.000000Z) on"),
        ("end", None, "from the end (position 10) on"),
        ("-4", "end", "from position 6 (2026-01-31T12:03:00.000000Z) up to the end (position 10), "
         "exclusive"),
        ("@2026-01-31T12:00:30Z", "+3", "from position 2 (2026-01-31T12:01:00.000000Z) up to "
         "position 5 (2026-01-31T12:02:00.000000Z), exclusive"),
    ],
)  # fmt: skip
async def test_bounds_are_told_as_they_are_understood(
    start: str, stop: str | None, words: str
) -> None:
    clock = HeldClock(NOON)
    store = await make_log(clock)
    selection = await select(store, clock, parse(start), parse(stop) if stop else None)
    assert await understood(store, selection) == words
