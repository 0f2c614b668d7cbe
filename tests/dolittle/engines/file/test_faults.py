"""Every file operation fails once, and from then on: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.errors import (
    CommitOutcomeUnknown,
    DolittleError,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from dolittle.store import Commit
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all
from dolittle.testing.faulty_files import FaultyFiles

WRITES = frozenset({"pwrite"})
SYNCS = frozenset({"fdatasync"})


def open_store(folder: Path, files: FaultyFiles | None = None, **options: int):
    return FileStore.open(folder, clock=MovableClock(), files=files or FaultyFiles(), **options)


def some_commits() -> list[Commit]:
    return [
        a_commit(an_event(aggregate="Kitchen"), an_event("Paid"), id=f"{number:032x}")
        for number in range(8)
    ]


async def work(folder: Path, files: FaultyFiles, acknowledged: list[str]) -> None:
    """Open, commit a few, close, again and again, as far as the disk lets it."""
    for commits in (some_commits()[:3], some_commits()[3:]):
        try:
            store = await open_store(folder, files, segment_bytes=700)
        except (OSError, DolittleError):
            continue
        for commit in commits:
            try:
                acknowledged.append((await store.commit(commit)).id)
            except (OSError, DolittleError):
                continue
        await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("is_sticky", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS, 0])
async def test_every_operation_may_fail(tmp_path: Path, code: int, is_sticky: bool) -> None:
    for fail_at in range(1, 1_000):
        folder = tmp_path / str(fail_at)
        files = FaultyFiles(fail_at, code, is_sticky=is_sticky, kinds=_kinds(code))
        acknowledged: list[str] = []
        await work(folder, files, acknowledged)
        if not files.failed:
            assert len(acknowledged) == 8
            assert fail_at > 9
            return
        store = await open_store(folder)
        assert store.damage is None, (fail_at, store.damage)
        stored = [event.commit.id for event in await read_all(store)]
        assert set(acknowledged) <= set(stored), fail_at
        assert stored == [each for each in dict.fromkeys(stored) for _ in range(2)]
        # Whatever happened: committing all of it again settles it.
        for commit in some_commits():
            await store.commit(commit)
        assert len(await read_all(store)) == 16
        assert await store.verify() == []
        await store.close()
    raise AssertionError("the work never came to an end")


def _kinds(code: int) -> frozenset[str]:
    return WRITES if code == 0 else FaultyFiles().kinds


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    files = FaultyFiles()
    store = await open_store(tmp_path, files)
    await store.commit(a_commit(id="before"))
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        files.kinds, files.fail_at, files.code = WRITES, files.count + 1, code
        files.is_sticky, files.count = True, 0
        files.fail_at = 1
        with pytest.raises(StoreFull) as caught:
            await store.commit(a_commit())
        assert caught.value.hint
        assert [event.commit.id for event in await read_all(store)][-1] != ""
        files.fail_at = 0
        await store.commit(a_commit(id=f"after {code}"))
    ids = [event.commit.id for event in await read_all(store)]
    assert ids == ["before", *(f"after {c}" for c in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))]
    await store.close()
    store = await open_store(tmp_path)
    assert [event.commit.id for event in await read_all(store)] == ids
    assert not (tmp_path / "torn").exists()
    await store.close()


async def test_a_short_write_is_finished(tmp_path: Path) -> None:
    files = FaultyFiles(code=0)
    store = await open_store(tmp_path, files)
    files.kinds, files.count, files.fail_at = WRITES, 0, 1
    await store.commit(a_commit(id="whole"))
    assert files.failed == ["pwrite"]
    assert [event.commit.id for event in await read_all(store)] == ["whole"]
    await store.close()


async def test_a_sync_error_poisons_until_the_store_is_opened_again(tmp_path: Path) -> None:
    files = FaultyFiles()
    store = await open_store(tmp_path, files)
    await store.commit(a_commit(id="before"))
    files.kinds, files.count, files.fail_at = SYNCS, 0, 1
    commit = a_commit(id="unknown")
    waiting = [store.submit(commit) for commit in (commit, a_commit(), a_commit())]
    answers = await asyncio.gather(
        *(asyncio.wrap_future(future) for future in waiting), return_exceptions=True
    )
    assert isinstance(answers[0], CommitOutcomeUnknown)
    assert all(isinstance(answer, CommitOutcomeUnknown | StoreClosed) for answer in answers)
    # The sync works again, but what it says is not to be believed.
    with pytest.raises(StoreClosed, match="sync failed"):
        await store.commit(a_commit())
    assert files.failed == ["fdatasync"]
    assert [event.commit.id for event in await read_all(store)] == ["before"]
    await store.close()
    store = await open_store(tmp_path)
    settled = await store.commit(commit)
    ids = [event.commit.id for event in await read_all(store)]
    assert ids.count("unknown") == 1
    assert settled.is_repeat
    await store.close()


async def test_a_poisoned_process_does_not_stop_another(tmp_path: Path) -> None:
    files = FaultyFiles()
    poisoned, other = await open_store(tmp_path, files), await open_store(tmp_path)
    files.kinds, files.count, files.fail_at = SYNCS, 0, 1
    commit = a_commit(id="unknown")
    with pytest.raises(CommitOutcomeUnknown):
        await poisoned.commit(commit)
    assert await read_all(other) == []
    await other.commit(a_commit(id="next"))
    assert [event.commit.id for event in await read_all(other)] == ["unknown", "next"]
    assert [event.commit.id for event in await read_all(poisoned)] == ["unknown", "next"]
    assert (await other.commit(commit)).is_repeat
    await poisoned.close()
    await other.close()


async def test_an_unexpected_write_error_poisons(tmp_path: Path) -> None:
    files = FaultyFiles()
    store = await open_store(tmp_path, files)
    files.kinds, files.count, files.fail_at = WRITES, 0, 1
    with pytest.raises(CommitOutcomeUnknown):
        await store.commit(a_commit())
    with pytest.raises(StoreClosed):
        await store.commit(a_commit())
    await store.close()


async def test_a_folder_that_cannot_be_written_to_is_read(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.commit(a_commit(id="there"))
    await store.close()
    for code in (errno.EROFS, errno.EACCES):

        class ReadOnlyFiles(FaultyFiles):
            def open(self, path: Path, flags: int) -> int:
                if flags & 3:
                    raise OSError(code, "no")  # noqa: B023 - used within the round
                return super().open(path, flags)

        store = await open_store(tmp_path, ReadOnlyFiles())
        assert store.is_read_only
        assert [event.commit.id for event in await read_all(store)] == ["there"]
        with pytest.raises(StoreReadOnly):
            await store.commit(a_commit())
        await store.close()
        with pytest.raises(StoreReadOnly):
            await open_store(tmp_path / "new", ReadOnlyFiles())


async def test_a_held_lock_is_waited_for_within_a_bound(tmp_path: Path) -> None:
    store = await FileStore.open(tmp_path, clock=MovableClock(), lock_wait_s=0.05)
    assert store._lock is not None
    other = await FileStore.open(tmp_path, clock=MovableClock())
    assert other._lock is not None
    with other._lock.held():
        with pytest.raises(StoreBusy):
            await store.commit(a_commit())
        with pytest.raises(StoreBusy):
            await FileStore.open(tmp_path, clock=MovableClock(), lock_wait_s=0.05)
    await store.commit(a_commit(id="after"))
    assert [event.commit.id for event in await read_all(other)] == ["after"]
    await store.close()
    await other.close()


@pytest.mark.parametrize("in_the_way", ["store", "store/log", "store/store.json/x", "above"])
async def test_something_else_in_the_way_is_said(tmp_path: Path, in_the_way: str) -> None:
    folder = tmp_path / "above" / "store"
    path = tmp_path / "above" / in_the_way if in_the_way != "above" else tmp_path / "above"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no store")
    for read_only in (False, True):
        if read_only and in_the_way == "store/log":
            continue
        with pytest.raises(StoreUnavailable) as caught:
            await FileStore.open(folder, read_only=read_only)
        assert str(folder) in str(caught.value)
        assert caught.value.hint
