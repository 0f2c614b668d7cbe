"""The eventsourcing library on SQLite: its recorder, with content that is encoded already.

That is its best case: its own mapper and transcoder cost as much again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.measuring import Figures, Work, disk_bytes, median_rate, seconds
from benchmarks.order import (
    ONE,
    TYPE,
    Order,
    of_writer,
    plain_json_bytes,
    round_robin,
    with_one,
)
from benchmarks.peers.decoded import OrderPlaced
from benchmarks.racing import race_threads

_PAGE = 1_000
_ids: dict[str, UUID] = {}


def _recorder(folder: Path) -> SQLiteApplicationRecorder:
    recorder = SQLiteApplicationRecorder(
        SQLiteDatastore(str(folder / "events.sqlite"), lock_timeout=60, pool_size=10)
    )
    recorder.create_table()
    return recorder


def _stored(orders: list[Order]) -> list[StoredEvent]:
    return [StoredEvent(_id(o.source), o.version, f"orders:{TYPE}", o.content) for o in orders]


def _id(source: str) -> UUID:
    known = _ids.get(source)
    if known is None:
        known = _ids[source] = uuid5(NAMESPACE_URL, source)
    return known


def one_writer(work: Work, events: int) -> Figures:
    """``insert_events``, one after another."""
    count = work.scale.singles if events == 1 else work.scale.hundreds
    commits = [_stored(orders) for orders in round_robin(count, events)]
    recorder = _recorder(work.folder)
    recorder.insert_events(_stored([Order("warm-up", 1, b"{}")]))

    def commit_all() -> None:
        for stored in commits:
            recorder.insert_events(stored)

    return {"rate": count * events / seconds(commit_all)}


def threads(work: Work, writers: int) -> Figures:
    """Threads that share a recorder."""
    recorder = _recorder(work.folder)
    each = work.scale.per_writer

    def committing(writer: int) -> Callable[[], None]:
        commits = [_stored(orders) for orders in of_writer(writer, each)]

        def commit_all() -> None:
            for stored in commits:
                recorder.insert_events(stored)

        return commit_all

    return {"rate": race_threads([committing(writer) for writer in range(writers)], each)}


def prepare(work: Work, name: str, events: int, per_commit: int) -> Figures:
    """Make the same log, 100 events to a transaction however many a commit has."""
    folder = work.data / f"eventsourcing {name}"
    folder.mkdir()
    recorder = _recorder(folder)
    json_bytes = 0
    gathered: list[Order] = []
    for orders in with_one(events, per_commit):
        json_bytes += sum(map(plain_json_bytes, orders))
        gathered += orders
        if len(gathered) >= 100:
            recorder.insert_events(_stored(gathered))
            gathered = []
    recorder.insert_events(_stored(gathered))
    stored = disk_bytes(folder)
    return {"ratio": stored / json_bytes, "MB": stored / 1e6}


def read_all(work: Work, log: str) -> Figures:
    """``select_notifications`` in pages, each content decoded into the event's class."""
    recorder = _recorder(work.data / f"eventsourcing {log}")
    decode = msgspec.json.Decoder(OrderPlaced).decode
    count = recorder.max_notification_id()

    def read() -> None:
        start = 1
        while page := recorder.select_notifications(start, _PAGE):
            for notification in page:
                decode(notification.state)
            start = page[-1].id + 1

    return {"rate": median_rate(count, read, work.scale.pass_s_min)}


def load(work: Work, log: str) -> Figures:
    """``select_events`` of one aggregate, each content decoded."""
    recorder = _recorder(work.data / f"eventsourcing {log}")
    decode = msgspec.json.Decoder(OrderPlaced).decode
    count = 0

    def read() -> None:
        nonlocal count
        events = recorder.select_events(_id(ONE))
        for event in events:
            decode(event.state)
        count = len(events)

    read()
    return {"rate": median_rate(count, read, work.scale.pass_s_min)}
