"""A real small file system that fills up, and a simulated one: refused, readable, then over."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.errors import StoreFull
from dolittle.store import Commit, EventToCommit
from dolittle.testing.contract import a_commit, an_event, read_all
from tests.torture.disk import SimulatedDisk
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, commit_together

SIZE = "1m"
COMMITS_MAX = 1_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; only root can mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        reason = f"no small file system can be mounted: {mounted.stderr.strip()}"
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def fill(store: FileStore) -> list[str]:
    """Commit until there is no room; return what was acknowledged."""
    acknowledged: list[str] = []
    for number in range(COMMITS_MAX):
        try:
            answer = await store.commit(
                a_commit(an_event(content=b'{"a":"%b"}' % (b"x" * 9_000)), id=f"{number:04}")
            )
        except StoreFull:
            return acknowledged
        acknowledged.append(answer.id)
    raise AssertionError("it never became full")


def fill_up(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_a_real_full_disk_refuses_reads_and_recovers(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    store = await FileStore.open(small_disk / "store")
    reader = await FileStore.open(small_disk / "store", read_only=True)
    acknowledged = await fill(store)
    assert len(acknowledged) > 10
    for each in (store, reader):
        assert [event.commit.id for event in await read_all(each)] == acknowledged
    with pytest.raises(StoreFull) as caught:
        await store.commit(a_commit(an_event(content=b'{"a":"%b"}' % (b"x" * 9_000))))
    assert caught.value.hint
    ballast.unlink()
    await store.commit(a_commit(id="there is room"))
    acknowledged.append("there is room")
    assert [event.commit.id for event in await read_all(reader)] == acknowledged
    assert await store.verify() == []
    await reader.close()
    await store.close()
    store = await FileStore.open(small_disk / "store")
    assert store.damage is None
    assert [event.commit.id for event in await read_all(store)] == acknowledged
    await store.close()


async def test_a_store_on_a_real_full_disk_is_opened_for_what_it_has(small_disk: Path) -> None:
    store = await FileStore.open(small_disk / "store")
    acknowledged = await fill(store)
    await store.close()
    fill_up(small_disk / "ballast")
    for read_only in (False, True):
        try:
            store = await FileStore.open(small_disk / "store", read_only=read_only)
        except StoreFull:
            # It needed room to be mended; nothing was lost.
            continue
        assert [event.commit.id for event in await read_all(store)] == acknowledged
        await store.close()
    (small_disk / "ballast").unlink()
    store = await FileStore.open(small_disk / "store")
    await store.commit(a_commit(id="there is room"))
    assert len(await read_all(store)) == len(acknowledged) + 1
    await store.close()


@pytest.mark.parametrize("room", range(0, 2_000, 37))
def test_a_simulated_full_disk_refuses_and_is_over_when_there_is_room(room: int) -> None:
    course, disk = Course(0, durability="fsync"), SimulatedDisk(NOWHERE)
    store = course._open(disk)
    disk.room = room
    commits = [
        Commit(f"c{number}", (EventToCommit("Paid", "Table 1", b'{"a":1}'),), NOBODY)
        for number in range(12)
    ]
    told = [type(commit_together(store, [commit])[0]).__name__ for commit in commits]
    assert set(told) <= {"CommittedEvents", "StoreFull"}
    assert told == sorted(told)
    there = told.count("CommittedEvents")
    assert store._log.mark().position == there
    disk.room = None
    again = [commit_together(store, [commit])[0] for commit in commits]
    assert [answer.is_repeat for answer in again] == [True] * there + [False] * (12 - there)  # type: ignore[union-attr]
    store._close()
