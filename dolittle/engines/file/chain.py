"""An ordered map in SQLite that proves each answer, also that a key is not there.

SQLite does not notice a flipped byte within a row or a key. So each row carries a checksum over
itself and over the key of the row that follows: a row that was changed does not check, and one
that cannot be found any more leaves a neighbour that still names it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
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
# Begins at the row before, in the same statement and so in the same state of the database.
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


_NONE: Final[Mapping[bytes, Row]] = MappingProxyType({})


class Chain:
    """The rows of one table. Any method may raise ``sqlite3.Error`` or ``ChainBrokenError``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(self) -> None:
        """Fill a table that was just made."""
        self._db.execute(_PUT, _stored(_FIRST, b"", END))

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or ``None``."""
        row = self.at_or_before(key)
        return row.value if row.key == key else None

    def at_or_before(self, key: bytes) -> Row:
        """Return the row with the greatest key that is not greater; one always is."""
        found = self._db.execute(_AT_OR_BEFORE, (key,)).fetchone()
        _require(found is not None)
        row = _checked(found)
        _require(row.next > key)
        return row

    def rows(self, low: bytes, stop: bytes) -> Iterator[Row]:
        """Yield the rows from ``low`` on, before ``stop``."""
        follows: bytes | None = None
        for found in self._db.execute(_FROM, (low,)):
            row = _checked(found)
            if follows is None:
                _require(row.key <= low < row.next)
            else:
                _require(row.key == follows)
            if row.key >= low:
                yield row
            follows = row.next
            if follows >= stop:
                return
        _require(False)

    def rows_down(self, high: bytes, low: bytes) -> Iterator[Row]:
        """Yield the rows from ``high`` down to ``low``, both included."""
        follows: bytes | None = None
        for found in self._db.execute(_DOWN_FROM, (high,)):
            row = _checked(found)
            _require(row.next > high if follows is None else row.next == follows)
            if row.key < low:
                return
            yield row
            follows = row.key
        _require(False)

    def put(self, pairs: Iterable[tuple[bytes, bytes]], known: Mapping[bytes, Row] = _NONE) -> None:
        """Put or replace values; keys come in ascending order, each once.

        Args:
            pairs: Keys and values.
            known: Rows by their keys, as they were found since the transaction began.
        """
        puts: list[tuple[bytes, bytes, bytes, int]] = []
        put = puts.append
        key, value, follows = _FIRST, b"", _FIRST
        for new_key, new_value in pairs:
            if follows <= new_key:
                # Not within the gap behind the row at hand: what is there is looked up.
                if follows:
                    put((key, value, follows, _sum(key, value, follows)))
                key, value, follows = known.get(new_key) or self.at_or_before(new_key)
            if key != new_key:
                put((key, value, new_key, _sum(key, value, new_key)))
                key = new_key
            value = new_value
        if follows:
            put((key, value, follows, _sum(key, value, follows)))
        self._db.executemany(_PUT, puts)


def _require(is_whole: bool) -> None:
    if not is_whole:
        raise ChainBrokenError("the index has lost a row")


def _stored(key: bytes, value: bytes, follows: bytes) -> tuple[bytes, bytes, bytes, int]:
    return key, value, follows, _sum(key, value, follows)


def _checked(found: tuple[bytes, bytes, bytes, int]) -> Row:
    key, value, follows, total = found
    if total != _sum(key, value, follows):
        raise ChainBrokenError("a row of the index does not match its checksum")
    return Row(key, value, follows)


def _sum(key: bytes, value: bytes, follows: bytes) -> int:
    # The lengths go in as what the checksum begins with, so that no byte changes sides.
    return zlib.crc32(key + value + follows, len(key) << 24 ^ len(value))
