from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dolittle.errors import StateUnavailable
from dolittle.runtime.sqlite_opening import FORMAT
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import (
    Change,
    FailingPartition,
    Processor,
    Replay,
    Request,
    active,
    newest,
    next_build,
    shadow,
)
from dolittle.store import END

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def failing(partition: str, name: str = "Announcer", build: int = 1) -> FailingPartition:
    return FailingPartition(name, build, partition, 3, 2, "ValueError: no", "…", MOMENT, MOMENT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "development" / "state.sqlite"


async def filled(path: Path | None = None) -> SqliteState:
    state = SqliteState(path)
    await state.claim("store 1")
    processor = Processor("Announcer", "handler", position=5, replay=Replay(7, ("send",), {"a": 3}))
    await state.save(Change(processor, failing=[failing("a")], documents={"k": b"{}"}))
    await state.request(Request("replay", "Announcer", position=2, side_effects=("send",)))
    return state


async def test_what_is_saved_is_what_is_read(path: Path) -> None:
    await (await filled(path)).close()
    state = SqliteState(path)
    [processor] = await state.processors()
    assert processor.replay == Replay(7, ("send",), {"a": 3})
    assert (processor.position, processor.kind, processor.is_active) == (5, "handler", True)
    assert await state.failing() == [failing("a")]
    assert await state.document("Announcer", 1, "k") == b"{}"
    [request] = await state.requests()
    assert (request.kind, request.position, request.side_effects) == ("replay", 2, ("send",))
    await state.finish_request(request.number)
    assert await state.requests() == []
    await state.close()


async def test_the_state_of_another_log_is_cleared(path: Path) -> None:
    state = await filled(path)
    assert await state.claim("store 1") is False
    assert len(await state.processors()) == 1
    assert await state.claim("store 2") is True
    assert await state.processors() == []
    assert await state.failing() == []
    assert await state.requests() == []
    assert await state.count("Announcer", 1) == 0
    assert await state.claim("store 2") is False
    await state.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, whatever it is called" * 100, b"\0" * 9]
)
async def test_a_damaged_file_is_put_aside_and_made_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    for _ in range(2):
        path.write_bytes(content)
        state = SqliteState(path)
        await state.claim("store 1")
        await state.save(Change(Processor("Announcer", "handler")))
        await state.close()
        assert path.with_name("state.sqlite.damaged").read_bytes() == content
    assert sorted(item.name for item in path.parent.iterdir()) == [
        "state.sqlite",
        "state.sqlite.damaged",
    ]


async def test_the_state_of_another_version_is_made_anew(path: Path) -> None:
    await (await filled(path)).close()
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version={FORMAT + 1}")
        database.execute("create table newer (x)")
    database.close()
    state = SqliteState(path)
    assert await state.processors() == []
    await state.close()


async def test_positions_and_requests_are_kept_when_the_format_moves_on(path: Path) -> None:
    await (await filled(path)).close()
    with sqlite3.connect(path) as database:
        for column in ("stop", "source", "speed"):
            database.execute(f"alter table requests drop column {column}")
        database.execute("alter table failing drop column is_skipped")
        database.execute("alter table processors drop column began")
        database.execute("pragma user_version=1")
    database.close()
    state = SqliteState(path)
    assert [item.position for item in await state.processors()] == [5]
    [request] = await state.requests()
    assert (request.position, request.stop, request.source, request.speed) == (2, END, "", 0.0)
    bounded = Request("replay", "Announcer", position=1, stop=4, source="Tacos", speed=2.5)
    number = await state.request(bounded)
    assert (await state.requests())[-1] == msgspec.structs.replace(bounded, number=number)
    assert {row.is_skipped for row in await state.failing()} == {False}
    await state.close()


async def test_what_fails_is_kept_when_the_format_moves_on_from_the_second(path: Path) -> None:
    before = await filled(path)
    rows = await before.failing()
    await before.close()
    with sqlite3.connect(path) as database:
        database.execute("alter table failing drop column is_skipped")
        database.execute("alter table processors drop column began")
        database.execute("pragma user_version=2")
    database.close()
    state = SqliteState(path)
    assert await state.failing() == rows
    assert rows
    skipped = [msgspec.structs.replace(row, is_skipped=True) for row in rows]
    await state.save(Change(Processor("Announcer", "handler"), failing=skipped))
    assert await state.failing() == skipped
    await state.close()


