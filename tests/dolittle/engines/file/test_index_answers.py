"""The index alone answers what lines say, however they came in, and is nobody else's."""

from __future__ import annotations

import random
import sqlite3
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dolittle.engines.file import blocks as blocks_module
from dolittle.engines.file import index as index_module
from dolittle.engines.file.blocks import Value
from dolittle.engines.file.index import Index, Indexed, SealedSegment
from dolittle.engines.file.keys import commit_order
from dolittle.engines.file.line import Place, StoredCommit, microseconds, store
from dolittle.engines.file.tail import AGGREGATE, PLACE_BYTES, SOURCE, TYPE, KnownPlace, Tail
from dolittle.execution import ExecutionContext
from dolittle.testing.contract import a_commit, an_event
from tests.dolittle.engines.file.by_hand import TIME

STORE = "0" * 32
# Some are parts of others, and some sort otherwise as text than by their length.
NAMES = ["", "a", "aa", "ab", "b", "ä", "a\0", "\uffff", "a" * 300]


@pytest.fixture(params=["memory", "file"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    path = tmp_path / "index.sqlite" if request.param == "file" else None
    index = Index(path, STORE, is_writable=path is not None)
    yield index
    index.close()


@pytest.fixture
def short_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_ADDRESSES_MAX", 5)
    monkeypatch.setattr(blocks_module, "ROW_BYTES_MAX", 90)


class Lines:
    """Lines of which everything is looked up one by one."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.commits: list[StoredCommit] = []
        self.addresses: list[int] = []
        self.end, self.position = 0, 0
        self.last_place = -PLACE_BYTES
        self.places: list[KnownPlace] = []
        self.versions: dict[tuple[str, str], int] = {}

    def more(self, index: Index, count: int) -> Tail:
        """Make lines and add them to an index."""
        tail = Tail(self.end, self.position, self.last_place)
        for _ in range(count):
            commit = self._next()
            length = self.chance.choice([1, 500, 3 * PLACE_BYTES // 2, 60 * PLACE_BYTES])
            if self.end - self.last_place >= PLACE_BYTES:
                self.last_place = self.end
                time_us = microseconds(commit.time)
                self.places.append(KnownPlace(commit.position, self.end, time_us))
            tail.add(commit, length)
            self.commits.append(commit)
            self.addresses.append(self.end)
            self.end += length
            self.position = commit.next_position
        indexed = Indexed(self.end, self.position, self.position, tail.last_address, 77)
        begun = index.begin()
        assert begun.address == tail.start
        index.add(tail, indexed, [])
        assert index.indexed() == indexed
        return tail

    def _next(self) -> StoredCommit:
        chance, number = self.chance, len(self.commits)
        events = [
            an_event(chance.choice(NAMES[1:]), chance.choice(NAMES), aggregate=chance.choice(NAMES))
            for _ in range(chance.choice([1, 1, 2, 5]))
        ]
        versions = []
        for event in events:
            stream = (event.aggregate, event.source)
            if event.aggregate:
                self.versions[stream] = self.versions.get(stream, 0) + 1
            versions.append(self.versions.get(stream, 0) if event.aggregate else 0)
        id_ = f"{number:032x}" if number % 2 else "x" * (1 + number)
        context = ExecutionContext(correlation=chance.choice(["", "c", "cc", "c\0"]))
        time = TIME + timedelta(microseconds=number // 3)
        place = Place(self.position, self.position, time)
        return store(a_commit(*events, id=id_, context=context), place, versions)

    def check(self, index: Index) -> None:
        """Hold every answer against the lines."""
        self._check_commits(index)
        self._check_streams_and_types(index)
        self._check_postings(index)
        self._check_places(index)

    def _check_commits(self, index: Index) -> None:
        for commit, address in zip(self.commits, self.addresses, strict=True):
            assert index.commit_address(commit.commit) == address
        for id_ in ("", "none", "x" * 1000):
            assert index.commit_address(id_) is None
        orders = [commit_order(commit.commit) for commit in self.commits]
        assert index.greatest_commit() == max(orders, default=b"")
        for correlation in ("c", "cc", "c\0", "none"):
            found = [
                address
                for commit, address in zip(self.commits, self.addresses, strict=True)
                if commit.correlation == correlation
            ]
            for low in (0, *found[::3], self.end + 1):
                for limit in (0, 1, 3, 1000):
                    asked = index.correlation_addresses(correlation, low, limit)
                    assert asked == [address for address in found if address >= low][:limit]

    def _check_streams_and_types(self, index: Index) -> None:
        for aggregate in NAMES:
            for source in NAMES:
                stream = (aggregate, source)
                assert index.version(stream) == self.versions.get(stream, 0)
            wanted = {s: v for s, v in self.versions.items() if s[0] == aggregate or not aggregate}
            assert index.streams(aggregate) == wanted
        types = [event.type_id for commit in self.commits for event in commit.events]
        assert index.type_counts() == {each: types.count(each) for each in set(types)}
        for some in (NAMES[1:4], ["none"], ["a", "none"]):
            assert index.type_count(some) == sum(types.count(each) for each in some)

    def _check_postings(self, index: Index) -> None:
        for kind, of in (
            (SOURCE, lambda event: event.source),
            (TYPE, lambda event: event.type_id),
            (AGGREGATE, lambda event: event.aggregate),
        ):
            for name in NAMES:
                if kind == AGGREGATE and not name:
                    continue
                found = [
                    address
                    for commit, address in zip(self.commits, self.addresses, strict=True)
                    if name in map(of, commit.events)
                ]
                for place in {0, *found, *(each + 1 for each in found), self.end}:
                    for limit in (1, 4, 1000):
                        after = [address for address in found if address >= place][:limit]
                        assert index.addresses((kind, name), place, limit) == after
                        before = [address for address in reversed(found) if address < place]
                        asked = index.addresses_before((kind, name), place, limit)
                        assert asked == before[:limit]

    def _check_places(self, index: Index) -> None:
        assert index.last_place() == (self.places[-1] if self.places else None)
        for position in (0, 1, *range(2, self.position + 2, 3), 2**63 - 1, 2**70):
            at = [place for place in self.places if place.position <= position]
            assert index.place_at(position) == (at[-1] if at else None)
        begin = microseconds(TIME)
        for time_us in (-5, 0, 1, *range(begin - 1, begin + len(self.commits) + 2), 2**62):
            before = [place for place in self.places if place.time_us < time_us]
            assert index.place_before(time_us) == (before[-1] if before else None)


@pytest.mark.usefixtures("short_rows")
@pytest.mark.parametrize("seed", range(3))
def test_the_index_answers_what_the_lines_say(index: Index, seed: int) -> None:
    lines = Lines(seed)
    lines.check(index)
    assert index.indexed() == Indexed(0, 0, 0, -1, 0)
    for count in (1, 1, 3, 12, 30):
        lines.more(index, count)
        lines.check(index)


def pairs(index: Index) -> dict[bytes, Value]:
    return dict(index._blocks.items(b"", b"\xff"))


def lengths_of_entries(index: Index) -> list[int]:
    """Return how many addresses are in each entry of the postings of types."""
    each = pairs(index).items()
    return [
        len(value) // 4
        for key, value in each
        if key.startswith(b"p\1") and isinstance(value, bytes)
    ]


@pytest.mark.usefixtures("short_rows")
@pytest.mark.parametrize("begin", [0, 2**40])
@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([1], [1]),
        ([1, 1, 1, 1], [4]),
        ([1, 1, 1, 1, 1], [5]),
        ([1, 1, 1, 1, 1, 1], [5, 1]),
        ([3, 6, 1, 2], [5, 5, 2]),
        ([4, 4], [5, 3]),
        ([4, 12], [5, 5, 5, 1]),
        ([5], [5]),
        ([6], [5, 1]),
        ([12, 1, 1], [5, 5, 4]),
    ],
)
def test_an_entry_is_filled_before_another_is_begun(
    index: Index, batches: list[int], expected: list[int], begin: int
) -> None:
    number = begin
    for count in batches:
        tail = Tail(number, number)
        for _ in range(count):
            tail.add(store(a_commit(id=f"{number}"), Place(number, 0, TIME), [0]), 1)
            number += 1
        index.begin()
        index.add(tail, Indexed(number, number), [])
    assert lengths_of_entries(index) == expected
    assert index.addresses((TYPE, "DishPrepared"), 0, 100) == list(range(begin, number))


def test_a_posting_may_span_more_than_four_bytes_can_say(index: Index) -> None:
    far = [0, 2**32 - 1, 2**33, 2**33 + 2**32 - 1, 2**33 + 2**33, 2**50]
    for number, address in enumerate(far):
        tail = Tail(address, number)
        tail.add(store(a_commit(id=f"{number}"), Place(number, 0, TIME), [0]), 100)
        index.begin()
        index.add(tail, Indexed(address + 100, number + 1, number, address, 0), [])
    assert index.addresses((TYPE, "DishPrepared"), 0, 10) == far
    assert index.addresses_before((TYPE, "DishPrepared"), 2**60, 10) == far[::-1]
    # Where four bytes can say it, it is said.
    assert lengths_of_entries(index) == [2, 2, 1, 1]


def test_what_waits_may_span_more_than_four_bytes_can_say(index: Index) -> None:
    # An index that could not be written to for long.
    far = [3, 2**32 + 2, 2**32 + 3, 2**32 + 4, 2**40, 2**40 + 2**32 - 1, 2**40 + 2**32]
    tail = Tail(3, 0)
    for number, address in enumerate(far):
        tail.end = address
        tail.add(store(a_commit(id=f"{number}"), Place(number, 0, TIME), [0]), 100)
    index.begin()
    index.add(tail, Indexed(tail.end, tail.position, 0, tail.last_address, 0), [])
    assert index.addresses((TYPE, "DishPrepared"), 0, 10) == far
    assert index.addresses_before((TYPE, "DishPrepared"), 2**60, 10) == far[::-1]
    assert lengths_of_entries(index) == [2, 2, 2, 1]


def test_the_same_is_not_asked_for_twice(index: Index) -> None:
    lines = Lines(3)
    lines.more(index, 40)
    asked: list[str] = []
    index._db.set_trace_callback(asked.append)
    tail = Tail(lines.end, lines.position)
    tail.add(store(a_commit(an_event("a", "b"), id="x"), Place(lines.position, 0, TIME), [0]), 1)
    index.begin()
    index.add(tail, Indexed(lines.end + 1, lines.position + 1), [])
    index._db.set_trace_callback(None)
    asked = [each.partition("key <= ")[2][:5] for each in asked if each.startswith("SELECT")]
    # How far it is and how many there are of the type; then a row of each kind of keys, if it is
    # not the one behind the row before.
    assert asked == ["x'69'", "x'740", "x'630", "x'69'", "x'740", "x'700"]


def test_a_time_before_1970_is_as_old_as_can_be(index: Index) -> None:
    tail = Tail(0, 0)
    old = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=5)
    tail.add(store(a_commit(), Place(0, 0, old), [0]), 1)
    index.begin()
    index.add(tail, Indexed(1, 1), [])
    assert index.place_before(0) is None
    assert index.place_before(1) == index.place_before(2) == KnownPlace(0, 0, 0)


def test_places_may_be_as_far_as_numbers_go(index: Index) -> None:
    position, address = 2**62 + 2**57, 2**62 + 1
    time = datetime.max.replace(tzinfo=UTC)
    tail = Tail(address, position)
    context = ExecutionContext(correlation="c")
    tail.add(store(a_commit(context=context), Place(position, 0, time), [0]), 1)
    index.begin()
    index.add(tail, Indexed(address + 1, position + 1), [])
    place = KnownPlace(position, address, microseconds(time))
    assert index.last_place() == place
    assert index.place_before(2**63 - 1) == place
    assert index.correlation_addresses("c", 0, 1) == [address]


def test_what_sealed_segments_looked_like_is_remembered(index: Index) -> None:
    assert index.segments() == []
    one, two = SealedSegment(0, 0, 100, 5), SealedSegment(2**62, 100, 2**40, 7)
    index.begin()
    index.add(Tail(0, 0), Indexed(), [two, one])
    assert index.segments() == [one, two]
    changed = one._replace(mtime_ns=6)
    index.remember(changed)
    assert index.segments() == [changed, two]
    assert not index._db.in_transaction


def test_what_is_given_up_is_not_there(index: Index) -> None:
    lines = Lines(1)
    lines.more(index, 3)
    assert index.begin() == index.indexed()
    index._blocks.put({b"v": b"something"})
    index.rollback()
    # There may be nothing to give up.
    index.rollback()
    lines.check(index)
    index._db.execute("DROP TABLE chain")
    with pytest.raises(sqlite3.OperationalError):
        index.remember(SealedSegment(0, 0, 1, 1))
    assert not index._db.in_transaction


def test_any_thread_may_ask(index: Index) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(index.indexed()))
    thread.start()
    thread.join(10)
    assert found == [Indexed()]


def test_the_rows_are_those_of_the_format(index: Index) -> None:
    tail = Tail(700, 7)
    event = an_event("T", "s", aggregate="K")
    context = ExecutionContext(correlation="c")
    tail.add(store(a_commit(event, id="one", context=context), Place(7, 0, TIME), [3]), 100)
    tail.add(store(a_commit(event, id="two", context=context), Place(8, 0, TIME), [4]), 100)
    event = an_event("T", "t")
    tail.add(store(a_commit(event, id="0" * 30 + "1f"), Place(9, 0, TIME), [0]), 100)
    index.begin()
    index.add(tail, Indexed(1000, 10, 7, 900, 5), [SealedSegment(0, 0, 700, 6)])

    def eight(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(8, "big") for number in numbers)

    time = microseconds(TIME)
    addresses = (700).to_bytes(4, sys.byteorder) + (800).to_bytes(4, sys.byteorder)
    assert pairs(index) == {
        b"c\0\0\0\x03one": 700,
        b"c\0\0\0\x03two": 800,
        b"d" + bytes(15) + b"\x1f": 900,
        b"i": eight(1000, 10, 7, 900, 5),
        b"l" + eight(7): eight(700, time),
        b"p\x00\0\0\0\x01s" + eight(700): addresses,
        b"p\x00\0\0\0\x01t" + eight(900): (900).to_bytes(4, sys.byteorder),
        b"p\x01\0\0\0\x01T" + eight(700): addresses + (900).to_bytes(4, sys.byteorder),
        b"p\x02\0\0\0\x01K" + eight(700): addresses,
        b"r\0\0\0\x01c" + eight(700): 0,
        b"r\0\0\0\x01c" + eight(800): 0,
        b"s" + eight(0): eight(0, 700, 6),
        b"t\0\0\0\x01T": 3,
        b"u" + eight(time, 7): 700,
        b"v\0\0\0\x01K\0\0\0\x01s": 4,
    }


def test_no_two_commit_ids_are_taken_for_one() -> None:
    digits = "0123456789abcdef" * 2
    ids = ["", "a", digits, digits.upper(), digits[:-2] + "  ", digits[:-1], digits + "0", "g" * 32]
    # What a number of sixteen bytes could be mistaken for.
    ids += [bytes([0, 0, 0, 12, *b"twelve bytes"]).hex(), "twelve bytes", "\0" * 16, "0" * 32]
    assert len({commit_order(id_) for id_ in ids}) == len(ids)
    # Ids that sort by time do so here.
    assert (
        commit_order("0" * 31 + "9") < commit_order("0" * 31 + "a") < commit_order("1" + "0" * 31)
    )
