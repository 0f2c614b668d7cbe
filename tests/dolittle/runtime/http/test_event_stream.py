from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from dolittle.engines.memory import MemoryStore
from dolittle.errors import StoreDamaged
from dolittle.execution import ExecutionContext
from dolittle.runtime.http.event_stream import frames
from dolittle.store import Commit, CommittedEvent, EventToCommit, Selection


class Client:
    """Takes frames one by one, with a bound."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self.text = ""

    async def take(self) -> str:
        async with asyncio.timeout(5):
            frame = (await anext(self._stream)).decode()
        self.text += frame
        return frame

    async def rest(self) -> str:
        async with asyncio.timeout(5):
            async for frame in self._stream:
                self.text += frame.decode()
        return self.text


def ids(text: str) -> list[int]:
    return [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]


async def append(store: MemoryStore, count: int = 1, source: str = "s") -> None:
    for _ in range(count):
        number = await store.head()
        event = EventToCommit("T", source, b'{"n":%d}' % number)
        await store.commit(Commit(f"c{number}", (event,), ExecutionContext()))


@pytest.fixture
def closing() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def follow(store: Any, closing: asyncio.Event, **arguments: Any) -> Client:
    def to_json(event: CommittedEvent) -> dict[str, Any]:
        return {"content": msgspec.Raw(event.content)}

    defaults: dict[str, Any] = {"after": None, "selection": Selection()}
    return Client(frames(store, to_json=to_json, closing=closing, **(defaults | arguments)))


async def test_the_stream_begins_by_telling_when_to_come_again(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    assert await follow(store, closing).take() == "retry: 1000\n\n"


async def test_a_frame_is_an_id_and_one_line_of_data(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    await append(store)
    client = follow(store, closing)
    await client.take()
    assert await client.take() == 'id: 0\ndata: {"content":{"n":0}}\n\n'


async def test_events_that_come_later_are_streamed(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    client = follow(store, closing)
    await client.take()
    waiting = asyncio.create_task(client.take())
    await append(store)
    assert ids(await waiting) == [0]


async def test_after_is_exclusive(store: MemoryStore, closing: asyncio.Event) -> None:
    await append(store, 5)
    client = follow(store, closing, after=2)
    await client.take()
    assert ids(await client.take()) == [3, 4]


async def test_an_id_of_another_log_resets_the_stream(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    await append(store, 2)
    client = follow(store, closing, after=7)
    await client.take()
    assert await client.take() == 'event: reset\ndata: {"last_event_id":7,"end":2}\n\n'
    assert ids(await client.take()) == [0, 1]


async def test_only_selected_events_are_streamed(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    await append(store, 2, "other")
    await append(store, 1, "mine")
    client = follow(store, closing, selection=Selection(source="mine"))
    await client.take()
    assert ids(await client.take()) == [2]


async def test_silence_is_filled_with_comments(store: MemoryStore, closing: asyncio.Event) -> None:
    client = follow(store, closing, keep_alive_s=0.01)
    await client.take()
    assert await client.take() == ": keep-alive\n\n"
    assert await client.take() == ": keep-alive\n\n"
    await append(store)
    while not ids(client.text):
        await client.take()
    assert ids(client.text) == [0]


async def test_closing_ends_a_silent_stream(store: MemoryStore, closing: asyncio.Event) -> None:
    client = follow(store, closing)
    await client.take()
    waiting = asyncio.create_task(client.rest())
    closing.set()
    assert await waiting == "retry: 1000\n\n"


async def test_closing_ends_a_stream_that_is_behind(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    await append(store, 5_000)
    client = follow(store, closing)
    await client.take()
    await client.take()
    closing.set()
    assert len(ids(await client.rest())) < 5_000


async def test_a_slow_client_is_not_read_ahead_for(
    store: MemoryStore, closing: asyncio.Event
) -> None:
    await append(store, 10_000)
    client = follow(store, closing)
    await client.take()
    assert len(await client.take()) < 70_000


class DamagedStore(MemoryStore):
    """A store whose events cannot be read."""

    async def read(self, selection: Selection) -> AsyncIterator[Any]:
        from pathlib import Path

        raise StoreDamaged(Path("log"), line=3, offset_bytes=9, position=2, reason="checksum")
        yield


async def test_a_damaged_store_ends_the_stream_with_a_problem(closing: asyncio.Event) -> None:
    text = await follow(DamagedStore(), closing).rest()
    assert "event: problem\n" in text
    assert '"type":"urn:dolittle:problem:store-damaged"' in text
