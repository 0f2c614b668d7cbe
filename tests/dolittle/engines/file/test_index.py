"""The index is derived: deleted, damaged, stale or of another store, the answers stay the same."""

from __future__ import annotations

import errno
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file import index as index_module
from dolittle.engines.file.index import Index, Indexed, SealedSegment, is_passing
from dolittle.store import Selection
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all
from dolittle.testing.faulty_files import FaultyFiles

STORE = "0" * 32


async def open_store(folder: Path, **options: object) -> FileStore:
    options = {"files": FaultyFiles(), "clock": MovableClock(), **options}
    return await FileStore.open(folder, **options)  # type: ignore[arg-type]


async def fill(folder: Path, begin: int = 0, end: int = 60) -> None:
    store = await open_store(folder, segment_bytes=5_000)
    for number in range(begin, end):
        await store.commit(
            a_commit(
                an_event(f"T{number % 20}", f"s{number % 9}", b'{"a":1}', "Kitchen"),
                an_event(f"T{number % 21}", f"s{number % 8}"),
                id=f"{number:04}",
            )
        )
    await store.close()


async def answers(store: FileStore) -> object:
    found: list[object] = [
        await store.head(),
        await store.streams(),
        await store.type_counts(),
        await store.find_commit("0007"),
        await store.find_commit("none"),
    ]
    for selection in (
        Selection(),
        Selection(source="s3"),
        Selection(types=frozenset(["T3", "T4"])),
        Selection(aggregate="Kitchen", start=30),
        Selection(correlation="0011"),
        Selection(source="s1", stop=70),
    ):
        found.append(await read_all(store, selection))
        found.append(await store.read_last(selection, 5))
    return found


