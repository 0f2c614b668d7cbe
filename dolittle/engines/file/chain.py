"""An ordered map in SQLite that proves each answer, also that a key is not there.

SQLite does not notice a flipped byte within a row or a key. So each row carries a checksum over
itself and over the key of the row that follows: a row that was changed does not check, and one
that cannot be found any more leaves a neighbour that still names it.
"""

from __future__ import annotations

import bisect
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

SCHEMA: Final = (
    "CREATE TABLE chain (key BLOB PRIMARY KEY, value BLOB, next BLOB, sum INTEGER) WITHOUT ROWID"
)

END: Final = b"\xff"
"""What the last row calls the next one; every key is less."""

_FIRST: Final = b""
_AT_OR_BEFORE: Final = (
    "SELECT key, value, next, sum FROM chain WHERE key <= ? ORDER BY key DESC LIMIT 1"
)
# Begins at the row at or before, in the same statement and so in the same state of the database.
_FROM: Final = (
    "SELECT key, value, next, sum FROM chain WHERE key >= "
    "(SELECT max(key) FROM chain WHERE key <= ?) ORDER BY key"
)
_DOWN_FROM: Final = "SELECT key, value, next, sum FROM chain WHERE key <= ? ORDER BY key DESC"
_PUT: Final = (
    "INSERT INTO chain VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, "
    "next = excluded.next, sum = excluded.sum"
)


class ChainBrokenError(ValueError):
    """What is stored is not what was written."""


class Row(NamedTuple):
    """A key with its value, and the next key."""

    key: bytes
    value: bytes
    next: bytes


Pair = tuple[bytes, bytes]
"""A key and a value."""


class Chain:
    """The rows of one table. Any method may raise ``sqlite3.Error`` or ``ChainBrokenError``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(self, value: bytes) -> None:
        """Fill a table that was just made with a row that every key is at or behind."""
        self._db.execute(_PUT, (_FIRST, value, END, _sum(_FIRST, value, END)))

    def at_or_before(self, key: bytes) -> Row:
        """Return the row with the greatest key that is not greater; one always is."""
        found = self._db.execute(_AT_OR_BEFORE, (key,)).fetchone()
        _require(found is not None)
        row = _checked(found)
        _require(row.next > key)
        return row

    def rows(self, low: bytes, stop: bytes) -> Iterator[Row]:
        """Yield the row at or before ``low``, and those that follow it before ``stop``."""
        follows: bytes | None = None
        for found in self._db.execute(_FROM, (low,)):
            row = _checked(found)
            if follows is None:
                _require(row.key <= low < row.next)
            else:
                _require(row.key == follows)
            yield row
            follows = row.next
            if follows >= stop:
                return
        _require(False)

    def rows_down(self, high: bytes, low: bytes) -> Iterator[Row]:
        """Yield the row at or before ``high``, and those before it down to that of ``low``."""
        follows: bytes | None = None
        for found in self._db.execute(_DOWN_FROM, (high,)):
            row = _checked(found)
            _require(row.next > high if follows is None else row.next == follows)
            yield row
            if row.key <= low:
                return
            follows = row.key
        _require(False)

    def covering(self, keys: Sequence[bytes]) -> Iterator[tuple[Row, Sequence[bytes]]]:
        """Yield each row that some keys belong to, with those: at or behind it, before the next.

        Args:
            keys: In ascending order.
        """
        begin = 0
        rows: Iterator[Row] = iter(())
        while begin < len(keys):
            # Often it is the next one, which costs a quarter of looking for it.
            row = next(rows, None)
            if row is None or row.next <= keys[begin]:
                rows = self.rows(keys[begin], END)
                row = next(rows)
            end = bisect.bisect_left(keys, row.next, begin)
            yield row, keys[begin:end]
            begin = end

    def replace(self, rows: Iterable[tuple[Row, Sequence[Pair]]]) -> None:
        """Put several rows in the place of each of some, or one with another value.

        Args:
            rows: As they were found since the transaction began, with keys and values in ascending
                order, of which the first key is the row's own and the last one less than the next.
        """
        puts: list[tuple[bytes, bytes, bytes, int]] = []
        for row, pairs in rows:
            follows = [*(key for key, _ in pairs[1:]), row.next]
            puts += [(k, v, n, _sum(k, v, n)) for (k, v), n in zip(pairs, follows, strict=True)]
        self._db.executemany(_PUT, puts)


def _require(is_whole: bool) -> None:
    if not is_whole:
        raise ChainBrokenError("the index has lost a row")


def _checked(found: tuple[bytes, bytes, bytes, int]) -> Row:
    key, value, follows, total = found
    if total != _sum(key, value, follows):
        raise ChainBrokenError("a row of the index does not match its checksum")
    return Row(key, value, follows)


def _sum(key: bytes, value: bytes, follows: bytes) -> int:
    # The lengths go in as what the checksum begins with, so that no byte changes sides.
    return zlib.crc32(key + value + follows, len(key) << 24 ^ len(value))
