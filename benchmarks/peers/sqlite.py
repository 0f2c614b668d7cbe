"""A plain event table in SQLite: WAL, ``synchronous=FULL``, one transaction a commit."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.measuring import Figures, Work, disk_bytes, median_rate, seconds
from benchmarks.order import (
    AGGREGATE,
    ONE,
    TYPE,
    Order,
    of_writer,
    plain_json_bytes,
    round_robin,
    with_one,
)
from benchmarks.peers.decoded import OrderPlaced
from benchmarks.racing import race_processes, race_threads
from benchmarks.tail_times import WARM_UP, Reader, latencies, pace

_POLL_S: Final = 0.001
_SCHEMA: Final = """
create table if not exists events (
    position integer primary key, type text not null, source text not null,
    aggregate text not null, version integer not null, commit_id text not null,
    time text not null, content blob not null, unique (source, aggregate, version)
)
"""
_INSERT: Final = """
insert into events (type, source, aggregate, version, commit_id, time, content)
values (?, ?, ?, ?, ?, ?, ?)
"""
_TIME: Final = "2026-11-24T12:00:00.123456Z"

Row = tuple[str, str, str, int, str, str, bytes]


def _connect(folder: Path, synchronous: str = "full") -> sqlite3.Connection:
    connection = sqlite3.connect(
        folder / "events.sqlite", isolation_level=None, timeout=60, check_same_thread=False
    )
    connection.execute("pragma journal_mode=wal")
    connection.execute(f"pragma synchronous={synchronous}")
    connection.execute(_SCHEMA)
    return connection


def _rows(orders: list[Order], commit: int) -> list[Row]:
    name = f"{commit:032x}"
    return [(TYPE, o.source, AGGREGATE, o.version, name, _TIME, o.content) for o in orders]


def _commit(connection: sqlite3.Connection, rows: list[Row]) -> None:
    connection.execute("begin immediate")
    if len(rows) == 1:
        connection.execute(_INSERT, rows[0])
    else:
        connection.executemany(_INSERT, rows)
    connection.execute("commit")


def one_writer(work: Work, events: int) -> Figures:
    """One connection, commits one after another."""
    count = work.scale.singles if events == 1 else work.scale.hundreds
    commits = [_rows(orders, n) for n, orders in enumerate(round_robin(count, events))]
    connection = _connect(work.folder)
    _commit(connection, _rows([Order("warm-up", 1, b"{}")], 0))

    def commit_all() -> None:
        for rows in commits:
            _commit(connection, rows)

    rate = count * events / seconds(commit_all)
    connection.close()
    return {"rate": rate}


def _committing(folder: Path, writer: int, each: int) -> Callable[[], None]:
    connection = _connect(folder)
    commits = [_rows(orders, n) for n, orders in enumerate(of_writer(writer, each))]

    def commit_all() -> None:
        for rows in commits:
            _commit(connection, rows)
        connection.close()

    return commit_all


def threads(work: Work, writers: int) -> Figures:
    """A connection for each thread."""
    each = work.scale.per_writer
    actions = [_committing(work.folder, writer, each) for writer in range(writers)]
    return {"rate": race_threads(actions, each)}


def processes(work: Work, writers: int) -> Figures:
    """A connection for each process."""
    _connect(work.folder).close()
    return {"rate": race_processes(_committing, work.folder, writers, work.scale.per_writer)}


def prepare(work: Work, name: str, events: int, per_commit: int) -> Figures:
    """Make the same log as a table."""
    folder = work.data / f"sqlite {name}"
    folder.mkdir()
    connection = _connect(folder, "off")
    json_bytes = 0
    for number, orders in enumerate(with_one(events, per_commit)):
        json_bytes += sum(map(plain_json_bytes, orders))
        _commit(connection, _rows(orders, number))
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    stored = disk_bytes(folder)
    return {"ratio": stored / json_bytes, "MB": stored / 1e6}


def read_all(work: Work, log: str) -> Figures:
    """Read every row, and decode its content into the event's class."""
    connection = _connect(work.data / f"sqlite {log}")
    decode = msgspec.json.Decoder(OrderPlaced).decode
    count = connection.execute("select count(*) from events").fetchone()[0]

    def read() -> None:
        rows = connection.execute(
            "select position, type, source, aggregate, version, commit_id, time, content "
            "from events order by position"
        )
        for row in rows:
            decode(row[7])

    read()
    return {"rate": median_rate(count, read, work.scale.pass_s_min)}


def load(work: Work, log: str) -> Figures:
    """Read the rows of one aggregate, and decode each."""
    connection = _connect(work.data / f"sqlite {log}")
    decode = msgspec.json.Decoder(OrderPlaced).decode
    count = 0

    def read() -> None:
        nonlocal count
        count = 0
        rows = connection.execute(
            "select position, type, source, aggregate, version, commit_id, time, content "
            "from events where source = ? and aggregate = ? order by version",
            (ONE, AGGREGATE),
        )
        for row in rows:
            decode(row[7])
            count += 1

    read()
    return {"rate": median_rate(count, read, work.scale.pass_s_min)}


def tail(work: Work) -> Figures:
    """Commit here; another process looks each millisecond."""
    connection = _connect(work.folder)
    count = WARM_UP + work.scale.tailed
    returned: list[int] = []
    with Reader("peers.sqlite", work.folder, count) as reader:
        begin = time.monotonic()
        for number, orders in enumerate(of_writer(0, count)):
            pace(begin, number)
            _commit(connection, _rows(orders, number))
            returned.append(time.monotonic_ns())
        seen = reader.seen()
    return latencies(returned, seen)


def main() -> None:
    """Be the reading process."""
    connection = _connect(Path(sys.argv[1]))
    count = int(sys.argv[2])
    seen: list[int] = []
    last = 0
    print("ready", flush=True)
    while len(seen) < count:
        rows = connection.execute(
            "select position, content from events where position > ? order by position", (last,)
        ).fetchall()
        now = time.monotonic_ns()
        seen.extend(now for _ in rows)
        last = rows[-1][0] if rows else last
        if not rows:
            time.sleep(_POLL_S)
    print(seen)


if __name__ == "__main__":
    main()
