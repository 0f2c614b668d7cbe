"""Blocks answer like a sorted dictionary, in few rows, each of one kind and of a quarter page."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Iterator

import pytest

from dolittle.engines.file import blocks as blocks_module
from dolittle.engines.file.blocks import ROW_BYTES_MAX, Blocks, Entries, Value
from dolittle.engines.file.chain import SCHEMA

KEYS = [bytes(key) for size in (1, 2, 3) for key in itertools.product(b"bdfh", repeat=size)]
PROBES = sorted({b"\0", *KEYS, *(key + b"c" for key in KEYS), b"a", b"i"})


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(SCHEMA)
    yield db
    db.close()


@pytest.fixture
def blocks(db: sqlite3.Connection) -> Blocks:
    blocks = Blocks(db)
    blocks.begin()
    return blocks


def rows(db: sqlite3.Connection) -> list[tuple[bytes, int]]:
    """Return the keys of the rows and how long their values are."""
    return db.execute("SELECT key, length(value) FROM chain ORDER BY key").fetchall()


def check(blocks: Blocks, model: Entries) -> None:
    each = sorted(model.items())
    for probe in PROBES:
        assert blocks.get(probe) == model.get(probe)
        before = [pair for pair in each if pair[0] <= probe]
        assert blocks.at_or_before(probe) == (before[-1] if before else None)
    for low, high in itertools.combinations_with_replacement(PROBES[::7], 2):
        if low < high:
            within = [pair for pair in each if low <= pair[0] < high]
            before = [pair for pair in each if pair[0] < low and low not in model][-1:]
            assert list(blocks.items(low, high)) == within
            assert list(blocks.items_from(low, high)) == before + within
        down = [pair for pair in reversed(each) if low <= pair[0] <= high]
        assert list(blocks.items_down(high, low)) == down
    assert list(blocks.items(b"", b"\xff")) == each


@pytest.mark.parametrize("seed", range(8))
def test_blocks_answer_like_a_sorted_dictionary(
    blocks: Blocks, db: sqlite3.Connection, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "ROW_BYTES_MAX", 60)
    chance, model = random.Random(seed), dict[bytes, Value]()
    check(blocks, model)
    for _ in range(8):
        new: dict[bytes, Value] = {
            key: chance.choice([0, 1, 2**63, b"", b"x" * 30, b"y" * 100])
            for key in chance.choices(KEYS, k=chance.choice([1, 2, 30]))
        }
        blocks.put(new)
        model |= new
        check(blocks, model)
    blocks.put({})
    check(blocks, model)
    assert 10 < len(rows(db)) < len(model)


def test_a_row_holds_one_kind_of_keys(blocks: Blocks, db: sqlite3.Connection) -> None:
    blocks.put({b"ca": 1, b"cb": 2, b"d": 3, b"f": 4})
    assert [key for key, _ in rows(db)] == [b"", b"d", b"f"]
    blocks.put({b"ea": 1, b"eb": 1, b"da": 1, b"g": 1})
    assert [key for key, _ in rows(db)] == [b"", b"d", b"ea", b"f", b"g"]


def test_what_grows_at_its_end_leaves_full_rows_behind(
    blocks: Blocks, db: sqlite3.Connection
) -> None:
    for begin in range(0, 3_000, 100):
        numbers = range(begin, begin + 100)
        blocks.put({b"k%015d" % number: 10**9 + number for number in numbers} | {b"z": begin})
    lengths = [length for _, length in rows(db)]
    assert max(lengths) <= ROW_BYTES_MAX
    assert min(lengths[:-2]) > 0.9 * ROW_BYTES_MAX


def test_where_keys_come_in_between_rows_stay_well_filled(
    blocks: Blocks, db: sqlite3.Connection
) -> None:
    numbers = list(range(3_000))
    random.Random(1).shuffle(numbers)
    for begin in range(0, 3_000, 10):
        blocks.put({b"k%015d" % number: 10**9 for number in numbers[begin : begin + 10]})
    lengths = [length for _, length in rows(db)]
    assert max(lengths) <= ROW_BYTES_MAX
    assert sum(lengths) > 0.6 * ROW_BYTES_MAX * len(lengths)
    assert min(lengths) > 0.3 * ROW_BYTES_MAX


def test_a_pair_that_is_longer_than_a_row_has_its_own(
    blocks: Blocks, db: sqlite3.Connection
) -> None:
    blocks.put({b"a": b"x" * 2_000, b"b": 1, b"c": b"y" * 2_000, b"ca": 2})
    assert [key for key, _ in rows(db)] == [b"", b"b", b"c", b"ca"]
    assert blocks.get(b"c") == b"y" * 2_000
    assert blocks.get(b"ca") == 2


def test_a_row_takes_no_page_of_its_own(db: sqlite3.Connection, blocks: Blocks) -> None:
    # The longest values there are, with keys as long as those of most names.
    blocks.put({b"k%039d" % number: b"x" * (ROW_BYTES_MAX - 60) for number in range(400)})
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    assert pages < 400 / 4 * 1.2


def test_a_row_is_changed_once_and_by_the_keys_that_belong_there(blocks: Blocks) -> None:
    blocks.put({b"a": 1, b"b": 2, b"d": 4})
    seen: list[tuple[dict[bytes, Value], list[bytes]]] = []

    def change(entries: Entries, belonging: object) -> None:
        seen.append((dict(entries), list(belonging)))  # type: ignore[call-overload]
        entries[b"d" if b"d" in entries else b"ba"] = 5

    blocks.change([b"b", b"c", b"dd", b"f"], change)
    assert seen == [({b"b": 2}, [b"b", b"c"]), ({b"d": 4}, [b"dd", b"f"])]
    assert list(blocks.items(b"", b"\xff")) == [(b"a", 1), (b"b", 2), (b"ba", 5), (b"d", 5)]


@pytest.mark.parametrize(("more", "expected"), [(86, [900]), (87, [808, 94])])
def test_a_row_is_filled_to_the_last_byte(
    blocks: Blocks, db: sqlite3.Connection, more: int, expected: list[int]
) -> None:
    blocks.put({b"ka": b"x" * 800, b"kb": b"y" * more})
    assert [length for _, length in rows(db)] == expected