async def check(folder: Path, expected: object) -> None:
    for _ in range(2):
        store = await open_store(folder)
        assert await answers(store) == expected
        assert store.damage is None
        assert await store.verify() == []
        await store.close()
    store = await open_store(folder, read_only=True)
    assert await answers(store) == expected
    await store.close()


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 1000)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_store(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '1 other' WHERE name = 'owner'")
    db.close()


def of_another_format(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '1 ' || substr(value, 3) WHERE name = 'owner'")
    db.close()


def without_a_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE chain")
    db.close()


@pytest.mark.parametrize(
    "harm",
    [delete, empty, overwrite, cut, of_another_store, of_another_format, without_a_table],
)
async def test_a_harmed_index_is_made_anew(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    await fill(tmp_path)
    store = await open_store(tmp_path)
    expected = await answers(store)
    await store.close()
    harm(tmp_path / "index.sqlite")
    await check(tmp_path, expected)


async def test_an_index_that_is_behind_catches_up(tmp_path: Path) -> None:
    await fill(tmp_path, 0, 30)
    shutil.copy(tmp_path / "index.sqlite", tmp_path / "old")
    await fill(tmp_path, 30, 60)
    store = await open_store(tmp_path)
    expected = await answers(store)
    await store.close()
    shutil.move(tmp_path / "old", tmp_path / "index.sqlite")
    await check(tmp_path, expected)


async def test_an_index_of_another_history_is_made_anew(tmp_path: Path) -> None:
    await fill(tmp_path, 0, 30)
    shutil.copytree(tmp_path, tmp_path / "other")
    await fill(tmp_path / "other", 100, 120)
    await fill(tmp_path, 30, 60)
    store = await open_store(tmp_path)
    expected = await answers(store)
    await store.close()
    shutil.copy(tmp_path / "other" / "index.sqlite", tmp_path / "index.sqlite")
    await check(tmp_path, expected)


async def test_an_index_that_goes_bad_while_in_use_is_made_anew(tmp_path: Path) -> None:
    await fill(tmp_path)
    store = await open_store(tmp_path)
    expected = await answers(store)
    store._lookup._index._db.execute("DROP TABLE chain")
    assert await answers(store) == expected
    await store.commit(a_commit(id="more"))
    await store.close()
    store = await open_store(tmp_path)
    assert await store.find_commit("more") is not None
    assert await store.verify() == []
    await store.close()


@pytest.mark.slow
async def test_a_damaged_byte_anywhere_gives_the_same_answers(tmp_path: Path) -> None:
    await fill(tmp_path)
    index = (tmp_path / "index.sqlite").read_bytes()
    store = await open_store(tmp_path)
    expected = await answers(store)
    await store.close()
    chance = random.Random(7)
    for number in range(250):
        harmed = bytearray(index)
        # Every part of the file in turn; which byte of it, and what it becomes, is chance.
        at = len(index) * number // 250 + chance.randrange(len(index) // 250)
        harmed[at] ^= chance.randrange(1, 256)
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"index.sqlite{suffix}").unlink(missing_ok=True)
        (tmp_path / "index.sqlite").write_bytes(harmed)
        store = await open_store(tmp_path)
        assert await answers(store) == expected, at
        await store.close()


async def test_a_tail_that_cannot_be_indexed_stays_in_memory(tmp_path: Path) -> None:
    await fill(tmp_path, 0, 10)
    store = await open_store(tmp_path)
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    store._lookup._index._db.execute("PRAGMA busy_timeout = 10")
    other.execute("BEGIN IMMEDIATE")
    await store.commit(a_commit(id="tail"))
    assert store._lookup.flush(store._log.mark()) is False
    assert await store.find_commit("tail") is not None
    other.execute("ROLLBACK")
    other.close()
    assert store._lookup.flush(store._log.mark()) is True
    assert not store._lookup.has_tail
    assert await store.find_commit("tail") is not None
    await store.close()


async def test_two_that_index_the_same_lines_add_them_once(tmp_path: Path) -> None:
    one, two = await open_store(tmp_path), await open_store(tmp_path)
    for number in range(20):
        await (one, two)[number % 2].commit(a_commit(an_event("T", "s", b"{}", "K")))
        if number % 5 == 0:
            one._lookup.flush(one._log.mark())
        if number % 7 == 0:
            two._lookup.flush(two._log.mark())
        assert await one.type_counts() == await two.type_counts() == {"T": number + 1}
        assert len(await read_all(one, Selection(source="s"))) == number + 1
        assert len(await read_all(two, Selection(source="s"))) == number + 1
    await one.close()
    await two.close()
    store = await open_store(tmp_path)
    assert await store.verify() == []
    await store.close()


def test_one_at_a_time_adds_and_waits_only_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_BUSY_S", 0.01)
    path = tmp_path / "index.sqlite"
    one, two = (Index(path, STORE, is_writable=True) for _ in range(2))
    one.begin()
    for attempt in (two.begin, lambda: two.remember(SealedSegment(0, 0, 1, 1))):
        with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
            attempt()
        assert is_passing(caught.value)
    # Reading needs no turn.
    assert two.indexed() == Indexed()
    assert two._db.execute("PRAGMA busy_timeout").fetchone() == (10,)
    one.rollback()
    two.begin()
    two.close()
    one.close()


def test_the_file_is_private_and_written_behind(tmp_path: Path) -> None:
    folder = tmp_path / "a folder?#%20"
    folder.mkdir()
    path = folder / "index.sqlite"
    with pytest.raises(sqlite3.OperationalError):
        Index(path, STORE, is_writable=False)
    assert not path.exists()
    index = Index(path, STORE, is_writable=True)
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
    assert index._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert index._db.execute("PRAGMA synchronous").fetchone() == (1,)
    reader = Index(path, STORE, is_writable=False)
    assert reader.indexed() == Indexed()
    with pytest.raises(sqlite3.OperationalError, match="readonly") as caught:
        reader.remember(SealedSegment(0, 0, 1, 1))
    assert is_passing(caught.value)
    reader.close()
    index.close()
    with pytest.raises(sqlite3.ProgrammingError):
        index.indexed()


@pytest.mark.parametrize("is_writable", [True, False])
def test_an_index_of_another_store_is_refused_and_let_go_of(
    tmp_path: Path, is_writable: bool
) -> None:
    path = tmp_path / "index.sqlite"
    index = Index(path, STORE, is_writable=True)
    assert index._db.execute("SELECT * FROM meta").fetchall() == [("owner", f"4 {STORE}")]
    index.close()
    before = path.read_bytes()
    with pytest.raises(sqlite3.DatabaseError) as caught:
        Index(path, "1" * 32, is_writable=is_writable)
    assert str(caught.value) == "the index belongs to another store or version"
    assert not is_passing(caught.value)
    assert path.read_bytes() == before
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '3 ' || substr(value, 3)")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="another store or version"):
        Index(path, STORE, is_writable=is_writable)


def test_an_error_of_the_surroundings_says_nothing_against_the_index() -> None:
    def error(code: int) -> sqlite3.Error:
        made = sqlite3.OperationalError("so it is")
        made.sqlite_errorcode = code
        return made

    for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT, sqlite3.SQLITE_IOERR_READ):
        assert is_passing(error(code))
    for code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        assert not is_passing(error(code))
    assert not is_passing(ValueError("a number that is none"))
    assert not is_passing(OSError(errno.EIO, "not of SQLite"))
