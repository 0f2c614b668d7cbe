"""Leaves a request for the process that delivers and sees it done; delivers where none does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dolittle.runtime.state import Request, State
from dolittle_cli.console import Console
from dolittle_cli.project import Place, use

LOOK_S: Final = 0.05
"""How often the state is looked at while a request is under way (microseconds each)."""

IsDone = Callable[[State, bool], Awaitable[bool]]
"""Is given the state and whether the request was taken up; tells whether all is done."""


async def see_done(place: Place, request: Request, is_done: IsDone) -> None:
    """Leave a request and wait until it is done.

    If another process delivers the tenant's events, it does the work. Otherwise this process
    delivers meanwhile, to this one handler or projection.

    Args:
        place: The microservice and the tenant.
        request: With the id of a handler or projection.
        is_done: Looks at the state.

    Raises:
        StoreError: The store cannot be used.
    """
    async with use(place, makes_store=False) as microservice:
        number = await microservice.state.request(request)
    await follow(place, request.name, is_done, number)


async def follow(place: Place, name: str, is_done: IsDone, number: int = 0) -> None:
    """Wait until something is done that was asked for before, as :func:`see_done` does.

    Args:
        place: The microservice and the tenant.
        name: The id of a handler or projection.
        is_done: Looks at the state.
        number: Of the request; 0: it was taken up long ago.

    Raises:
        StoreError: The store cannot be used.
    """
    console = Console()
    async with use(place, makes_store=False, delivers_to=name) as microservice:
        deliverer = microservice.deliverer
        assert deliverer is not None
        if not deliverer.is_delivering:
            console.note(f"{deliverer.holder} delivers events: it does the work")
        with _log_lines_of_their_own(console):
            while True:
                waiting = {item.number for item in await microservice.state.requests()}
                if await is_done(microservice.state, number not in waiting):
                    return
                await asyncio.sleep(LOOK_S)


@contextmanager
def _log_lines_of_their_own(console: Console) -> Iterator[None]:
    """Clear the line of progress before a log line is written over it."""

    def clear(_record: logging.LogRecord) -> bool:
        console.progress("")
        return True

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(clear)
    try:
        yield
    finally:
        console.progress("")
        for handler in handlers:
            handler.removeFilter(clear)
