"""Opens the database of a tenant's state: its tables, earlier formats, and one that is damaged."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from dolittle.store import END

FORMAT: Final = 4
BUSY_TIMEOUT_S: Final = 5.0
"""How long one process waits for another one's transaction."""

SWITCH_AGAIN_S: Final = 0.002

_NOT_WRITABLE: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)

_SCHEMA: Final = f"""
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists processors (
    name text, build integer, kind text not null, is_active integer not null,
    position integer not null, fingerprint text not null, replay blob, began integer,
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
_FROM_FORMAT_3: Final = ("alter table processors add column began integer",)
"""Positions are kept over these: without it, handlers would handle all their events again."""

_STEPS: Final = {
    1: (*_FROM_FORMAT_1, *_FROM_FORMAT_2, *_FROM_FORMAT_3),
    2: (*_FROM_FORMAT_2, *_FROM_FORMAT_3),
    3: _FROM_FORMAT_3,
}
"""What brings the tables of an earlier format up to this one."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open or make the database; in memory without a path.

    A damaged one is put aside and made anew. One that cannot be written to is opened for
    reading.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: Its folder cannot be made.
    """
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


def claim(database: sqlite3.Connection, store_id: str) -> bool:
    """Bind the database to an event log; clear it, and tell so, if it was another log's."""
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