async def test_where_a_handler_began_is_kept_and_was_not_before_the_fourth_format(
    path: Path,
) -> None:
    await (await filled(path)).close()
    with sqlite3.connect(path) as database:
        database.execute("alter table processors drop column began")
        database.execute("pragma user_version=3")
    database.close()
    state = SqliteState(path)
    [known] = await state.processors()
    assert (known.position, known.began) == (5, None)
    later = Processor("Later", "handler", position=7, began=6)
    await state.save(Change(later))
    assert await state.processors("Later") == [later]
    await state.close()


async def test_a_shadow_is_seen_by_nobody_and_outlives_a_swap(path: Path) -> None:
    state = SqliteState(path)
    old = Processor("Counter", "projection", 1)
    dark = Processor("Counter", "shadow", 2, is_active=False)
    new = Processor("Counter", "projection", 3, is_active=False)
    for build in (old, dark, new):
        row = failing("a", "Counter", build.build)
        await state.save(Change(build, failing=[row], documents={"k": b"1"}))
    builds = await state.processors("Counter")
    assert (active(builds), newest(builds), shadow(builds)) == (old, new, dark)
    assert next_build(builds) == 4
    assert [row.build for row in await state.failing("Counter")] == [1, 3]
    assert [row.build for row in await state.failing("Counter", build=2)] == [2]
    await state.activate("Counter", 3)
    assert [item.build for item in await state.processors("Counter")] == [2, 3]
    assert await state.document("Counter", 2, "k") == b"1"
    assert await state.document("Counter", 1, "k") is None
    await state.close()


async def test_a_snapshot_stays_as_it_was_whatever_others_write(path: Path) -> None:
    one, two = await filled(path), SqliteState(path)
    async with one.snapshot():
        assert (await one.processors())[0].position == 5
        await two.save(Change(Processor("Announcer", "handler", position=9)))
        assert (await one.processors())[0].position == 5
    assert (await one.processors())[0].position == 9
    await one.close()
    await two.close()


async def test_two_connections_see_what_the_other_writes(path: Path) -> None:
    one, two = await filled(path), SqliteState(path)
    assert await two.document("Announcer", 1, "k") == b"{}"
    await two.save(Change(Processor("Announcer", "handler", position=9), documents={"k": None}))
    assert await one.document("Announcer", 1, "k") is None
    assert (await one.processors())[0].position == 9
    await one.close()
    await two.close()


async def test_a_change_is_written_whole_or_not_at_all(path: Path) -> None:
    state = await filled(path)
    broken = FailingPartition("Announcer", 1, "b", 3, 2, "\ud800", "…", MOMENT, MOMENT)
    with pytest.raises(UnicodeEncodeError):
        await state.save(
            Change(
                Processor("Announcer", "handler", position=9),
                failing=[failing("c"), broken],
                documents={"k": None, "l": b"{}"},
            )
        )
    assert (await state.processors())[0].position == 5
    assert await state.failing() == [failing("a")]
    assert [item.key for item in await state.documents("Announcer", 1)] == ["k"]
    await state.save(Change(Processor("Announcer", "handler", position=6), recovered=["a"]))
    assert await state.failing() == []
    await state.close()


async def test_swapping_builds_leaves_only_the_new_one(path: Path) -> None:
    state = SqliteState(path)
    old = Processor("Counter", "projection", 1)
    new = Processor("Counter", "projection", 2, is_active=False)
    await state.save(Change(old, failing=[failing("a", "Counter")], documents={"k": b"1"}))
    await state.save(Change(new, failing=[failing("b", "Counter", 2)], documents={"k": b"2"}))
    other = Processor("Other", "projection")
    await state.save(Change(other, documents={"k": b"3"}))
    builds = await state.processors("Counter")
    assert (active(builds), newest(builds)) == (old, new)
    await state.activate("Counter", 2)
    [left] = await state.processors("Counter")
    assert (left.build, left.is_active) == (2, True)
    assert [row.partition for row in await state.failing("Counter")] == ["b"]
    assert await state.document("Counter", 1, "k") is None
    assert await state.document("Counter", 2, "k") == b"2"
    await state.discard("Counter", 2)
    assert await state.processors("Counter") == []
    assert await state.document("Other", 1, "k") == b"3"
    await state.close()


