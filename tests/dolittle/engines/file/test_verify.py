"""Verify says what is wrong, and where."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file.blocks import Value
from dolittle.engines.file.keys import key_of, packed
from dolittle.engines.file.line import Place, encode, seed_of, store
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit
from dolittle.testing.contract import MovableClock, a_commit, an_event
from dolittle.testing.faulty_files import FaultyFiles

FIRST = "00000000000000000000.jsonl"


async def a_store(folder: Path) -> FileStore:
    return await FileStore.open(
        folder, clock=MovableClock(), files=FaultyFiles(), segment_bytes=2_000
    )


async def test_a_sound_store_has_no_findings(tmp_path: Path) -> None:
    store_ = await a_store(tmp_path)
    for _ in range(30):
        await store_.commit(a_commit(an_event(aggregate="Kitchen")))
    steps: list[tuple[int, int]] = []
    assert await store_.verify(lambda done, total: steps.append((done, total))) == []
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1] > 0
    await store_.close()


Made = tuple[int, int, int, str, bytes]
"""Position, synced, seconds, commit id, content; the version follows the position."""


@pytest.mark.parametrize(
    ("made", "version", "what"),
    [
        ((2, 0, 0, "c", b"{}"), 2, "position 2, 1 should follow"),
        ((1, 2, 0, "c", b"{}"), 2, "before it was written"),
        ((1, 0, -9, "c", b"{}"), 2, "is before that of the line before it"),
        ((1, 0, 0, "first", b"{}"), 2, "was stored before"),
        ((1, 0, 0, "c", b"{}"), 3, "has version 3, 2 should follow"),
        ((1, 0, 0, "c", b"[]"), 2, "not a commit"),
    ],
)
async def test_a_line_that_cannot_follow_is_found(
    tmp_path: Path, made: Made, version: int, what: str
) -> None:
    store_ = await a_store(tmp_path)
    await store_.commit(a_commit(an_event(aggregate="Kitchen"), id="first"))
    await store_.close()
    position, synced, seconds, commit_id, content = made
    clock = MovableClock()
    clock.move(seconds)
    event = EventToCommit("T", "Dolittle Tacos", content, aggregate="Kitchen")
    commit = Commit(commit_id, (event,), ExecutionContext())
    line = encode(
        store(commit, Place(position, synced, clock.now()), [version]), seed_of(store_.id)
    )
    path = tmp_path / "log" / FIRST
    offset = path.stat().st_size
    path.write_bytes(path.read_bytes() + line)
    (tmp_path / "synced").unlink()
    reader = await FileStore.open(tmp_path, read_only=True)
    # A torn tail to the store; what it says is wrong all the same, and verify tells.
    reader._log._own = reader._log._own._replace(address=offset + len(line))
    (finding,) = [each for each in await reader.verify() if "index" not in each.what]
    assert what in finding.what
    assert (finding.path, finding.line, finding.offset) == (path, 2, offset)
    await reader.close()


def change(store_: FileStore, key: bytes, value: Value) -> None:
    """Write what is wrong, but well: with its checksum."""
    store_._lookup._index._blocks.put({key: value})
    store_._lookup._versions.clear()


def lose_a_commit(store_: FileStore) -> None:
    lost = key_of(b"c", "two")
    store_._lookup._index._blocks.change([lost], lambda entries, _: entries.__delitem__(lost))


def point_elsewhere(store_: FileStore) -> None:
    change(store_, key_of(b"c", "two"), 1)


def raise_a_version(store_: FileStore) -> None:
    change(store_, key_of(b"v", "Kitchen", "Dolittle Tacos"), 9)


def count_wrongly(store_: FileStore) -> None:
    change(store_, key_of(b"t", "DishPrepared"), 9)


def post_too_much(store_: FileStore) -> None:
    change(store_, key_of(b"p\0", "Dolittle Tacos") + packed(5), (5).to_bytes(4, sys.byteorder))


@pytest.mark.parametrize(
    "harm", [lose_a_commit, point_elsewhere, raise_a_version, count_wrongly, post_too_much]
)
async def test_an_index_that_does_not_match_is_found(
    tmp_path: Path, harm: Callable[[FileStore], None]
) -> None:
    store_ = await a_store(tmp_path)
    await store_.commit(a_commit(an_event(aggregate="Kitchen"), id="one"))
    await store_.commit(a_commit(an_event(aggregate="Kitchen"), id="two"))
    store_._lookup.flush(store_._log.mark())
    harm(store_)
    (finding,) = await store_.verify()
    assert "index" in finding.what
    assert finding.path == tmp_path / "index.sqlite"
    await store_.close()
