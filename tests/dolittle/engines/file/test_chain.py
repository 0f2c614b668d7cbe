"""The chain answers like a sorted dictionary, and notices each row that was changed or lost."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from dolittle.engines.file.chain import END, SCHEMA, Chain, ChainBrokenError, Row

KEYS = [bytes(key) for size in (1, 2, 3) for key in itertools.product(b"bdf", repeat=size)]
PROBES = sorted({*KEYS, *(key + b"c" for key in KEYS), b"a", b"g", b"\x01"})
LOST = "the index has lost a row"
CHANGED = "a row of the index does not match its checksum"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(SCHEMA)
    yield db
    db.close()


@pytest.fixture
def chain(db: sqlite3.Connection) -> Chain:
    chain = Chain(db)
    chain.begin(b"")
    return chain


def put(chain: Chain, *pairs: tuple[bytes, bytes]) -> None:
    """Put rows, or replace their values, as few at a time as can be."""
    new = dict(pairs)
    rows = []
    for row, keys in chain.covering(sorted(new)):
        values = {row.key: row.value} | {key: new[key] for key in keys}
        rows.append((row, list(values.items())))
    chain.replace(rows)


def get(chain: Chain, key: bytes) -> bytes | None:
    row = chain.at_or_before(key)
    return row.value if row.key == key else None


def check(chain: Chain, model: dict[bytes, bytes], chance: random.Random) -> None:
    pairs = [(b"", b""), *sorted(model.items())]
    rows = [
        Row(key, value, follows)
        for (key, value), (follows, _) in zip(pairs, [*pairs[1:], (END, b"")], strict=True)
    ]
    for probe in PROBES:
        assert get(chain, probe) == model.get(probe)
        assert chain.at_or_before(probe) == [row for row in rows if row.key <= probe][-1]
    for _ in range(30):
        low, high = sorted(chance.choices(PROBES, k=2))
        for stop in (high, END) if high > low else (END,):
            assert list(chain.rows(low, stop)) == [
                row for row in rows if row.next > low and row.key < stop
            ]
        assert list(chain.rows_down(high, low)) == [
            row for row in reversed(rows) if row.next > low and row.key <= high
        ]
        keys = sorted(chance.sample(PROBES, chance.randrange(1, len(PROBES) // 2)))
        found = [(row, list(belonging)) for row, belonging in chain.covering(keys)]
        within = [(row, [key for key in keys if row.key <= key < row.next]) for row in rows]
        assert found == [(row, belonging) for row, belonging in within if belonging]


@pytest.mark.parametrize("seed", range(6))
def test_a_chain_answers_like_a_sorted_dictionary(chain: Chain, seed: int) -> None:
    chance, model = random.Random(seed), dict[bytes, bytes]()
    check(chain, model, chance)
    for batch in range(6):
        new = {
            key: b"%d" % batch * chance.randrange(3)
            for key in chance.sample(KEYS, chance.randrange(1, 9))
        }
        put(chain, *new.items())
        model |= new
        check(chain, model, chance)
    put(chain)
    check(chain, model, chance)


def test_the_rows_are_those_of_the_format(db: sqlite3.Connection, chain: Chain) -> None:
    put(chain, (b"key", b"value"))
    assert db.execute("SELECT * FROM chain").fetchall() == [
        (b"", b"", b"key", 2324736937),
        (b"key", b"value", b"\xff", 2058102111),
    ]


def test_rows_that_follow_are_not_looked_for(db: sqlite3.Connection, chain: Chain) -> None:
    keys = sorted(KEYS)
    put(chain, *((key, b"") for key in keys))
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    assert [row.key for row, _ in chain.covering(keys[3:])] == keys[3:]
    assert len(asked) == 1
    assert [row.key for row, _ in chain.covering([b"b", b"f"])] == [b"b", b"f"]
    assert len(asked) == 3
    assert [row.key for row, _ in chain.covering([])] == []
    assert len(asked) == 3


def test_a_row_that_was_lost_between_two_is_noticed(db: sqlite3.Connection, chain: Chain) -> None:
    put(chain, (b"b", b""), (b"d", b""), (b"f", b""))
    db.execute("DELETE FROM chain WHERE key = ?", (b"d",))
    for keys in ([b"b", b"d"], [b"d"]):
        with pytest.raises(ChainBrokenError, match=LOST):
            list(chain.covering(keys))
    with pytest.raises(ChainBrokenError, match=LOST):
        list(chain.covering([b"b", b"f"]))
    assert [row.key for row, _ in chain.covering([b"b"])] == [b"b"]


def all_of_it(chain: Chain) -> list[object]:
    """Ask everything there is; return the first complaint of each kind of question."""
    questions: list[Callable[[], object]] = [
        lambda: [get(chain, key) for key in (b"b", b"d", b"f", b"g")],
        lambda: [get(chain, key) for key in (b"a", b"c", b"e", b"g")],
        lambda: list(chain.rows(b"a", END)),
        lambda: list(chain.rows_down(b"g", b"a")),
    ]
    complaints: list[object] = []
    for question in questions:
        try:
            question()
        except ChainBrokenError as error:
            complaints.append(str(error))
        else:
            complaints.append(None)
    return complaints


Stored = tuple[bytes, bytes, bytes, int]


@pytest.mark.parametrize("key", [b"", b"b", b"d", b"f"])
@pytest.mark.parametrize(
    "change",
    [
        lambda key, value, follows, total: (key, value + b"x", follows, total),
        lambda key, value, follows, total: (key, b"1", follows, total),
        lambda key, value, follows, total: (key, value, follows + b"x", total),
        lambda key, value, follows, total: (key, value, follows, total + 1),
        lambda key, value, follows, total: (key, value, follows, total ^ 1 << 31),
        lambda key, value, follows, total: (key + b"x", value, follows, total),
        # The same bytes in the same order, with other lengths.
        lambda key, value, follows, total: (key, value + follows, b"", total),
        lambda key, value, follows, total: (key, value + follows[:1], follows[1:], total),
    ],
)
def test_a_changed_row_is_noticed(
    db: sqlite3.Connection, chain: Chain, key: bytes, change: Callable[..., Stored]
) -> None:
    put(chain, (b"b", b"11"), (b"d", b"22"), (b"f", b"33"))
    assert all_of_it(chain) == [None] * 4
    (row,) = db.execute("SELECT key, value, next, sum FROM chain WHERE key = ?", (key,))
    db.execute("DELETE FROM chain WHERE key = ?", (key,))
    db.execute("INSERT INTO chain VALUES (?, ?, ?, ?)", change(*row))
    complaints = all_of_it(chain)
    assert CHANGED in complaints or not key
    assert any(complaints)
    assert None not in complaints[2:] or not key


def test_bytes_that_change_sides_are_noticed(db: sqlite3.Connection, chain: Chain) -> None:
    put(chain, (b"bd", b"f"), (b"ff", b""))
    (total,) = db.execute("SELECT sum FROM chain WHERE key = ?", (b"bd",)).fetchone()
    db.execute("DELETE FROM chain")
    # As many bytes of a value, one less of a key.
    db.execute("INSERT INTO chain VALUES (?, ?, ?, ?)", (b"b", b"d", b"fff", total))
    with pytest.raises(ChainBrokenError, match=CHANGED):
        get(chain, b"b")


@pytest.mark.parametrize("key", [b"", b"b", b"d", b"f"])
def test_a_lost_row_is_noticed(db: sqlite3.Connection, chain: Chain, key: bytes) -> None:
    put(chain, (b"b", b"11"), (b"d", b"22"), (b"f", b"33"))
    db.execute("DELETE FROM chain WHERE key = ?", (key,))
    complaints = all_of_it(chain)
    assert complaints[0 if key else 1] == LOST
    assert complaints[2:] == [LOST, LOST]
    if key:
        with pytest.raises(ChainBrokenError, match=LOST):
            get(chain, key)
        for low, stop in ((key, key + b"\0"), (key, END), (b"a", key + b"\0")):
            with pytest.raises(ChainBrokenError, match=LOST):
                list(chain.rows(low, stop))
        for high, low in ((key, b"a"), (key + b"\0", key), (b"g", key)):
            with pytest.raises(ChainBrokenError, match=LOST):
                list(chain.rows_down(high, low))
        before = {b"b": [b""], b"d": [b"", b"b"], b"f": [b"", b"b", b"d"]}[key]
        # What lies before the place is as it was.
        assert [row.key for row in chain.rows(b"a", key)] == before


def test_a_chain_without_rows_is_none(db: sqlite3.Connection) -> None:
    with pytest.raises(ChainBrokenError, match=LOST):
        Chain(db).at_or_before(b"a")
