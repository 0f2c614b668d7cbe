"""Server-sent events: the event log as a stream that a browser resumes by itself.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from dolittle.errors import StoreError
from dolittle.runtime.http.problems import TYPE_PREFIX, title_of
from dolittle.store import START, CommittedEvent, EventStore, Position, Selection

KEEP_ALIVE_S: Final = 15.0
"""A comment is sent when nothing else was for so long; proxies close what is silent."""

RETRY_MS: Final = 1_000
"""How long a client waits before it connects again."""

CHUNK_BYTES: Final = 64 * 1024
"""About what is built for one client before it has to take it."""

STREAMS_MAX: Final = 200
"""Clients that follow at a time; each one costs a connection and at most one page of events."""


async def frames(
    store: EventStore,
    selection: Selection,
    *,
    after: Position | None,
    to_json: Callable[[CommittedEvent], dict[str, Any]],
    closing: asyncio.Event,
    keep_alive_s: float = KEEP_ALIVE_S,
) -> AsyncIterator[bytes]:
    """Yield the selected events as frames, then wait for more until ``closing`` is set.

    The log is read no faster than the client takes the frames: what waits for a slow client is
    the event log itself, not memory.

    Args:
        store: The event log.
        selection: ``start`` tells where to begin where ``after`` is not given.
        after: The position of the last event that the client has. A position behind the end of
            the log belongs to another log (one in memory, of an earlier run): then a ``reset``
            event comes first and the stream begins at the beginning.
        to_json: Makes the data of an event.
        closing: Ends the stream.
        keep_alive_s: See ``KEEP_ALIVE_S``.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    if after is not None:
        head = await store.head()
        if after >= head:
            yield _frame("reset", {"last_event_id": after, "end": head})
            after = None
        selection = msgspec.structs.replace(selection, start=START if after is None else after)
    try:
        while not closing.is_set():
            position = selection.start
            async for page in store.read(selection):
                position = page.next_position
                for chunk in _chunks(page.events, after, to_json):
                    yield chunk
                    if closing.is_set():
                        return
            selection = msgspec.structs.replace(selection, start=position)
            async with aclosing(_silence(store, position, closing, keep_alive_s)) as silence:
                async for _ in silence:
                    yield b": keep-alive\n\n"
    except StoreError as error:
        yield _frame(
            "problem",
            {
                "type": TYPE_PREFIX + error.code,
                "title": title_of(error.code),
                "detail": str(error),
                "hint": error.hint,
            },
        )


def _chunks(
    events: Sequence[CommittedEvent],
    after: Position | None,
    to_json: Callable[[CommittedEvent], dict[str, Any]],
) -> Iterator[bytes]:
    built = bytearray()
    for event in events:
        # Positions may have gaps, so "behind the last one" is a comparison, not an addition.
        if after is not None and event.position <= after:
            continue
        data = msgspec.json.encode(to_json(event))
        built += b"id: %d\ndata: %s\n\n" % (event.position, data)
        if len(built) >= CHUNK_BYTES:
            yield bytes(built)
            built.clear()
    if built:
        yield bytes(built)


async def _silence(
    store: EventStore, position: Position, closing: asyncio.Event, keep_alive_s: float
) -> AsyncGenerator[None]:
    """Wait until the log has grown or the stream closes; yield when a keep-alive is due."""
    grown = asyncio.ensure_future(store.wait(position))
    closed = asyncio.ensure_future(closing.wait())
    try:
        while True:
            done, _ = await asyncio.wait(
                (grown, closed), timeout=keep_alive_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                break
            yield None
        if grown.done():
            grown.result()
    finally:
        for task in (grown, closed):
            task.cancel()
        await asyncio.gather(grown, closed, return_exceptions=True)


def _frame(event: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data))
