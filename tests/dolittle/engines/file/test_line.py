"""What a line says is what was committed, and no flipped bit of it passes."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file import line as line_module
from dolittle.engines.file.line import (
    Place,
    count_intact,
    decode,
    encode,
    events_of,
    events_of_all,
    is_intact,
    microseconds,
    seed_of,
    storable,
    store,
    time_of,
)
from dolittle.errors import PayloadDoesNotFit
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit
from dolittle.testing.contract import MovableClock, a_commit, an_event
from tests.dolittle.engines.file.by_hand import a_line

SEED = seed_of("0" * 32)
TIME = datetime(2026, 11, 24, 11, 20, 0, 123456, tzinfo=UTC)

GOLDEN_SHORT = (
    b'{"sum":"ddf17a72","position":7,"synced":5,"commit":"one","time":'
    b'"2026-11-24T11:20:00.123456Z","events":[{"type":"DishPrepared","source":"Dolittle Tacos",'
    b'"content":{"dish":"Bean Blaster Taco"}}]}\n'
)
GOLDEN_FULL = (
    b'{"sum":"5d8c9877","position":0,"synced":0,"commit":"two","time":'
    b'"2026-11-24T11:20:00.123456Z","correlation":"c","causation":"one/0","context":{"version":'
    b'"1.2.0","environment":"test","claims":{"sub":"Mr. Taco"}},"events":[{"type":"DishPrepared",'
    b'"generation":2,"source":"Dolittle Tacos","aggregate":"Kitchen","version":3,"public":true,'
    b'"content":{}}]}\n'
)


def short() -> bytes:
    return encode(store(a_commit(id="one"), Place(7, 5, TIME), [0]), SEED)


def full() -> bytes:
    context = ExecutionContext(
        correlation="c",
        causation="one/0",
        version="1.2.0",
        environment="test",
        claims={"sub": "Mr. Taco"},
    )
    event = EventToCommit("DishPrepared", "Dolittle Tacos", b"{}", 2, True, "Kitchen")
    return encode(store(Commit("two", (event,), context), Place(0, 0, TIME), [3]), SEED)


def test_the_format_is_that_of_the_golden_lines() -> None:
    assert short() == GOLDEN_SHORT
    assert full() == GOLDEN_FULL


GOLDEN_HANDLED = (
    b'{"sum":"af5509f9","position":7,"synced":5,"commit":"one","time":'
    b'"2026-11-24T11:20:00.123456Z","context":{"handler":"Waiter"},"events":[{"type":'
    b'"DishPrepared","source":"Dolittle Tacos","content":{"dish":"Bean Blaster Taco"}}]}\n'
)


def test_the_handler_that_made_a_commit_stands_in_its_context() -> None:
    commit = a_commit(id="one", context=ExecutionContext(handler="Waiter"))
    assert encode(store(commit, Place(7, 5, TIME), [0]), SEED) == GOLDEN_HANDLED
    assert events_of(decode(GOLDEN_HANDLED[:-1]))[0].commit.handler == "Waiter"
    assert events_of(decode(GOLDEN_FULL[:-1]))[0].commit.handler == ""


def test_a_reader_passes_over_members_that_it_does_not_know() -> None:
    later = GOLDEN_HANDLED.replace(b'"handler"', b'"machine":{"name":"x"},"handler"')
    later = later.replace(b'"position"', b'"colour":"red","position"')
    later = later.replace(b'"source"', b'"shape":[1],"source"')
    assert decode(later[:-1]) == decode(GOLDEN_HANDLED[:-1])


def test_a_line_is_one_json_object_for_any_reader() -> None:
    said = msgspec.json.decode(full())
    assert said["events"][0]["content"] == {}
    assert said["context"]["claims"] == {"sub": "Mr. Taco"}
    assert short().count(b"\n") == 1


def test_what_is_decoded_is_what_was_encoded() -> None:
    stored = decode(full()[:-1])
    assert encode(stored, SEED) == full()


@pytest.mark.parametrize("line", [GOLDEN_SHORT, GOLDEN_FULL])
def test_no_flipped_bit_passes(line: bytes) -> None:
    line = line[:-1]
    assert is_intact(line, SEED)
    for bit in range(len(line) * 8):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_intact(bytes(flipped), SEED), bit


def test_a_line_of_another_store_does_not_pass() -> None:
    assert not is_intact(short()[:-1], seed_of("1" * 32))


def test_no_part_of_a_line_passes() -> None:
    line = short()[:-1]
    assert not any(is_intact(line[:end], SEED) for end in range(len(line)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"{",
        b"{}{}",
        b'{"a":\xff}',
        b'{"a":"\n"}',
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
    ],
)
def test_content_that_is_not_one_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(PayloadDoesNotFit, match="event type DishPrepared"):
        storable(a_commit(an_event(), an_event(content=content)))


def test_content_over_several_lines_is_stored_on_one() -> None:
    commit = storable(a_commit(an_event(content=b'{\n\t"a": [1,\r\n 2]}')))
    assert commit.events[0].content == b'{"a":[1,2]}'


def test_content_on_one_line_is_kept_byte_for_byte() -> None:
    commit = a_commit(an_event(content=b'{ "a" : 1.50, "b":"\\u00fc" }'))
    assert storable(commit) is commit


async def test_a_name_that_utf_8_cannot_say_fails_its_commit_alone(tmp_path: Path) -> None:
    store_ = await FileStore.open(tmp_path, clock=MovableClock())
    with pytest.raises(ValueError, match="surrogates"):
        await store_.commit(a_commit(an_event("\ud800")))
    assert (await store_.commit(a_commit())).position == 0
    await store_.close()


def test_times_survive_exactly() -> None:
    for time in (TIME, datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert time_of(microseconds(time)) == time


def test_a_line_without_events_is_none() -> None:
    with pytest.raises(ValueError, match="without events"):
        line_module.decode(
            b'{"position":0,"synced":0,"commit":"a","time":"2026-11-24T00:00:00Z","events":[]}'
        )


@pytest.mark.parametrize("break_", [b"\n", b"\r", b"\t", b"\n\t\r"])
def test_only_content_with_breaks_loses_the_space_between_its_values(break_: bytes) -> None:
    kept = an_event(content=b'{ "a" :  1 }')
    broken = an_event(content=b'{ "a" :%b[1, 2] }' % break_)
    stored = storable(a_commit(kept, broken))
    assert [event.content for event in stored.events] == [kept.content, b'{"a":[1,2]}']


def test_content_without_breaks_is_stored_as_it_is() -> None:
    commit = a_commit(an_event(content=b'{ "a" : "\\n\\t" }'), an_event(content=b"{ }"))
    assert storable(commit) is commit


def test_content_that_is_no_object_is_refused_with_its_type_and_the_reason() -> None:
    with pytest.raises(PayloadDoesNotFit, match="event type Paid: the content is not one JSON"):
        storable(a_commit(an_event(), an_event("Paid", content=b"[1]")))
    with pytest.raises(PayloadDoesNotFit, match=r"JSON object: .*truncated"):
        storable(a_commit(an_event("Paid", content=b"{")))


def test_some_events_of_a_line_are_the_same_as_all_of_them_chosen() -> None:
    events = [an_event(f"T{n}", f"s{n}", b'{"n":%d}' % n, "Kitchen") for n in range(4)]
    stored = decode(encode(store(a_commit(*events), Place(9, 9, TIME), [1, 2, 3, 4]), SEED)[:-1])
    everything = events_of(stored)
    assert [event.content for event in everything] == [event.content for event in events]
    assert [(event.position, event.index) for event in everything] == [
        (9 + index, index) for index in range(4)
    ]
    assert events_of(stored, [1, 3]) == [everything[1], everything[3]]
    assert events_of(stored, []) == []


@pytest.mark.parametrize("size", [0, 1800, 2500])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_lines_together_are_intact_if_each_is(size: int, count: int) -> None:
    content = b'{"a":"%b"}' % (b"x" * size)
    lines = b"".join(a_line(number, content=content) for number in range(count))[:-1]
    assert count_intact(lines, SEED) == count
    assert count_intact(lines, SEED + 1) == 0
    assert count_intact(lines + b"\n", SEED) == 0
    assert count_intact(b"\n" + lines, SEED) == 0
    assert count_intact(lines[:-1], SEED) == 0
    for place in (0, 7, 8, 15, 16, len(lines) // 2, len(lines) - 1):
        flipped = bytearray(lines)
        flipped[place] ^= 32
        assert count_intact(bytes(flipped), SEED) == 0, place
    for other in (b"", b"x", lines[:8], lines[:15], lines[:16]):
        assert count_intact(lines + b"\n" + other, SEED) == 0, other
        assert count_intact(other + b"\n" + lines, SEED) == 0, other
        assert count_intact(other, SEED) == 0, other


@pytest.mark.parametrize("count", [1, 8])
def test_long_lines_are_checked_without_a_copy(count: int) -> None:
    lines = b"".join(a_line(0, content=b'{"a":"%b"}' % (b"x" * 50_000)) for _ in range(count))
    lines = lines[:-1]
    tracemalloc.start()
    assert count_intact(lines, SEED) == count
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10_000


def test_what_is_answered_is_what_is_read_later() -> None:
    context = ExecutionContext(
        correlation="c", causation="one/0", version="1", environment="e", claims={"a": "b"}
    )
    public = EventToCommit("Paid", "Table 1", b'{"b":2}', 2, True, "Bill")
    commits = [
        Commit("one", (public,), context),
        Commit("two", (an_event(), public, an_event("T", "s", b'{"c":3}')), context),
        a_commit(id="three"),
    ]
    stored = [
        store(commit, Place(5 * number, 5 * number, TIME), range(7, 7 + len(commit.events)))
        for number, commit in enumerate(commits)
    ]
    read = [decode(encode(each, SEED)[:-1]) for each in stored]
    every = events_of_all(read)
    assert every == [event for each in read for event in events_of(each)]
    for commit, each, found in zip(commits, stored, read, strict=True):
        assert events_of(each) == events_of(found)
        assert each.next_position == each.position + len(commit.events)
    said = [
        (e.position, e.index, e.type_id, e.generation, e.source, e.aggregate, e.version, e.public)
        for e in every
    ]
    assert said == [
        (0, 0, "Paid", 2, "Table 1", "Bill", 7, True),
        (5, 0, "DishPrepared", 1, "Dolittle Tacos", "", 7, False),
        (6, 1, "Paid", 2, "Table 1", "Bill", 8, True),
        (7, 2, "T", 1, "s", "", 9, False),
        (10, 0, "DishPrepared", 1, "Dolittle Tacos", "", 7, False),
    ]
    assert [event.content for event in every[1:4]] == [event.content for event in commits[1].events]
    assert {type(event.content) for event in every} == {bytes}
    header = every[0].commit
    assert (header.id, header.time, header.correlation, header.causation) == (
        "one",
        TIME,
        "c",
        "one/0",
    )
    assert (header.version, header.environment, header.claims) == ("1", "e", {"a": "b"})
    assert (every[-1].commit.id, every[-1].commit.correlation) == ("three", "three")


def test_there_is_a_version_for_each_event() -> None:
    with pytest.raises(ValueError, match="zip"):
        store(a_commit(), Place(0, 0, TIME), [])


@pytest.mark.parametrize(
    "context",
    [
        ExecutionContext(version="1"),
        ExecutionContext(environment="e"),
        ExecutionContext(handler="Waiter"),
        ExecutionContext(claims={"a": "b"}),
    ],
)
def test_one_member_of_the_context_is_enough_to_be_kept(context: ExecutionContext) -> None:
    commit = Commit("one", (an_event(),), context)
    (event,) = events_of(decode(encode(store(commit, Place(0, 0, TIME), [0]), SEED)[:-1]))
    header = event.commit
    assert (header.version, header.environment) == (context.version, context.environment)
    assert (header.handler, header.claims) == (context.handler, context.claims)


def test_a_correlation_stands_in_the_line_where_it_is_not_the_commit() -> None:
    for correlation, is_there in (("one", False), ("", False), ("two", True)):
        commit = a_commit(id="one", context=ExecutionContext(correlation=correlation))
        line = encode(store(commit, Place(0, 0, TIME), [0]), SEED)
        assert (b'"correlation":"two"' in line) is is_there
        assert (b"correlation" in line) is is_there


@pytest.mark.parametrize("first_bytes", [200, 2047, 2048])
def test_only_long_lines_are_looked_at_one_by_one(
    monkeypatch: pytest.MonkeyPatch, first_bytes: int
) -> None:
    def note(lines: bytes, seed: int) -> int:
        looked_at.append(lines)
        return 3

    looked_at: list[bytes] = []
    monkeypatch.setattr(line_module, "_count_intact_long", note)
    missing = first_bytes + 1 - len(a_line(0, content=b'{"a":""}'))
    lines = a_line(0, content=b'{"a":"%b"}' % (b"x" * missing)) + a_line(1)
    lines += a_line(2, content=b'{"a":"%b"}' % (b"x" * 3000))[:-1]
    assert lines.find(b"\n") == first_bytes
    assert count_intact(lines, SEED) == 3
    assert looked_at == ([lines] if first_bytes >= 2048 else [])


def test_a_cause_is_kept_where_there_is_no_other_context() -> None:
    commit = a_commit(id="two", context=ExecutionContext(causation="one/0"))
    (event,) = events_of(decode(encode(store(commit, Place(0, 0, TIME), [0]), SEED)[:-1]))
    assert event.commit.causation == "one/0"
