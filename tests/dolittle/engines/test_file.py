"""The file engine keeps the contract, in each of the ways in which it can find its events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.engines.file import lookup as lookup_module
from dolittle.engines.file import picked as picked_module
from dolittle.engines.file import reading as reading_module
from dolittle.testing.contract import EventStoreContract, MovableClock


class TestFileStore(EventStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path, clock: MovableClock) -> AsyncIterator[FileStore]:
        store = await FileStore.open(tmp_path / "store", clock=clock)
        yield store
        await store.close()


class TestFileStoreWithSmallSegments(EventStoreContract):
    """Every few commits begin a new segment; nothing is synced but at their ends."""

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: MovableClock) -> AsyncIterator[FileStore]:
        store = await FileStore.open(
            tmp_path / "store", clock=clock, segment_bytes=2_000, durability="os"
        )
        yield store
        await store.close()


class TestFileStoreFromItsIndex(EventStoreContract):
    """The tail goes into the index at once, so that the index answers almost everything."""

    @pytest.fixture
    async def store(
        self, tmp_path: Path, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[FileStore]:
        monkeypatch.setattr(lookup_module, "TAIL_COMMITS_MAX", 2)
        # Several rounds of every loop over addresses.
        monkeypatch.setattr(reading_module, "_ADDRESSES", 5)
        monkeypatch.setattr(reading_module, "NEAR_BYTES", 700)
        monkeypatch.setattr(picked_module, "NEAR_BYTES", 700)
        store = await FileStore.open(tmp_path / "store", clock=clock)
        yield store
        await store.close()


class TestFileStoreBesideAnother(EventStoreContract):
    """Half of the commits come from another store object of the same folder."""

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: MovableClock) -> AsyncIterator[FileStore]:
        store = await FileStore.open(tmp_path / "store", clock=clock)
        other = await FileStore.open(tmp_path / "store", clock=clock, segment_bytes=3_000)
        own_commit, count = store.commit, 0

        async def commit(commit):
            nonlocal count
            count += 1
            if store._is_closed or count % 2:
                return await own_commit(commit)
            return await other.commit(commit)

        store.commit = commit  # type: ignore[method-assign]
        yield store
        await store.close()
        await other.close()
