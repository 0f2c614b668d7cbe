"""The index: what the log says, by key, in SQLite. Derived; may be deleted while nothing runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import sub
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.files import FILE_MODE
from dolittle.engines.file.tail import KnownPlace, Posting, Tail
from dolittle.store import Stream

NAME: Final = "index.sqlite"
FORMAT: Final = 1
_BUSY_S: Final = 1.0
"""How long to wait for another process that brings its lines in."""

_ROW_ADDRESSES_MAX: Final = 512
_SPAN_MAX: Final = 2**32 - 1

INDEX_ERRORS: Final = (sqlite3.Error, ValueError, TypeError, OverflowError)
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

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE segments (
    first_position INTEGER PRIMARY KEY, base INTEGER, bytes INTEGER, mtime_ns INTEGER);
CREATE TABLE commits (id TEXT PRIMARY KEY, address INTEGER) WITHOUT ROWID;
CREATE TABLE versions (
    aggregate TEXT, source TEXT, version INTEGER, PRIMARY KEY (aggregate, source)) WITHOUT ROWID;
CREATE TABLE type_counts (type TEXT PRIMARY KEY, events INTEGER) WITHOUT ROWID;
CREATE TABLE correlations (
    correlation TEXT, address INTEGER, PRIMARY KEY (correlation, address)) WITHOUT ROWID;
CREATE TABLE places (position INTEGER PRIMARY KEY, address INTEGER, time_us INTEGER);
CREATE INDEX places_by_time ON places (time_us, position);
CREATE TABLE postings (
    kind INTEGER, key TEXT, first INTEGER, last INTEGER, steps BLOB,
    PRIMARY KEY (kind, key, first));
"""


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
            store_id: An index of another store is emptied.
            is_writable: Whether it may be changed.
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
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
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
        row = self._db.execute("SELECT value FROM meta WHERE name = 'indexed'").fetchone()
        return Indexed(*map(int, row[0].split())) if row else Indexed()

    # Questions ------------------------------------------------------------------------------

    def commit_address(self, commit_id: str) -> int | None:
        """Return where a commit's line begins."""
        row = self._db.execute("SELECT address FROM commits WHERE id = ?", (commit_id,)).fetchone()
        return row[0] if row else None

    def version(self, stream: tuple[str, str]) -> int:
        """Return how many events an aggregate instance has."""
        row = self._db.execute(
            "SELECT version FROM versions WHERE aggregate = ? AND source = ?", stream
        ).fetchone()
        return row[0] if row else 0

    def streams(self, aggregate: str) -> dict[Stream, int]:
        """Return the aggregate instances, of one root or (empty) of all."""
        where, values = ("WHERE aggregate = ?", [aggregate]) if aggregate else ("", [])
        rows = self._db.execute(f"SELECT aggregate, source, version FROM versions {where}", values)
        return {Stream(row[0], row[1]): row[2] for row in rows}

    def type_counts(self) -> dict[str, int]:
        """Return the number of events of each type."""
        return dict(self._db.execute("SELECT type, events FROM type_counts"))

    def type_count(self, types: Iterable[str]) -> int:
        """Return the number of events of some types."""
        return sum(
            row[0]
            for type_id in types
            for row in self._db.execute("SELECT events FROM type_counts WHERE type = ?", [type_id])
        )

    def correlation_addresses(self, correlation: str, low: int, limit: int) -> list[int]:
        """Return addresses of lines with a correlation that is not their commit's id."""
        rows = self._db.execute(
            "SELECT address FROM correlations WHERE correlation = ? AND address >= ? "
            "ORDER BY address LIMIT ?",
            (correlation, low, limit),
        )
        return [row[0] for row in rows]

    def addresses(self, posting: Posting, low: int, limit: int) -> list[int]:
        """Return the first ``limit`` addresses of a posting from ``low`` on, ascending."""
        rows = self._db.execute(
            "SELECT first, steps FROM postings WHERE kind = ? AND key = ? AND first >= "
            "coalesce((SELECT max(first) FROM postings WHERE kind = ? AND key = ? AND first <= ?),"
            " 0) ORDER BY first",
            (*posting, *posting, low),
        )
        found: list[int] = []
        for first, steps in rows:
            found.extend(address for address in _unpack(first, steps) if address >= low)
            if len(found) >= limit:
                break
        return found[:limit]

    def addresses_before(self, posting: Posting, high: int, limit: int) -> list[int]:
        """Return the last ``limit`` addresses of a posting before ``high``, descending."""
        rows = self._db.execute(
            "SELECT first, steps FROM postings WHERE kind = ? AND key = ? AND first < ? "
            "ORDER BY first DESC",
            (*posting, high),
        )
        found: list[int] = []
        for first, steps in rows:
            found.extend(address for address in reversed(_unpack(first, steps)) if address < high)
            if len(found) >= limit:
                break
        return found[:limit]

    def place_at(self, position: int) -> KnownPlace | None:
        """Return the last remembered place at or before a position."""
        row = self._db.execute(
            "SELECT position, address, time_us FROM places WHERE position <= ? "
            "ORDER BY position DESC LIMIT 1",
            (position,),
        ).fetchone()
        return KnownPlace(*row) if row else None

    def place_before(self, time_us: int) -> KnownPlace | None:
        """Return the last remembered place whose commit is older than a time."""
        row = self._db.execute(
            "SELECT position, address, time_us FROM places WHERE time_us < ? "
            "ORDER BY time_us DESC, position DESC LIMIT 1",
            (time_us,),
        ).fetchone()
        return KnownPlace(*row) if row else None

    def last_place(self) -> KnownPlace | None:
        """Return the last remembered place."""
        row = self._db.execute(
            "SELECT position, address, time_us FROM places ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return KnownPlace(*row) if row else None

    def segments(self) -> list[SealedSegment]:
        """Return what sealed segments looked like when they were read."""
        return [
            SealedSegment(*row)
            for row in self._db.execute("SELECT * FROM segments ORDER BY first_position")
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
        db = self._db
        db.executemany("INSERT INTO commits VALUES (?, ?)", tail.commits.items())
        db.executemany(
            "INSERT INTO versions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = "
            "excluded.version",
            [(*stream, version) for stream, version in tail.versions.items()],
        )
        db.executemany(
            "INSERT INTO type_counts VALUES (?, ?) ON CONFLICT DO UPDATE SET events = events + "
            "excluded.events",
            tail.type_counts.items(),
        )
        db.executemany(
            "INSERT INTO correlations VALUES (?, ?)",
            [(key, address) for key, found in tail.correlations.items() for address in found],
        )
        db.executemany("INSERT INTO places VALUES (?, ?, ?)", tail.places)
        for posting, addresses in sorted(tail.postings.items()):
            self._post(posting, addresses)
        self.remember(sealed)
        db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('indexed', ?)", (" ".join(map(str, indexed)),)
        )
        db.execute("COMMIT")

    def remember(self, sealed: Sequence[SealedSegment]) -> None:
        """Note what sealed segments look like."""
        self._db.executemany("INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", sealed)

    def _post(self, posting: Posting, addresses: Sequence[int]) -> None:
        """Append addresses to a posting's last row while that is short, else begin a row."""
        row = self._db.execute(
            "SELECT rowid, last, length(steps) FROM postings WHERE kind = ? AND key = ? "
            "ORDER BY first DESC LIMIT 1",
            posting,
        ).fetchone()
        if row and row[2] < 4 * _ROW_ADDRESSES_MAX and addresses[0] - row[1] <= _SPAN_MAX:
            self._db.execute(
                "UPDATE postings SET steps = CAST(steps || ? AS BLOB), last = ? WHERE rowid = ?",
                (_steps([row[1], *addresses]), addresses[-1], row[0]),
            )
            return
        for begin in range(0, len(addresses), _ROW_ADDRESSES_MAX):
            part = addresses[begin : begin + _ROW_ADDRESSES_MAX]
            self._db.execute(
                "INSERT INTO postings VALUES (?, ?, ?, ?, ?)",
                (*posting, part[0], part[-1], _steps(part)),
            )


def _steps(addresses: Sequence[int]) -> bytes:
    """Return the distances from each address to the next, four bytes each."""
    return array("I", map(sub, addresses[1:], addresses[:-1])).tobytes()


def _unpack(first: int, steps: bytes) -> list[int]:
    distances = array("I")
    distances.frombytes(steps)
    return list(accumulate(distances, initial=first))


def is_passing(error: Exception) -> bool:
    """Tell whether an error of the index comes from its surroundings."""
    # The low byte is the kind, the rest says more. Source: sqlite.org/rescode.html.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING
