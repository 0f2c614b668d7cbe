"""Event logs that are followed, one or several at once, and what comes to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from dolittle.store import START, CommittedEvent, EventStore, Position
from dolittle_cli.event_formats import Origin
from dolittle_cli.project import open_log
from dolittle_cli.sieve import Sieve

LOOK_FOR_STORE_S: Final = 0.04
"""How often to look whether a store has been made; within 50 ms its first event is to be seen."""


@dataclass
class Followed:
    """One event log that is shown.

    Attributes:
        had_store: Whether there is a store yet.
        asked: As it was asked for; its end may be open.
        sieve: The same of the past, up to ``head``.
        head: Where what comes begins.
        has_start: Whether a place to start from was named, or is in a cursor.
    """

    origin: Origin
    had_store: bool
    store: EventStore
    asked: Sieve
    sieve: Sieve
    head: Position
    has_start: bool = False


Take = Callable[[Sequence[CommittedEvent], Followed, Position], None]


async def together(followers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run followers until one fails; the others end with it."""
    tasks = [asyncio.ensure_future(follower) for follower in followers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def follow(stack: AsyncExitStack, log: Followed, take: Take) -> None:
    """Hand on what comes to one log; where there is none yet, wait until it was made."""
    start = log.head
    if not log.had_store:
        while not log.origin.place.has_store:  # noqa: ASYNC110 - nobody tells that it was made
            await asyncio.sleep(LOOK_FOR_STORE_S)
        log.store = await stack.enter_async_context(open_log(log.origin.place))
        log.had_store, start = True, START
    async for page in log.sieve.follow(log.store, start):
        take(page.events, log, page.next_position)
