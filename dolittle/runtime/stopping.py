"""Signals that end a host: the first one asks it to stop, the second Ctrl-C ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_INTERRUPTED: Final = 130
"""Ended by Ctrl-C, cleanly or at once. Source: the shells' 128 + SIGINT."""

EXIT_STOPPED: Final = 0
"""Ended cleanly by SIGTERM or SIGHUP, as a supervisor such as systemd or Docker does it."""

GRACE_S: Final = 10.0
"""How long a host may take to finish what it has in hand before it is ended by force."""


class Stopping:
    """Whether the host is to stop, and why.

    Attributes:
        asked: Set at the first signal.
        exit_code: For the process, once asked.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.exit_code = EXIT_STOPPED


@contextmanager
def stop_signals(
    stopping: Stopping, *, on_first: Callable[[], None], on_second: Callable[[], None]
) -> Iterator[None]:
    """Turn signals into a request to stop, within a ``with`` block of the running loop.

    These are plain signal handlers, so that they run even while the loop is held up.

    Args:
        stopping: Is asked to stop at the first signal.
        on_first: Called at the first signal, to say so.
        on_second: Called at a further Ctrl-C; then the process ends at once.
    """
    loop = asyncio.get_running_loop()
    was_asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal was_asked
        if was_asked:
            if number == signal.SIGINT:
                on_second()
                os._exit(EXIT_INTERRUPTED)
            return
        was_asked = True
        stopping.exit_code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_STOPPED
        on_first()
        loop.call_soon_threadsafe(stopping.asked.set)

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, handle) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
