"""The state of one tenant in an SQLite database, shared by the processes that use the tenant."""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

import msgspec

from dolittle.errors import StateUnavailable
from dolittle.runtime.sqlite_opening import claim, connect
from dolittle.runtime.state import (
    Change,
    Document,
    FailingPartition,
    Processor,
    Replay,
    Request,
)

P = ParamSpec("P")
R = TypeVar("R")

_SURELY_ANOTHER_TICK_NS: Final = 1_000_000_000
"""A file that was written so long ago gets another time by the next write: ticks of file times
take 10 ms at most on Linux, and a second on some older file systems."""

_Look = tuple[int, int, int]

_IS_SHADOW: Final = (
    "(select 1 from processors p where p.kind='shadow' "
    "and p.name={table}.name and p.build={table}.build)"
)

_SAVE_PROCESSOR: Final = "insert or replace into processors values (?,?,?,?,?,?,?,?)"
_SAVE_FAILING: Final = "insert or replace into failing values (?,?,?,?,?,?,?,?,?,?,?)"
_SAVE_DOCUMENT: Final = "insert or replace into documents values (?,?,?,?)"
_DELETE_DOCUMENT: Final = "delete from documents where name=? and build=? and key=?"
_RECOVER: Final = "delete from failing where name=? and build=? and partition=?"


