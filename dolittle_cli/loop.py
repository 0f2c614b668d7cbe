"""Runs a command's coroutine; asyncio is imported then, and not while a shell completes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own and return what it returns.

    Ctrl-C is always noticed, also if it comes in the moment before the loop goes to sleep.
    """
    import asyncio

    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    return asyncio.run(_woken_by_signals(work))


async def _woken_by_signals(work: Coroutine[Any, Any, T]) -> T:
    """Let every signal end the loop's sleep.

    Python runs a signal's handler between two instructions. One that comes behind the last
    instruction before the sleep would wait for the next event, which may never come.
    (Source: docs.python.org/3/library/signal.html, ``set_wakeup_fd``.)
    """
    import asyncio
    import socket

    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        loop.add_reader(reader, reader.recv, 4096)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            return await work
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)
