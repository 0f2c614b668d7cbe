"""Notices that the reader of a piped stdout has gone, before anything is written to it."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def until_reader_is_gone() -> AsyncIterator[None]:
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
