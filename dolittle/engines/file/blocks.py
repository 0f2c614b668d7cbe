"""An ordered map whose pairs lie packed in rows of a chain, many in one.

A row costs as much to read, to prove and to write whether it says one thing or thirty. What an
index gets at once mostly belongs together, and so is read and written by the row.
"""

from __future__ import annotations

import bisect
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Final

import msgspec

from dolittle.engines.file.chain import Chain, Pair, Row

Value = int | bytes
"""A number from 0 to 2**64 - 1, or bytes."""

Entries = dict[bytes, Value]
"""The pairs of one row, in ascending order of their keys."""

ROW_BYTES_MAX: Final = 900
"""A row with one more pair is split, unless that is its only one.

With its keys it takes a quarter of a page; SQLite gives what is longer pages of its own.
Source: sqlite.org/fileformat2.html#ovflpgs.
"""

_KEY_BYTES: Final = 2
_VALUE_BYTES: Final = 3
_INT_BYTES: Final = 5
"""What a key and bytes take beside themselves, and a number; more where they are large."""

_KEY: Final = itemgetter(0)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[bytes, int | bytes]).decode


class Blocks:
    """The pairs. Any method may raise ``sqlite3.Error`` or ``ValueError`` where it is damaged."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Take a connection whose database has the chain's table."""
        self._chain = Chain(db)

    def begin(self) -> None:
        """Fill a table that was just made."""
        self._chain.begin(_encode({}))

    def get(self, key: bytes) -> Value | None:
        """Return the value of a key, or ``None``."""
        return _decode(self._chain.at_or_before(key).value).get(key)

    def at_or_before(self, key: bytes) -> tuple[bytes, Value] | None:
        """Return the pair with the greatest key that is not greater, or ``None``."""
        # Where a row begins there is a pair, but for the first row.
        entries = _decode(self._chain.at_or_before(key).value)
        keys = list(entries)
        at = bisect.bisect_right(keys, key)
        return (keys[at - 1], entries[keys[at - 1]]) if at else None

    def items(self, low: bytes, stop: bytes) -> Iterator[tuple[bytes, Value]]:
        """Yield the pairs from ``low`` on, before ``stop``."""
        return (pair for pair in self.items_from(low, stop) if pair[0] >= low)

    def items_from(self, low: bytes, stop: bytes) -> Iterator[tuple[bytes, Value]]:
        """Yield the pair at or before ``low``, if there is one, and more before ``stop``."""
        begin = -1
        for row in self._chain.rows(low, stop):
            pairs = list(_decode(row.value).items())
            if begin < 0:
                begin = max(bisect.bisect_right(pairs, low, key=_KEY) - 1, 0)
                pairs = pairs[begin:]
            for pair in pairs:
                if pair[0] < stop:
                    yield pair

    def items_down(self, high: bytes, low: bytes) -> Iterator[tuple[bytes, Value]]:
        """Yield the pairs from ``high`` down to ``low``, both included."""
        for row in self._chain.rows_down(high, low):
            for key, value in reversed(_decode(row.value).items()):
                if low <= key <= high:
                    yield key, value

    def put(self, pairs: Entries) -> None:
        """Put or replace pairs, in any order."""
        self.change(
            sorted(pairs), lambda entries, keys: entries.update([(k, pairs[k]) for k in keys])
        )

    def change(
        self, keys: Sequence[bytes], change: Callable[[Entries, Sequence[bytes]], None]
    ) -> None:
        """Change rows, each once.

        Args:
            keys: In ascending order.
            change: Is given what is in a row, and the keys that belong there; puts and replaces
                pairs whose keys are not less than the row's, nor than any that belongs there.
        """
        made: list[tuple[Row, Sequence[Pair]]] = []
        for row, belonging in self._chain.covering(keys):
            entries = _decode(row.value)
            before = list(entries)
            change(entries, belonging)
            made.append((row, _rows(row.key, entries, before)))
        self._chain.replace(made)


def _rows(key: bytes, entries: Entries, before: list[bytes]) -> list[Pair]:
    """Return the rows for what is now in one, given the keys that were in it before."""
    keys = sorted(entries)
    value = _encode({each: entries[each] for each in keys})
    if len(value) <= ROW_BYTES_MAX and keys[0][:1] == keys[-1][:1]:
        return [(key, value)]
    rows = [
        (part[0], _encode({each: entries[each] for each in part}))
        for part in _parts(keys, [_size(each, entries[each]) for each in keys], before)
    ]
    # The first row of all begins before every key.
    rows[0] = (key, rows[0][1])
    return rows


def _parts(keys: list[bytes], sizes: list[int], before: list[bytes]) -> list[list[bytes]]:
    """Return which keys go into a row each: those of one kind, up to the size of a row."""
    total, so_far = sum(sizes), 0
    # What grows at its end leaves full rows behind. Where keys come in between there will be more,
    # so rows are split evenly.
    is_behind = keys[: len(before)] == before
    even = total if is_behind else total / (total // ROW_BYTES_MAX + 1)
    parts: list[list[bytes]] = [[]]
    size = 0
    for key, more in zip(keys, sizes, strict=True):
        size += more
        part = parts[-1]
        if part and (size > ROW_BYTES_MAX or so_far >= even * len(parts) or key[:1] != part[0][:1]):
            part, size = [], more
            parts.append(part)
        part.append(key)
        so_far += more
    return parts


def _size(key: bytes, value: Value) -> int:
    value_bytes = _INT_BYTES if isinstance(value, int) else _VALUE_BYTES + len(value)
    return _KEY_BYTES + len(key) + value_bytes
