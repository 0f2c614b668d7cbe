"""The index: what the log says, by key, in SQLite. Derived; may be deleted while nothing runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice
from operator import sub
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.chain import SCHEMA as CHAIN
from dolittle.engines.file.chain import Chain, Row
from dolittle.engines.file.files import FILE_MODE
from dolittle.engines.file.tail import KnownPlace, Posting, Tail
from dolittle.store import Stream

NAME: Final = "index.sqlite"
FORMAT: Final = 3
_BUSY_S: Final = 1.0
"""How long to wait for another process that brings its lines in."""

_ROW_ADDRESSES_MAX: Final = 512
_SPAN_MAX: Final = 2**32 - 1

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
_LENGTH: Final = struct.Struct(">I")
_TWO: Final = struct.Struct(">2q")
_THREE: Final = struct.Struct(">3q")
_FIVE: Final = struct.Struct(">5q")

_COMMIT: Final = b"c"
_INDEXED: Final = b"i"
_PLACE: Final = b"l"
_POSTING: Final = b"p"
_CORRELATION: Final = b"r"
_SEGMENT: Final = b"s"
_TYPE: Final = b"t"
_TIME: Final = b"u"
_VERSION: Final = b"v"
"""Kinds of keys."""


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
        self._chain = Chain(self._db)
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
                self._chain.begin()
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
        value = self._chain.get(_INDEXED)
        return Indexed(*_FIVE.unpack(value)) if value else Indexed()

    # Questions ------------------------------------------------------------------------------

    def commit_address(self, commit_id: str) -> int | None:
        """Return where a commit's line begins."""
        value = self._chain.get(commit_order(commit_id))
        return _number(value) if value else None

    def greatest_commit(self) -> bytes:
        """Return the :func:`commit_order` of the last commit by that order; empty: there is none.

        A commit behind it is not in the index, which is known without asking for it.
        """
        key = self._chain.at_or_before(_behind(_COMMIT)).key
        return key if key.startswith(_COMMIT) else b""

    def version(self, stream: tuple[str, str]) -> int:
        """Return how many events an aggregate instance has."""
        value = self._chain.get(_key(_VERSION, *stream))
        return _number(value) if value else 0

    def streams(self, aggregate: str) -> dict[Stream, int]:
        """Return the aggregate instances, of one root or (empty) of all."""
        prefix = _key(_VERSION, aggregate) if aggregate else _VERSION
        return {
            Stream(*_names(row.key)): _number(row.value)
            for row in self._chain.rows(prefix, _behind(prefix))
        }

    def type_counts(self) -> dict[str, int]:
        """Return the number of events of each type."""
        rows = self._chain.rows(_TYPE, _behind(_TYPE))
        return {_names(row.key)[0]: _number(row.value) for row in rows}

    def type_count(self, types: Iterable[str]) -> int:
        """Return the number of events of some types."""
        found = [self._chain.get(_key(_TYPE, type_id)) for type_id in types]
        return sum(_number(value) for value in found if value)

    def correlation_addresses(self, correlation: str, low: int, limit: int) -> list[int]:
        """Return addresses of lines with a correlation that is not their commit's id."""
        prefix = _key(_CORRELATION, correlation)
        rows = self._chain.rows(prefix + _packed(low), _behind(prefix))
        return [_number(row.key[-8:]) for row in islice(rows, limit)]

    def addresses(self, posting: Posting, low: int, limit: int) -> list[int]:
        """Return the first ``limit`` addresses of a posting from ``low`` on, ascending."""
        prefix = _posting_key(posting)
        begin = prefix + _packed(low)
        before = self._chain.at_or_before(begin)
        if before.key.startswith(prefix):
            begin = before.key
        found: list[int] = []
        for row in self._chain.rows(begin, _behind(prefix)):
            found.extend(address for address in _unpack(row) if address >= low)
            if len(found) >= limit:
                break
        return found[:limit]

    def addresses_before(self, posting: Posting, high: int, limit: int) -> list[int]:
        """Return the last ``limit`` addresses of a posting before ``high``, descending."""
        if high <= 0:
            return []
        prefix = _posting_key(posting)
        found: list[int] = []
        for row in self._chain.rows_down(prefix + _packed(high - 1), prefix):
            found.extend(address for address in reversed(_unpack(row)) if address < high)
            if len(found) >= limit:
                break
        return found[:limit]

    def place_at(self, position: int) -> KnownPlace | None:
        """Return the last remembered place at or before a position."""
        row = self._chain.at_or_before(_PLACE + _packed(min(position, _NUMBER_MAX)))
        if not row.key.startswith(_PLACE):
            return None
        return KnownPlace(_number(row.key[1:]), *_TWO.unpack(row.value))

    def place_before(self, time_us: int) -> KnownPlace | None:
        """Return the last remembered place whose commit is older than a time."""
        if time_us <= 0:
            # No commit is that old.
            return None
        row = self._chain.at_or_before(_TIME + _packed(time_us - 1) + b"\xff" * 8)
        if not row.key.startswith(_TIME):
            return None
        position = _number(row.key[9:])
        return KnownPlace(position, _number(row.value), _number(row.key[1:9]))

    def last_place(self) -> KnownPlace | None:
        """Return the last remembered place."""
        return self.place_at(_NUMBER_MAX)

    def segments(self) -> list[SealedSegment]:
        """Return what sealed segments looked like when they were read."""
        return [
            SealedSegment(_number(row.key[1:]), *_THREE.unpack(row.value))
            for row in self._chain.rows(_SEGMENT, _behind(_SEGMENT))
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
        new: dict[bytes, bytes] = {_INDEXED: _FIVE.pack(*indexed)}
        for commit_id, address in tail.commits.items():
            new[commit_order(commit_id)] = _packed(address)
        for stream, version in tail.versions.items():
            new[_key(_VERSION, *stream)] = _packed(version)
        for correlation, addresses in tail.correlations.items():
            prefix = _key(_CORRELATION, correlation)
            new.update((prefix + _packed(address), b"") for address in addresses)
        for place in tail.places:
            new[_PLACE + _packed(place.position)] = _TWO.pack(place.address, place.time_us)
            key = _TIME + _packed(max(place.time_us, 0)) + _packed(place.position)
            new[key] = _packed(place.address)
        for type_id, count in tail.type_counts.items():
            new[_key(_TYPE, type_id)] = _packed(self.type_count([type_id]) + count)
        known: dict[bytes, Row] = {}
        for posting, addresses in tail.postings.items():
            self._post(new, known, _posting_key(posting), addresses)
        self._chain.put(sorted(new.items()), known)
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
        self._chain.put(
            (_SEGMENT + _packed(each.first_position), _THREE.pack(*each[1:]))
            for each in sorted(sealed)
        )

    def _post(
        self,
        new: dict[bytes, bytes],
        known: dict[bytes, Row],
        prefix: bytes,
        addresses: Sequence[int],
    ) -> None:
        """Append addresses to a posting's last row while that is short, else begin a row."""
        row = self._chain.at_or_before(prefix + b"\xff" * 8)
        if row.key.startswith(prefix) and len(row.value) < 4 * _ROW_ADDRESSES_MAX:
            last = _number(row.value[:8])
            if addresses[0] - last <= _SPAN_MAX:
                head, more = _packed(addresses[-1]), _steps([last, *addresses])
                new[row.key] = head + row.value[8:] + more
                known[row.key] = row
                return
        for begin in range(0, len(addresses), _ROW_ADDRESSES_MAX):
            part = addresses[begin : begin + _ROW_ADDRESSES_MAX]
            new[prefix + _packed(part[0])] = _packed(part[-1]) + _steps(part)


def commit_order(commit_id: str) -> bytes:
    """Return what commit ids are ordered by in the index: their length, then themselves."""
    return _key(_COMMIT, commit_id)


def _key(kind: bytes, *names: str) -> bytes:
    """Return the key of names; each stands behind its length, so that none is part of another."""
    key = kind
    for name in names:
        encoded = name.encode()
        key += _LENGTH.pack(len(encoded)) + encoded
    return key


def _names(key: bytes) -> list[str]:
    found, begin = [], 1
    while begin < len(key):
        (length,) = _LENGTH.unpack_from(key, begin)
        begin += _LENGTH.size
        end = begin + length
        found.append(key[begin:end].decode())
        begin = end
    return found


def _posting_key(posting: Posting) -> bytes:
    return _key(_POSTING + bytes([posting[0]]), posting[1])


def _behind(prefix: bytes) -> bytes:
    """Return what is greater than every key that begins so, and not greater than any other."""
    return (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")


def _packed(number: int) -> bytes:
    """Return a number that is not negative as bytes that sort as numbers do."""
    return number.to_bytes(8, "big")


def _number(packed: bytes) -> int:
    return int.from_bytes(packed, "big")


def _steps(addresses: Sequence[int]) -> bytes:
    """Return the distances from each address to the next, four bytes each."""
    return array("I", map(sub, addresses[1:], addresses[:-1])).tobytes()


def _unpack(row: Row) -> list[int]:
    distances = array("I")
    distances.frombytes(row.value[8:])
    return list(accumulate(distances, initial=_number(row.key[-8:])))


def is_passing(error: Exception) -> bool:
    """Tell whether an error of the index comes from its surroundings."""
    # The low byte is the kind, the rest says more. Source: sqlite.org/rescode.html.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING
