"""Opening, closing and living with a store's folder."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file import writer as writer_module
from dolittle.errors import StoreClosed, StoreDamaged, StoreReadOnly, UnsupportedStoreFormat
from dolittle.store import Selection, Stream
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all
from dolittle.testing.faulty_files import FaultyFiles


async def open_store(folder: Path, **options: object) -> FileStore:
    options = {"files": FaultyFiles(), "clock": MovableClock(), **options}
    return await FileStore.open(folder, **options)  # type: ignore[arg-type]


async def test_a_reopened_store_has_its_id_and_its_events(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "a" / "b")
    answer = await store.commit(a_commit(an_event(aggregate="Kitchen")))
    await store.close()
    again = await open_store(tmp_path / "a" / "b")
    assert again.id == store.id
    assert await read_all(again) == list(answer.events)
    assert await again.version(Stream("Kitchen", "Dolittle Tacos")) == 1
    assert (await again.commit(a_commit())).position == 1
    await again.close()


async def test_nobody_else_may_look_into_a_store(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = await open_store(folder)
    await store.commit(a_commit())
    waiting = asyncio.create_task(store.wait(1))
    await store.commit(a_commit())
    await waiting
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.suffix == ".sock", path
    await store.close()


async def test_a_store_of_another_format_is_left_alone(tmp_path: Path) -> None:
    text = '{"format":2,"id":"new"}'
    (tmp_path / "store.json").write_text(text)
    for read_only in (False, True):
        with pytest.raises(UnsupportedStoreFormat) as caught:
            await open_store(tmp_path, read_only=read_only)
        assert (caught.value.found, caught.value.supported) == (2, 1)
    assert (tmp_path / "store.json").read_text() == text


async def test_every_flipped_bit_of_the_description_is_refused(tmp_path: Path) -> None:
    await (await open_store(tmp_path)).close()
    data = (tmp_path / "store.json").read_bytes()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "store.json").write_bytes(flipped)
        with pytest.raises((StoreDamaged, UnsupportedStoreFormat)):
            await open_store(tmp_path, read_only=True)


async def test_reading_only_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await open_store(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()
    store = await open_store(tmp_path / "some")
    await store.commit(a_commit())
    await store.close()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "some").glob("*")}
    reader = await open_store(tmp_path / "some", read_only=True)
    assert len(await read_all(reader)) == 1
    with pytest.raises(StoreReadOnly, match="reading only"):
        await reader.commit(a_commit())
    await reader.close()
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "some").glob("*")}
    for path, mtime_ns in before.items():
        assert after[path] == mtime_ns, path


async def test_reading_only_sees_what_others_commit(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    reader = await open_store(tmp_path, read_only=True)
    waiting = asyncio.create_task(reader.wait(0))
    answer = await store.commit(a_commit(an_event("T", "s", b"{}", "K")))
    await asyncio.wait_for(waiting, 10)
    assert await read_all(reader, Selection(source="s")) == list(answer.events)
    assert await reader.type_counts() == {"T": 1}
    await reader.close()
    await store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
async def test_a_user_who_may_only_read_reads(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = await open_store(folder)
    await store.commit(a_commit(an_event("T", "s")))
    await store.close()
    above = [path for path in folder.parents if path.is_relative_to(tempfile.gettempdir())]
    for path in [folder, *folder.rglob("*"), *above[:-1]]:
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    program = (
        "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "import asyncio; from pathlib import Path\n"
        "from dolittle.engines.file import FileStore\n"
        "from dolittle.store import Selection\n"
        "async def main():\n"
        f"    store = await FileStore.open(Path({str(folder)!r}))\n"
        "    async for page in store.read(Selection(source='s')):\n"
        "        print(store.is_read_only, len(page.events), page.next_position)\n"
        "    print(await store.type_counts())\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            # Whoever cannot read root's Python has what is imported later already.
            "import asyncio, concurrent.futures.thread, pathlib, urllib.parse\n"
            "import dolittle.engines.file; pathlib.Path('/').as_uri()\n" + program,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True 1 1\n{'T': 1}\n", "")


async def test_opening_reads_as_much_of_a_long_log_as_of_a_short_one(tmp_path: Path) -> None:
    class CountingFiles(FaultyFiles):
        bytes_read = 0

        def pread(self, fd: int, length: int, offset: int) -> bytes:
            data = super().pread(fd, length, offset)
            self.bytes_read += len(data)
            return data

    read = []
    for commits in (10, 400):
        folder = tmp_path / str(commits)
        store = await open_store(folder, segment_bytes=20_000)
        for _ in range(commits):
            await store.commit(a_commit(*[an_event()] * 10))
        await store.close()
        files = CountingFiles()
        store = await open_store(folder, files=files)
        assert len(await store.read_last(Selection(source="Dolittle Tacos"), 10)) == 10
        read.append(files.bytes_read)
        await store.close()
    assert read[1] < 2 * read[0] + 20_000


async def test_commits_come_from_any_thread(tmp_path: Path) -> None:
    store = await open_store(tmp_path)

    def commit_some() -> None:
        for _ in range(20):
            store.submit(a_commit()).result(10)

    threads = [threading.Thread(target=commit_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert await store.head() == 160
    await store.close()


async def test_a_full_queue_makes_the_caller_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_COMMITS_MAX", 3)
    store = await open_store(tmp_path)
    await asyncio.gather(*(store.commit(a_commit()) for _ in range(50)))
    assert await store.head() == 50
    await store.close()


async def test_closing_finishes_what_was_committed_before(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    waiting = [store.submit(a_commit()) for _ in range(20)]
    await store.close()
    assert [future.result(0).position for future in waiting] == list(range(20))
    with pytest.raises(StoreClosed):
        store.submit(a_commit())
    with pytest.raises(StoreClosed):
        await store.version(Stream("Kitchen", "s"))
    assert (tmp_path / "index.sqlite").exists()


async def test_a_closed_store_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("needs /proc")
    await asyncio.to_thread(int)
    threads, before = threads_but_workers(), len(list(fds.iterdir()))
    for _ in range(3):
        store = await open_store(tmp_path, segment_bytes=500)
        waiting = asyncio.create_task(store.wait(await store.head() + 1))
        await store.commit(a_commit())
        await store.commit(a_commit())
        await waiting
        assert await read_all(store)
        await store.close()
    assert len(list(fds.iterdir())) == before
    assert threads_but_workers() == threads


def threads_but_workers() -> set[threading.Thread]:
    """Return the threads, without those that the event loop keeps, as many as it was busy."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


async def test_a_weaker_durability_is_said(tmp_path: Path) -> None:
    store = await FileStore.open(tmp_path, durability="os")
    assert (await store.facts()).durability == "os"
    await store.close()


async def test_durability_os_claims_no_position_to_be_on_disk(tmp_path: Path) -> None:
    files = FaultyFiles(kinds=frozenset({"fdatasync"}))
    store = await open_store(tmp_path, files=files, durability="os")
    opened = files.count
    for _ in range(5):
        await store.commit(a_commit())
    assert files.count == opened
    log = (tmp_path / "log" / "00000000000000000000.jsonl").read_text()
    assert log.count('"synced":0,') == 5
    await store.close()
    assert files.count == opened + 1


async def test_fsync_syncs_before_it_answers(tmp_path: Path) -> None:
    files = FaultyFiles(kinds=frozenset({"fdatasync"}))
    store = await open_store(tmp_path, files=files)
    before = files.count
    for _ in range(5):
        await store.commit(a_commit())
    assert files.count == before + 5
    log = (tmp_path / "log" / "00000000000000000000.jsonl").read_text()
    assert [f'"synced":{number},' in log for number in range(5)] == [True] * 5
    await store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_an_unexpected_error_leaves_nobody_waiting(tmp_path: Path) -> None:
    class BrokenClock(MovableClock):
        is_broken = False

        def now(self):
            if self.is_broken:
                raise TypeError("no time")
            return super().now()

    clock = BrokenClock()
    store = await open_store(tmp_path, clock=clock)
    await store.commit(a_commit(id="before"))
    clock.is_broken = True
    waiting = []
    # Whoever comes once the first has failed is refused at the door.
    with suppress(StoreClosed):
        for _ in range(3):
            waiting.append(store.submit(a_commit()))
    assert waiting
    for future in waiting:
        with pytest.raises(StoreClosed, match="no time"):
            future.result(10)
    with pytest.raises(StoreClosed, match="no time"):
        await store.commit(a_commit())
    assert [event.commit.id for event in await read_all(store)] == ["before"]
    await store.close()


async def test_reading_on_reads_only_what_is_new(tmp_path: Path) -> None:
    class CountingFiles(FaultyFiles):
        bytes_read = 0

        def pread(self, fd: int, length: int, offset: int) -> bytes:
            data = super().pread(fd, length, offset)
            self.bytes_read += len(data)
            return data

    store = await open_store(tmp_path)
    await asyncio.gather(*(store.commit(a_commit()) for _ in range(500)))
    files = CountingFiles()
    reader = await open_store(tmp_path, files=files, read_only=True)
    assert len(await read_all(reader)) == 500
    files.bytes_read = 0
    for number in range(500, 550):
        await store.commit(a_commit())
        (event,) = await read_all(reader, Selection(start=number))
        assert event.position == number
    assert files.bytes_read < 50 * 400
    await reader.close()
    await store.close()


async def test_commits_come_from_any_event_loop(tmp_path: Path) -> None:
    store = await open_store(tmp_path)

    async def commit_some() -> None:
        await asyncio.gather(*(store.commit(a_commit()) for _ in range(20)))

    await asyncio.gather(
        commit_some(), *(asyncio.to_thread(asyncio.run, commit_some()) for _ in range(3))
    )
    assert await store.head() == 80
    await store.close()


async def test_a_cancelled_commit_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    tasks = [
        asyncio.create_task(store.commit(a_commit(an_event(), an_event()))) for _ in range(200)
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    await store.commit(a_commit(an_event(), an_event()))
    events = await read_all(store)
    assert {answer.id for answer in made} <= {event.commit.id for event in events}
    assert [event.index for event in events] == [0, 1] * (len(events) // 2)
    await store.close()


async def test_a_loop_that_was_closed_is_no_trouble(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    assert store._lock is not None
    with store._lock.held():
        # It ends before its commit can be answered.
        loop = asyncio.new_event_loop()

        async def commit_one() -> None:
            asyncio.get_running_loop().call_soon(loop.stop)
            await store.commit(a_commit(id="unheard"))

        def run() -> None:
            task = loop.create_task(commit_one())
            loop.run_forever()
            task.get_coro().close()
            task._log_destroy_pending = False
            loop.close()

        await asyncio.to_thread(run)
    await store.commit(a_commit(id="next"))
    assert {event.commit.id for event in await read_all(store)} == {"unheard", "next"}
    await store.close()