def _says_why(
    method: Callable[Concatenate[SqliteState, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[SqliteState, P], Coroutine[Any, Any, R]]:
    """Turn what SQLite and the system say into ``StateUnavailable``."""

    @functools.wraps(method)
    async def call(self: SqliteState, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(self, *args, **kwargs)
        except (sqlite3.Error, OSError) as error:
            raise StateUnavailable(self._path or Path("in memory"), str(error)) from error

    return cast("Callable[Concatenate[SqliteState, P], Coroutine[Any, Any, R]]", call)


class SqliteState:
    """State in one SQLite database (WAL), shared by the processes that use the tenant.

    ``synchronous=NORMAL``: a power cut may take the newest changes back, all of a transaction
    or nothing, and then the events are handled again. (Source: sqlite.org/wal.html, section 2.2.)
    Calls take microseconds and are made on the event loop. The database is opened, or made, by
    the first call, so that whoever only commits does without it. Where the folder cannot be
    written to, what is there can be read. Every call raises ``StateUnavailable`` if the
    database cannot be used.
    """

    def __init__(self, path: Path | None = None, *, store_id: str = "") -> None:
        """Take a place for the database; nothing is opened yet.

        Args:
            path: Of the file; in memory without one.
            store_id: Of the event log that the state belongs to; what is there of another log
                is cleared.
        """
        self._path = path
        self._store_id = store_id
        self._opened: sqlite3.Connection | None = None
        # What the write-ahead log looked like when there was no request.
        self._had_none: _Look | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = connect(self._path)
            if self._store_id:
                claim(self._opened, self._store_id)
        return self._opened

    @_says_why
    async def claim(self, store_id: str) -> bool:
        """Bind the state to an event log; clear it, and tell so, if it was another log's."""
        return claim(self._db, store_id)

    @_says_why
    async def processors(self, name: str = "") -> list[Processor]:
        """Return all processors, or the builds of one, by name and build."""
        rows = self._db.execute(
            "select name, kind, build, is_active, position, fingerprint, replay, began "
            "from processors where ?='' or name=? order by name, build",
            (name, name),
        )
        return [
            Processor(
                name=row[0],
                kind=row[1],
                build=row[2],
                is_active=bool(row[3]),
                position=row[4],
                fingerprint=row[5],
                replay=msgspec.json.decode(row[6], type=Replay | None),
                began=row[7],
            )
            for row in rows
        ]

    @_says_why
    async def save(self, change: Change) -> None:
        """Write a change, all of it or nothing."""
        name, build = change.processor.name, change.processor.build
        with self._db:
            self._db.execute("begin immediate")
            self._db.execute(_SAVE_PROCESSOR, _processor_row(change.processor))
            if change.failing:
                self._db.executemany(_SAVE_FAILING, map(_failing_row, change.failing))
            if change.recovered:
                self._db.executemany(_RECOVER, [(name, build, p) for p in change.recovered])
            if change.documents:
                kept = [(name, build, k, v) for k, v in change.documents.items() if v is not None]
                gone = [(name, build, k) for k, v in change.documents.items() if v is None]
                self._db.executemany(_SAVE_DOCUMENT, kept)
                self._db.executemany(_DELETE_DOCUMENT, gone)

    @_says_why
    async def activate(self, name: str, build: int) -> None:
        """Let readers see a build; delete the other builds of that projection, save a shadow."""
        with self._db:
            self._db.execute("begin immediate")
            # The builds are read first: a condition for each of a million documents would take.
            rows = self._db.execute(
                "select build from processors where name=? and build<>? and kind<>'shadow'",
                (name, build),
            ).fetchall()
            for table in ("processors", "failing", "documents"):
                self._db.executemany(
                    f"delete from {table} where name=? and build=?",
                    [(name, row[0]) for row in rows],
                )
            self._db.execute(
                "update processors set is_active=1 where name=? and build=?", (name, build)
            )

    @_says_why
    async def discard(self, name: str, build: int) -> None:
        """Delete a build with its documents and failing partitions."""
        with self._db:
            self._db.execute("begin immediate")
            for table in ("processors", "failing", "documents"):
                self._db.execute(f"delete from {table} where name=? and build=?", (name, build))

    @_says_why
    async def failing(self, name: str = "", *, build: int = 0) -> list[FailingPartition]:
        """Return failing partitions: of one processor or all; of one build, or all but shadows."""
        rows = self._db.execute(
            "select * from failing where (?='' or name=?) and (build=? or (?=0 and not exists "
            f"{_IS_SHADOW.format(table='failing')})) order by name, build, position",
            (name, name, build, build),
        )
        return [
            FailingPartition(
                name=row[0],
                build=row[1],
                partition=row[2],
                position=row[3],
                attempts=row[4],
                error=row[5],
                traceback=row[6],
                failed_at=datetime.fromisoformat(row[7]),
                retry_at=datetime.fromisoformat(row[8]),
                is_parked=bool(row[9]),
                is_skipped=bool(row[10]),
            )
            for row in rows
        ]

    @_says_why
    async def document(self, name: str, build: int, key: str) -> bytes | None:
        """Return a document's JSON, or ``None``."""
        row = self._db.execute(
            "select content from documents where name=? and build=? and key=?", (name, build, key)
        ).fetchone()
        return row[0] if row else None

    @_says_why
    async def documents(
        self, name: str, build: int, *, after_key: str = "", limit: int = 100
    ) -> list[Document]:
        """Return up to ``limit`` documents with keys behind ``after_key``, sorted by key."""
        rows = self._db.execute(
            "select key, content from documents where name=? and build=? and key>? "
            "order by key limit ?",
            (name, build, after_key, limit),
        )
        return [Document(*row) for row in rows]

    @_says_why
    async def count(self, name: str, build: int) -> int:
        """Return how many documents a build has."""
        row = self._db.execute(
            "select count(*) from documents where name=? and build=?", (name, build)
        ).fetchone()
        return int(row[0])

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """See the state as it is now for a while, whatever other processes write.

        Nothing may be saved through this object meanwhile.
        """
        self._db.execute("begin")
        try:
            yield
        finally:
            self._db.execute("commit")

    @_says_why
    async def request(self, request: Request) -> int:
        """Leave a request for the process that delivers; return its number."""
        with self._db:
            cursor = self._db.execute(
                "insert into requests "
                "(kind, name, partition, position, side_effects, stop, source, speed) "
                "values (?,?,?,?,?,?,?,?)",
                (
                    request.kind,
                    request.name,
                    request.partition,
                    request.position,
                    msgspec.json.encode(request.side_effects).decode(),
                    request.stop,
                    request.source,
                    request.speed,
                ),
            )
        return int(cursor.lastrowid or 0)

    @_says_why
    async def requests(self) -> list[Request]:
        """Return the requests that nobody has taken up, in order.

        This is asked several times a second: where nothing was written since it was none, the
        look of a file says so for a tenth of what SQLite takes.
        """
        database, look = self._db, _look_of_log(self._path)
        if look is not None and look == self._had_none:
            return []
        rows = database.execute(
            "select kind, name, partition, position, side_effects, number, stop, source, speed "
            "from requests order by number"
        ).fetchall()
        self._had_none = None if rows else look
        return [
            Request(
                kind=row[0],
                name=row[1],
                partition=row[2],
                position=row[3],
                side_effects=msgspec.json.decode(row[4], type=tuple[str, ...]),
                number=row[5],
                stop=row[6],
                source=row[7],
                speed=row[8],
            )
            for row in rows
        ]

    @_says_why
    async def finish_request(self, number: int) -> None:
        """Forget a request that was taken up."""
        with self._db:
            self._db.execute("delete from requests where number=?", (number,))

    async def close(self) -> None:
        """Let go of the database."""
        if self._opened is not None:
            self._opened.close()
            self._opened = self._had_none = None


def _look_of_log(path: Path | None) -> _Look | None:
    """Return what the write-ahead log looks like; ``None`` where that might not tell a write.

    Every write changes the file's time, but for one in the same tick of the system's clock.
    """
    if path is None:
        return None
    try:
        stat = os.stat(f"{path}-wal")  # noqa: PTH116 - Path.stat costs three times as much
    except OSError:
        return None
    is_old = time.time_ns() - stat.st_mtime_ns > _SURELY_ANOTHER_TICK_NS
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino) if is_old else None


def _processor_row(item: Processor) -> tuple[Any, ...]:
    return (
        item.name,
        item.build,
        item.kind,
        item.is_active,
        item.position,
        item.fingerprint,
        msgspec.json.encode(item.replay),
        item.began,
    )


def _failing_row(item: FailingPartition) -> tuple[Any, ...]:
    return (
        item.name,
        item.build,
        item.partition,
        item.position,
        item.attempts,
        item.error,
        item.traceback,
        item.failed_at.astimezone(UTC).isoformat(),
        item.retry_at.astimezone(UTC).isoformat(),
        item.is_parked,
        item.is_skipped,
    )
