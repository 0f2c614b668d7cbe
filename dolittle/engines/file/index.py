"""The index: what the log says, by key, in SQLite. Derived; may be deleted while nothing runs."""

from __future__ import annotations

import bisect
import contextlib
import os
import sqlite3
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.blocks import Blocks, Entries, Value
from dolittle.engines.file.chain import SCHEMA as CHAIN
from dolittle.engines.file.files import FILE_MODE
from dolittle.engines.file.keys import (
    COMMIT,
    COMMIT_OF_32,
    behind,
    commit_order,
    key_of,
    names_of,
    number_of,
    packed,
)
from dolittle.engines.file.tail import KnownPlace, Posting, Tail
from dolittle.store import Stream

NAME: Final = "index.sqlite"
FORMAT: Final = 4
_BUSY_S: Final = 1.0
"""How long to wait for another process that brings its lines in."""

_ADDRESSES_MAX: Final = 200
"""In one entry of a posting, which then fills a row."""
_SPAN_MAX: Final = 2**32 - 1
"""How far apart the addresses of one entry may be."""

_LOW_BYTES: Final = 4
_LOW_HALF: Final = 0 if sys.byteorder == "little" else 1

INDEX_ERRORS: Final = (sqlite3.Error, ValueError, TypeError, OverflowError, struct.error)
"""What a damaged index may raise: SQLite's errors, and values that are none."""

_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)
"""Errors that say nothing against the index. Source: sqlite.org/rescode.html."""

_SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    CHAIN,
)

_NUMBER_MAX: Final = 2**63 - 1
_TWO: Final = struct.Struct(">2q")
_THREE: Final = struct.Struct(">3q")
_FIVE: Final = struct.Struct(">5q")
_LAST: Final = b"\xff" * 8
"""Greater than every address."""

_INDEXED: Final = b"i"
_PLACE: Final = b"l"
_POSTING: Final = b"p"
_CORRELATION: Final = b"r"
_SEGMENT: Final = b"s"
_TYPE: Final = b"t"
_TIME: Final = b"u"
_VERSION: Final = b"v"
"""Kinds of keys, beside those of commits."""


class Indexed(NamedTuple):
    """How far the index has got, and a line by which to know the log again.

    Attributes:
        address: Behind the last line in it.
        position: Behind the last event in it.
        attested: The position before which everything was on disk then.
        last_address: Where the last line in it begins; -1 if there is none.
        last_sum: The checksum of that line.
    """

    address: int = 0
    position: int = 0
    attested: int = 0
    last_address: int = -1
    last_sum: int = 0


class SealedSegment(NamedTuple):
    """What a segment that is no longer written to looked like when it was read."""

    first_position: int
    base: int
    size: int
    mtime_ns: int


