"""The memory engine keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dolittle.engines.memory import MemoryStore
from dolittle.testing.contract import EventStoreContract, MovableClock


class TestMemoryStore(EventStoreContract):
    @pytest.fixture
    async def store(self, clock: MovableClock) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(clock=clock)
        yield store
        await store.close()