def test_many_may_open_a_new_state_at_the_same_time(tmp_path: Path) -> None:
    count = 8
    for attempt in range(5):
        path = tmp_path / str(attempt) / "state.sqlite"
        everyone = threading.Barrier(count)

        def open_it(path: Path = path, everyone: threading.Barrier = everyone) -> int:
            everyone.wait(10)
            state = SqliteState(path)
            found = state._db.execute("select count(*) from processors").fetchone()[0]
            assert state._opened is not None
            state._opened.close()
            return int(found)

        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            assert [future.result() for future in [threads.submit(open_it) for _ in range(count)]]


async def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnavailable) as caught:
        await SqliteState(tmp_path / "file" / "state.sqlite").processors()
    assert str(tmp_path / "file") in str(caught.value)


async def test_nothing_is_made_before_it_is_needed(path: Path) -> None:
    state = SqliteState(path, store_id="store 1")
    await state.close()
    assert not path.exists()


async def test_the_state_of_another_log_is_cleared_when_it_is_first_used(path: Path) -> None:
    await (await filled(path)).close()
    state = SqliteState(path, store_id="store 2")
    assert await state.processors() == []
    await state.close()
    same = SqliteState(path, store_id="store 2")
    assert await same.claim("store 2") is False
    await same.close()


async def test_what_sqlite_cannot_do_is_an_error_of_ours(path: Path) -> None:
    state = await filled(path)
    state._db.execute("drop table documents")
    with pytest.raises(StateUnavailable, match="no such table: documents") as caught:
        await state.documents("Announcer", 1)
    assert "events are not concerned" in caught.value.hint
    await state.close()


@pytest.fixture
def read_only(path: Path, tmp_path: Path) -> Iterator[Path]:
    """A state in a folder that cannot be written to, also by root."""
    asyncio.run(_fill(path))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if os.geteuid() != 0:
        path.parent.chmod(0o500)
        yield path
        path.parent.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", str(path.parent), str(mounted)]).returncode:
        pytest.skip("root may not mount here, and root can write to any folder")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(mounted)], check=True)
        yield mounted / path.name
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


async def _fill(path: Path) -> None:
    await (await filled(path)).close()


async def test_a_state_in_a_read_only_folder_can_be_read_and_says_that_it_cannot_be_written(
    read_only: Path,
) -> None:
    state = SqliteState(read_only, store_id="store 1")
    assert (await state.processors())[0].position == 5
    with pytest.raises(StateUnavailable, match="readonly"):
        await state.save(Change(Processor("Announcer", "handler", position=9)))
    await state.close()


def test_the_state_is_not_needed_to_import_the_declarations() -> None:
    code = "import sys, dolittle; print('sqlite3' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


async def test_a_request_of_another_process_is_seen_however_quiet_it_was_before(
    tmp_path: Path,
) -> None:
    mine, other = SqliteState(tmp_path / "state.sqlite"), SqliteState(tmp_path / "state.sqlite")
    assert await mine.requests() == []
    log = tmp_path / "state.sqlite-wal"
    asked: list[str] = []
    mine._db.set_trace_callback(asked.append)
    for round_ in range(3):
        # As if nobody had written for a while.
        os.utime(log, (1_000_000 + round_, 1_000_000 + round_))
        assert await mine.requests() == []
        asked.clear()
        assert await mine.requests() == []
        assert asked == []
        number = await other.request(Request("replay", "Waiter"))
        assert [item.number for item in await mine.requests()] == [number]
        assert [item.number for item in await mine.requests()] == [number]
        await mine.finish_request(number)
        assert await mine.requests() == []
    await mine.close()
    await other.close()


async def test_a_log_that_was_just_written_is_asked_each_time(tmp_path: Path) -> None:
    state = SqliteState(tmp_path / "state.sqlite")
    await state.finish_request(await state.request(Request("replay", "Waiter")))
    asked: list[str] = []
    state._db.set_trace_callback(asked.append)
    for _ in range(3):
        assert await state.requests() == []
    assert len(asked) == 3
    await state.close()