class Index:
    """One connection to the index. Any method may raise ``sqlite3.Error``."""

    def __init__(self, path: Path | None, store_id: str, *, is_writable: bool) -> None:
        """Open or make an index.

        Args:
            path: The file; ``None`` for an index in memory.
            store_id: Whose index it is.
            is_writable: Whether it may be changed.

        Raises:
            sqlite3.DatabaseError: It is the index of another store or version, or no database.
        """
        if path is None:
            self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        else:
            if is_writable:
                # SQLite gives its other files the mode of this one.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
            mode = "rw" if is_writable else "ro"
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_BUSY_S,
                check_same_thread=False,
                isolation_level=None,
            )
        self._blocks = Blocks(self._db)
        try:
            self._prepare(store_id, is_writable=is_writable or path is None)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, store_id: str, *, is_writable: bool) -> None:
        owner = f"{FORMAT} {store_id}"
        if is_writable:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._blocks.begin()
                self._db.execute("INSERT INTO meta VALUES ('owner', ?)", (owner,))
            self._db.execute("COMMIT")
        found = self._db.execute("SELECT value FROM meta WHERE name = 'owner'").fetchone()
        if found != (owner,):
            raise sqlite3.DatabaseError("the index belongs to another store or version")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def indexed(self) -> Indexed:
        """Return how far the index has got."""
        value = self._blocks.get(_INDEXED)
        return Indexed(*_FIVE.unpack(_bytes(value))) if value else Indexed()

    # Questions ------------------------------------------------------------------------------

    def commit_address(self, commit_id: str) -> int | None:
        """Return where a commit's line begins."""
        value = self._blocks.get(commit_order(commit_id))
        return None if value is None else int(value)

    def greatest_commit(self) -> bytes:
        """Return the :func:`commit_order` of the last commit by that order; empty: there is none.

        A commit behind it is not in the index, which is known without asking for it.
        """
        found = self._blocks.at_or_before(behind(COMMIT_OF_32))
        return found[0] if found and found[0].startswith((COMMIT, COMMIT_OF_32)) else b""

    def version(self, stream: tuple[str, str]) -> int:
        """Return how many events an aggregate instance has."""
        return int(self._blocks.get(key_of(_VERSION, *stream)) or 0)

    def streams(self, aggregate: str) -> dict[Stream, int]:
        """Return the aggregate instances, of one root or (empty) of all."""
        prefix = key_of(_VERSION, aggregate) if aggregate else _VERSION
        return {
            Stream(*names_of(key)): int(value)
            for key, value in self._blocks.items(prefix, behind(prefix))
        }

    def type_counts(self) -> dict[str, int]:
        """Return the number of events of each type."""
        found = self._blocks.items(_TYPE, behind(_TYPE))
        return {names_of(key)[0]: int(value) for key, value in found}

    def type_count(self, types: Iterable[str]) -> int:
        """Return the number of events of some types."""
        return sum(int(self._blocks.get(key_of(_TYPE, type_id)) or 0) for type_id in types)

    def correlation_addresses(self, correlation: str, low: int, limit: int) -> list[int]:
        """Return addresses of lines with a correlation that is not their commit's id."""
        prefix = key_of(_CORRELATION, correlation)
        found = self._blocks.items(prefix + packed(low), behind(prefix))
        return [number_of(key[-8:]) for key, _ in islice(found, limit)]

    def addresses(self, posting: Posting, low: int, limit: int) -> list[int]:
        """Return the first ``limit`` addresses of a posting from ``low`` on, ascending."""
        prefix = _posting_key(posting)
        found: list[int] = []
        for key, value in self._blocks.items_from(prefix + packed(low), behind(prefix)):
            if key.startswith(prefix):
                found.extend(address for address in _unpack(key, value) if address >= low)
            if len(found) >= limit:
                break
        return found[:limit]

    def addresses_before(self, posting: Posting, high: int, limit: int) -> list[int]:
        """Return the last ``limit`` addresses of a posting before ``high``, descending."""
        if high <= 0:
            return []
        prefix = _posting_key(posting)
        found: list[int] = []
        for entry in self._blocks.items_down(prefix + packed(high - 1), prefix):
            found.extend(address for address in reversed(_unpack(*entry)) if address < high)
            if len(found) >= limit:
                break
        return found[:limit]

    def place_at(self, position: int) -> KnownPlace | None:
        """Return the last remembered place at or before a position."""
        found = self._blocks.at_or_before(_PLACE + packed(min(position, _NUMBER_MAX)))
        if not found or not found[0].startswith(_PLACE):
            return None
        key, value = found
        return KnownPlace(number_of(key[1:]), *_TWO.unpack(_bytes(value)))

    def place_before(self, time_us: int) -> KnownPlace | None:
        """Return the last remembered place whose commit is older than a time."""
        if time_us <= 0:
            # No commit is that old.
            return None
        found = self._blocks.at_or_before(_TIME + packed(time_us - 1) + b"\xff" * 8)
        if not found or not found[0].startswith(_TIME):
            return None
        key, value = found
        return KnownPlace(number_of(key[9:]), int(value), number_of(key[1:9]))

    def last_place(self) -> KnownPlace | None:
        """Return the last remembered place."""
        return self.place_at(_NUMBER_MAX)

    def segments(self) -> list[SealedSegment]:
        """Return what sealed segments looked like when they were read."""
        return [
            SealedSegment(number_of(key[1:]), *_THREE.unpack(_bytes(value)))
            for key, value in self._blocks.items(_SEGMENT, behind(_SEGMENT))
        ]

    # Growing --------------------------------------------------------------------------------

    def begin(self) -> Indexed:
        """Begin to add, alone; return how far the index has got."""
        self._db.execute("BEGIN IMMEDIATE")
        return self.indexed()

    def rollback(self) -> None:
        """Give up what was added since :meth:`begin`."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")

    def add(self, tail: Tail, indexed: Indexed, sealed: Sequence[SealedSegment]) -> None:
        """Add a tail that begins where the index ends, and end what :meth:`begin` began."""
        new: Entries = {_INDEXED: _FIVE.pack(*indexed)}
        new.update(zip(map(commit_order, tail.commits), tail.commits.values(), strict=True))
        for stream, version in tail.versions.items():
            new[key_of(_VERSION, *stream)] = version
        for correlation, addresses in tail.correlations.items():
            prefix = key_of(_CORRELATION, correlation)
            new.update((prefix + packed(address), 0) for address in addresses)
        for place in tail.places:
            new[_PLACE + packed(place.position)] = _TWO.pack(place.address, place.time_us)
            key = _TIME + packed(max(place.time_us, 0)) + packed(place.position)
            new[key] = place.address
        for type_id, count in tail.type_counts.items():
            new[key_of(_TYPE, type_id)] = self.type_count([type_id]) + count
        self._blocks.put(new)
        ends = {
            _posting_key((kind, name)) + _LAST: addresses
            for kind, found in enumerate(tail.postings)
            for name, addresses in found.items()
        }
        self._blocks.change(sorted(ends), partial(_post, ends))
        self._note(sealed)
        self._db.execute("COMMIT")

    def remember(self, segment: SealedSegment) -> None:
        """Note what a sealed segment looks like."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._note([segment])
            self._db.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def _note(self, sealed: Sequence[SealedSegment]) -> None:
        self._blocks.put(
            {_SEGMENT + packed(each.first_position): _THREE.pack(*each[1:]) for each in sealed}
        )


