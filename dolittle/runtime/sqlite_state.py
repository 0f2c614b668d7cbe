"""The state of one tenant in an SQLite database, shared by the processes that use the tenant."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from dolittle.errors import StoreBusy, StoreReadOnly
from dolittle.runtime.state import (
    Change,
    Document,
    FailingPartition,
    Processor,
    Replay,
    Request,
)

FORMAT: Final = 1
BUSY_TIMEOUT_S: Final = 5.0
"""How long one process waits for another one's transaction."""

_SCHEMA: Final = """
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
    primary key (name, build, partition)
) without rowid;
create table if not exists documents (
    name text, build integer, key text, content blob not null,
    primary key (name, build, key)
) without rowid;
create table if not exists requests (
    number integer primary key autoincrement, kind text not null, name text not null,
    partition text not null, position integer not null, side_effects text not null
);
"""

_SAVE_PROCESSOR: Final = "insert or replace into processors values (?,?,?,?,?,?,?)"
_SAVE_FAILING: Final = "insert or replace into failing values (?,?,?,?,?,?,?,?,?,?)"
_SAVE_DOCUMENT: Final = "insert or replace into documents values (?,?,?,?)"
_DELETE_DOCUMENT: Final = "delete from documents where name=? and build=? and key=?"
_RECOVER: Final = "delete from failing where name=? and build=? and partition=?"


class SqliteState:
    """State in one SQLite database (WAL), shared by the processes that use the tenant.

    ``synchronous=NORMAL``: a power cut may take the newest changes back, all of a transaction
    or nothing, and then the events are handled again. (Source: sqlite.org/wal.html, section 2.2.)
    Calls take microseconds and are made on the event loop.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open or make the database; in memory without a path.

        Raises:
            StoreReadOnly: The folder cannot be written to.
            StoreBusy: Another process has held the database's lock for ``BUSY_TIMEOUT_S``.
        """
        folder = path.parent if path is not None else Path()
        try:
            self._db = _connect(path)
        except (sqlite3.OperationalError, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY:
                raise StoreBusy(folder, BUSY_TIMEOUT_S) from error
            raise StoreReadOnly(folder, str(error)) from error

    async def claim(self, store_id: str) -> bool:
        """Bind the state to an event log; clear it, and tell so, if it was another log's."""
        with self._db:
            self._db.execute("begin immediate")
            row = self._db.execute("select value from meta where key='store'").fetchone()
            if row is not None and row[0] == store_id:
                return False
            for table in ("processors", "failing", "documents", "requests"):
                self._db.execute(f"delete from {table}")
            self._db.execute("insert or replace into meta values ('store', ?)", (store_id,))
        return row is not None

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

    async def activate(self, name: str, build: int) -> None:
        """Let readers see a build, and delete the other builds of that projection."""
        with self._db:
            self._db.execute("begin immediate")
            for table in ("processors", "failing", "documents"):
                self._db.execute(f"delete from {table} where name=? and build<>?", (name, build))
            self._db.execute(
                "update processors set is_active=1 where name=? and build=?", (name, build)
            )

    async def discard(self, name: str, build: int) -> None:
        """Delete a build with its documents and failing partitions."""
        with self._db:
            self._db.execute("begin immediate")
            for table in ("processors", "failing", "documents"):
                self._db.execute(f"delete from {table} where name=? and build=?", (name, build))

    async def failing(self, name: str = "") -> list[FailingPartition]:
        """Return failing partitions, of one processor or all."""
        rows = self._db.execute(
            "select * from failing where ?='' or name=? order by name, build, position",
            (name, name),
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
            )
            for row in rows
        ]

    async def document(self, name: str, build: int, key: str) -> bytes | None:
        """Return a document's JSON, or ``None``."""
        row = self._db.execute(
            "select content from documents where name=? and build=? and key=?", (name, build, key)
        ).fetchone()
        return row[0] if row else None

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

    async def count(self, name: str, build: int) -> int:
        """Return how many documents a build has."""
        row = self._db.execute(
            "select count(*) from documents where name=? and build=?", (name, build)
        ).fetchone()
        return int(row[0])

    async def request(self, request: Request) -> int:
        """Leave a request for the process that delivers; return its number."""
        with self._db:
            cursor = self._db.execute(
                "insert into requests (kind, name, partition, position, side_effects) "
                "values (?,?,?,?,?)",
                (
                    request.kind,
                    request.name,
                    request.partition,
                    request.position,
                    msgspec.json.encode(request.side_effects).decode(),
                ),
            )
        return int(cursor.lastrowid or 0)

    async def requests(self) -> list[Request]:
        """Return the requests that nobody has taken up, in order."""
        rows = self._db.execute(
            "select kind, name, partition, position, side_effects, number from requests "
            "order by number"
        )
        return [
            Request(
                kind=row[0],
                name=row[1],
                partition=row[2],
                position=row[3],
                side_effects=msgspec.json.decode(row[4], type=tuple[str, ...]),
                number=row[5],
            )
            for row in rows
        ]

    async def finish_request(self, number: int) -> None:
        """Forget a request that was taken up."""
        with self._db:
            self._db.execute("delete from requests where number=?", (number,))

    async def close(self) -> None:
        """Let go of the database."""
        self._db.close()


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(
        path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=normal")
        found = database.execute("pragma user_version").fetchone()[0]
        if found not in (0, FORMAT):
            # The state is derived: another version's is dropped, and made anew from the log.
            _drop_everything(database)
        database.executescript(_SCHEMA)
        database.execute(f"pragma user_version={FORMAT}")
    except sqlite3.OperationalError:
        database.close()
        raise
    except sqlite3.DatabaseError:
        database.close()
        if path is None:
            raise
        for suffix in ("", "-wal", "-shm"):
            damaged = path.with_name(f"{path.name}{suffix}")
            if damaged.exists():
                damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))
        return _connect(path)
    return database


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
    )
