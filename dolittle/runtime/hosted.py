"""A host in a process of its own: ``python -m dolittle.runtime.hosted``, started by a supervisor.

It loads the code and reports, then waits to be told to serve, so that the process before it can
go on serving until the new code is known to be in order. It ends when the pipe from its
supervisor is closed, so none is left behind, however the supervisor ended.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dolittle.errors import DolittleError
from dolittle.runtime.host import (
    Hosting,
    LoadedService,
    configure_logging,
    host,
    load_service,
    loaded,
)
from dolittle.runtime.reports import Report, Tell, failed, to_line
from dolittle.runtime.stopping import GRACE_S

SERVE: Final = "serve"
STOP: Final = "stop"

EXIT_LOAD_FAILED: Final = 1
"""The code cannot be loaded; reported."""

EXIT_OPEN_FAILED: Final = 3
"""The code is in order, but its store or its own application cannot be opened; reported."""


class Control:
    """What the supervisor says, read by a thread so that it is heard while code is loaded."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._is_stopped = False
        # The signal handler may interrupt the main thread while that holds it.
        self._lock = threading.RLock()
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def wait(self) -> str:
        """Return the first thing that is said: ``SERVE`` or ``STOP``."""
        return self._said.get()

    def set_at_stop(self, stop: asyncio.Event) -> None:
        """Set an event of the running loop once the supervisor wants this process to end."""
        with self._lock:
            self._stop = (asyncio.get_running_loop(), stop)
            if self._is_stopped:
                stop.set()

    def ask_to_stop(self) -> None:
        """Do as if the supervisor had said stop."""
        with self._lock:
            self._is_stopped = True
            if self._stop is not None:
                loop, stop = self._stop
                loop.call_soon_threadsafe(stop.set)
        self._said.put(STOP)

    def _listen(self) -> None:
        with os.fdopen(self._file, encoding="ascii") as lines:
            for line in lines:
                if line.strip() == STOP:
                    self.ask_to_stop()
                else:
                    self._said.put(line.strip())
        # The supervisor is gone. Where the loop is held up by the user's code, this thread ends
        # the process: nobody is left to do it.
        self.ask_to_stop()
        time.sleep(GRACE_S)
        os._exit(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, report, wait, serve; return the exit code."""
    options = _parser().parse_args(arguments)
    control = Control(options.control)
    signal.signal(signal.SIGTERM, lambda *_: control.ask_to_stop())
    configure_logging()
    # The user's print() may not end up between the reports, so these have a pipe of their own.
    reports = os.fdopen(options.reports, "wb", buffering=0)

    def tell(report: Report) -> None:
        try:
            reports.write(to_line(report))
        except BrokenPipeError:
            # The supervisor is gone; the control thread stops this process.
            return

    try:
        service = load_service(options.project)
    except DolittleError as error:
        tell(failed(error))
        return EXIT_LOAD_FAILED
    tell(loaded(service))
    if control.wait() != SERVE:
        return 0
    hosting = Hosting(
        options.project,
        options.address,
        options.port,
        tuple(options.allowed_host),
        options.ephemeral,
    )
    listener = socket.socket(fileno=options.listener)
    try:
        asyncio.run(_serve(service, hosting, listener, tell, control))
    except DolittleError as error:
        tell(failed(error))
        return EXIT_OPEN_FAILED
    return 0


async def _serve(
    service: LoadedService,
    hosting: Hosting,
    listener: socket.socket,
    tell: Tell,
    control: Control,
) -> None:
    stop = asyncio.Event()
    control.set_at_stop(stop)
    await host(service, hosting, listener, tell=tell, stop=stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dolittle.runtime.hosted")
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--allowed-host", action="append", default=[])
    parser.add_argument("--ephemeral", action="store_true")
    for name, text in (
        ("listener", "file descriptor of the listening socket"),
        ("control", "file descriptor that is read for orders"),
        ("reports", "file descriptor that reports are written to"),
    ):
        parser.add_argument(f"--{name}", type=int, required=True, help=text)
    return parser


if __name__ == "__main__":
    sys.exit(main())