def _post(
    ends: Mapping[bytes, Sequence[int]], entries: Entries, belonging: Sequence[bytes]
) -> None:
    """Append addresses to postings: to the last entry of each while that has room, then to more.

    Args:
        ends: The addresses, by what lies behind every entry of their posting.
        entries: The entries of a row.
        belonging: Which postings end in that row.
    """
    keys = list(entries)
    for end in belonging:
        prefix, addresses, begin = end[:-8], ends[end], 0
        at = bisect.bisect_right(keys, end)
        if at and keys[at - 1].startswith(prefix):
            key = keys[at - 1]
            value = _bytes(entries[key])
            begin = _fitting(addresses, 0, number_of(key[-8:]), len(value) // _LOW_BYTES)
            entries[key] = value + _lows(addresses[:begin])
        while begin < len(addresses):
            first = addresses[begin]
            stop = _fitting(addresses, begin, first, 0)
            entries[prefix + packed(first)] = _lows(addresses[begin:stop])
            begin = stop


def _fitting(addresses: Sequence[int], begin: int, first: int, count: int) -> int:
    """Return up to where addresses fit into an entry, by its first one and how many it has."""
    stop = min(begin + _ADDRESSES_MAX - count, len(addresses))
    return bisect.bisect_right(addresses, first + _SPAN_MAX, begin, stop)


def _posting_key(posting: Posting) -> bytes:
    return key_of(_POSTING + bytes([posting[0]]), posting[1])


def _lows(addresses: Sequence[int]) -> bytes:
    """Return the lower half of each address; with the first one they say all of it."""
    return memoryview(array("Q", addresses)).cast("B").cast("I")[_LOW_HALF::2].tobytes()


def _unpack(key: bytes, value: Value) -> list[int]:
    lows = array("I")
    lows.frombytes(_bytes(value))
    first = number_of(key[-8:])
    if first + (lows[-1] - first & _SPAN_MAX) <= _SPAN_MAX:
        return lows.tolist()
    return [first + (low - first & _SPAN_MAX) for low in lows]


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number stands where bytes should")
    return value


def is_passing(error: Exception) -> bool:
    """Tell whether an error of the index comes from its surroundings."""
    # The low byte is the kind, the rest says more. Source: sqlite.org/rescode.html.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING
