"""``dolittle events tail``: the last events, then those that come, until told to stop."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json
from dolittle.store import START, CommittedEvent, EventStore, Position, Selection, subscribe
from dolittle_cli.commands.events.filters import Filters
from dolittle_cli.console import Console
from dolittle_cli.event_lines import EventLines
from dolittle_cli.project import Place, aliases_of, open_log

LAST: Final = 10
"""Events shown before following, unless asked otherwise."""

LOOK_FOR_STORE_S: Final = 0.04
"""How often to look whether a store has been made; within 50 ms its first event is to be seen."""

Write = Callable[[Sequence[CommittedEvent]], None]


async def tail_events(
    place: Place, filters: Filters, *, count: int | None, follow: bool | None, as_json: bool
) -> None:
    """Write the last events, and those that come while following.

    Args:
        place: The microservice and the tenant.
        filters: Which events.
        count: How many of the past; ``None``: ``LAST``, or all from ``filters.start`` on.
        follow: ``None``: if stdout is a terminal.
        as_json: Write JSON Lines.

    Raises:
        BrokenPipeError: The reader of stdout is gone.
    """
    console = Console()
    aliases = aliases_of(place)
    lines = EventLines(console, aliases, with_date=False)

    def write(events: Sequence[CommittedEvent]) -> None:
        if not as_json:
            lines.write(events)
            return
        for event in events:
            console.json(event_json(event, aliases, place.tenant))

    follows = console.is_terminal if follow is None else follow
    had_store = place.has_store
    async with _until_reader_is_gone():
        async with open_log(place) as store:
            selection = await filters.selection(store, aliases, SystemClock())
            head = await store.head()
            await _write_past(store, selection, head, filters, count, write)
            if follows and had_store:
                if console.is_terminal:
                    console.note("waiting for more; Ctrl-C ends this")
                await _follow(store, selection, head, write)
        if not had_store:
            console.note("no events yet" + (", waiting for the first one" if follows else ""))
        if follows:
            while not place.has_store:  # noqa: ASYNC110 - nobody tells that a folder was made
                await asyncio.sleep(LOOK_FOR_STORE_S)
            async with open_log(place) as store:
                await _follow(store, selection, START, write)


async def _write_past(
    store: EventStore,
    selection: Selection,
    head: Position,
    filters: Filters,
    count: int | None,
    write: Write,
) -> None:
    past = msgspec.structs.replace(selection, stop=head)
    if filters.start is not None and count is None:
        async for page in store.read(past):
            write(page.events)
    elif count != 0:
        write(await store.read_last(past, LAST if count is None else count))


async def _follow(store: EventStore, selection: Selection, start: Position, write: Write) -> None:
    async for page in subscribe(store, msgspec.structs.replace(selection, start=start)):
        write(page.events)


@asynccontextmanager
async def _until_reader_is_gone() -> AsyncIterator[None]:
    """End the block with ``BrokenPipeError`` once the reader of a piped stdout has gone.

    Without this, a follower would notice at the next event only, which may never come.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    pipe = _stdout_pipe()
    is_gone = False

    def end() -> None:
        nonlocal is_gone
        is_gone = True
        if pipe is not None:
            loop.remove_reader(pipe)
        if task is not None:
            task.cancel()

    if pipe is not None:
        # The writing end of a pipe becomes "readable" when its last reader has closed it: epoll
        # reports EPOLLERR then. (Source: epoll_ctl(2).)
        loop.add_reader(pipe, end)
    try:
        yield
    except asyncio.CancelledError:
        if is_gone:
            raise BrokenPipeError from None
        raise
    finally:
        if pipe is not None:
            loop.remove_reader(pipe)


def _stdout_pipe() -> int | None:
    """Return stdout's descriptor if it is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return None
    return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
