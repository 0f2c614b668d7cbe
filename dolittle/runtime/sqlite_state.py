"""The state of one tenant in an SQLite database, shared by the processes that use the tenant."""

from __future__ import annotations

import functools
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast
from urllib.parse import quote

import msgspec

from dolittle.errors import StateUnavailable
from dolittle.runtime.state import (
    Change,
    Document,
    FailingPartition,
    Processor,
    Replay,
    Request,
)
from dolittle.store import END

P = ParamSpec("P")
R = TypeVar("R")

FORMAT: Final = 3
BUSY_TIMEOUT_S: Final = 5.0
"""How long one process waits for another one's transaction."""

SWITCH_AGAIN_S: Final = 0.002

_SURELY_ANOTHER_TICK_NS: Final = 1_000_000_000
"""A file that was written so long ago gets another time by the next write: ticks of file times
take 10 ms at most on Linux, and a second on some older file systems."""

_Look = tuple[int, int, int]

_NOT_WRITABLE: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)

_SCHEMA: Final = f"""
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists processors (
    name text, build integer, kind text not null, is_active integer not null,
    position integer not null, fingerprint text not null, replay blob,
    primary key (name, build)
) without rowid;
create table if not exists failing (
    name text, build integer, partition text, position integer not null,
    attempts integer not null, error text not null, traceback text not null,
    failed_at text not null, retry_at text not null, is_parked integer not null,
    is_skipped integer not null default 0,
    primary key (name, build, partition)
) without rowid;
create table if not exists documents (
    name text, build integer, key text, content blob not null,
    primary key (name, build, key)
) without rowid;
create table if not exists requests (
    number integer primary key autoincrement, kind text not null, name text not null,
    partition text not null, position integer not null, side_effects text not null,
    stop integer not null default {END}, source text not null default '',
    speed real not null default 0
);
"""

_FROM_FORMAT_1: Final = (
    f"alter table requests add column stop integer not null default {END}",
    "alter table requests add column source text not null default ''",
    "alter table requests add column speed real not null default 0",
)
_FROM_FORMAT_2: Final = ("alter table failing add column is_skipped integer not null default 0",)
"""Positions are kept over these: without it, handlers would handle all their events again."""

_STEPS: Final = {1: (*_FROM_FORMAT_1, *_FROM_FORMAT_2), 2: _FROM_FORMAT_2}
"""What brings the tables of an earlier format up to this one."""

_IS_SHADOW: Final = (
    "(select 1 from processors p where p.kind='shadow' "
    "and p.name={table}.name and p.build={table}.build)"
)

_SAVE_PROCESSOR: Final = "insert or replace into processors values (?,?,?,?,?,?,?)"
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
            self._opened = _connect(self._path)
            if self._store_id:
                _claim(self._opened, self._store_id)
        return self._opened

    @_says_why
    async def claim(self, store_id: str) -> bool:
        """Bind the state to an event log; clear it, and tell so, if it was another log's."""
        return _claim(self._db, store_id)

    @_says_why
    async def processors(self, name: str = "") -> list[Processor]:
        """Return all processors, or the builds of one, by name and build."""
        rows = self._db.execute(
            "select name, kind, build, is_active, position, fingerprint, replay from processors "
            "where ?='' or name=? order by name, build",
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


def _connect(path: Path | None) -> sqlite3.Connection:
    try:
        if path is not None and not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        return _open(path or ":memory:")
    except sqlite3.OperationalError as error:
        if path is None or error.sqlite_errorcode & 0xFF not in _NOT_WRITABLE:
            raise
        return _open_for_reading(path)
    except sqlite3.DatabaseError:
        if path is None:
            raise
        put_aside(path)
        return _open(path)


def put_aside(path: Path) -> None:
    """Rename a damaged database with what belongs to it; one put aside before is replaced."""
    for suffix in ("", "-wal", "-shm"):
        damaged = path.with_name(f"{path.name}{suffix}")
        if damaged.exists():
            damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))


def _open(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _use_wal(database)
        database.execute("pragma synchronous=normal")
        if _format(database) != FORMAT:
            _make(database)
    except BaseException:
        database.close()
        raise
    return database


def _format(database: sqlite3.Connection) -> int:
    return int(database.execute("pragma user_version").fetchone()[0])


def _make(database: sqlite3.Connection) -> None:
    """Make the tables, or bring those of another format up to this one, whole or not at all."""
    with database:
        database.execute("begin immediate")
        found = _format(database)
        if found == FORMAT:
            # Another process was faster.
            return
        if found in _STEPS:
            for statement in _STEPS[found]:
                database.execute(statement)
        elif found:
            # The state is derived: another version's is dropped, and made anew from the log.
            _drop_everything(database)
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"pragma user_version={FORMAT}")


def _use_wal(database: sqlite3.Connection) -> None:
    """Switch to WAL; while others do so too SQLite says busy at once, without waiting."""
    end = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            database.execute("pragma journal_mode=wal")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= end:
                raise
            time.sleep(SWITCH_AGAIN_S)
        else:
            return


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Open what is in a folder that cannot be written to; nothing at all if nothing is there.

    ``immutable``: SQLite then needs no files beside the database. What a process has not yet
    moved out of its ``-wal`` file is not seen. (Source: sqlite.org/uri.html, "immutable".)
    """
    if not path.exists():
        return _open(":memory:")
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    database = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    if _format(database) != FORMAT:
        database.close()
        return _open(":memory:")
    return database


def _claim(database: sqlite3.Connection, store_id: str) -> bool:
    row = database.execute("select value from meta where key='store'").fetchone()
    if row is not None and row[0] == store_id:
        return False
    with database:
        database.execute("begin immediate")
        row = database.execute("select value from meta where key='store'").fetchone()
        if row is not None and row[0] == store_id:
            return False
        for table in ("processors", "failing", "documents", "requests"):
            database.execute(f"delete from {table}")
        database.execute("insert or replace into meta values ('store', ?)", (store_id,))
    return row is not None


def _drop_everything(database: sqlite3.Connection) -> None:
    with closing(database.cursor()) as cursor:
        names = cursor.execute(
            "select name from sqlite_master where type='table' and name not like 'sqlite_%'"
        ).fetchall()
        for (name,) in names:
            cursor.execute(f'drop table "{name}"')


def _processor_row(item: Processor) -> tuple[Any, ...]:
    return (
        item.name,
        item.build,
        item.kind,
        item.is_active,
        item.position,
        item.fingerprint,
        msgspec.json.encode(item.replay),
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
