"""Waking those who wait for the log to grow, in this process and in others.

Each store object that waits binds a datagram socket in the folder ``readers``; whoever has
committed sends one byte to each. A byte is only a hint to look: what is true stands in the mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dolittle.engines.file.files import FOLDER_MODE

FOLDER: Final = "readers"
POLL_S: Final = 0.25
"""How often a waiter looks by itself, should a datagram have been lost."""

POLL_WITHOUT_SOCKET_S: Final = 0.02
"""How often it looks where no socket can be bound."""

_PATH_BYTES_MAX: Final = 100
"""What fits into a socket's address everywhere. Source: unix(7): 108; macOS: 104."""

_LISTING_AGE_NS_MIN: Final = 50_000_000
"""A folder changed this recently may change again within one tick of its clock."""


class _Sockets:
    """The folder of sockets, by short paths however deep it lies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=FOLDER_MODE)
        self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._names: list[str] = []
        self._listed_mtime_ns = 0

    def address(self, name: str) -> str:
        """Return a path for a socket's address.

        Raises:
            OSError: There is none that is short enough.
        """
        if sys.platform == "linux":
            return f"/proc/self/fd/{self._fd}/{name}"
        path = str(self._folder / name)
        if len(path.encode()) > _PATH_BYTES_MAX:
            raise OSError(f"too long for the address of a socket: {path}")
        return path

    def names(self) -> list[str]:
        """Return who listens; the folder is read only after it has changed."""
        mtime_ns = os.fstat(self._fd).st_mtime_ns
        if mtime_ns != self._listed_mtime_ns:
            self._names = [name for name in self._listed() if name.endswith(".sock")]
            is_old = time.time_ns() - mtime_ns > _LISTING_AGE_NS_MIN
            self._listed_mtime_ns = mtime_ns if is_old else 0
        return self._names

    def _listed(self) -> list[str]:
        return os.listdir(self._fd)  # noqa: PTH208 - a Path cannot list a descriptor

    def unlink(self, name: str) -> None:
        """Remove a socket that nobody reads any more."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._fd)


class Sender:
    """Tells every listening process that the log has grown; for the writer's thread only."""

    def __init__(self, folder: Path) -> None:
        self._sockets = _Sockets(folder)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, own_name: str) -> None:
        """Send one byte to each socket but our own."""
        for name in self._sockets.names():
            if name == own_name:
                continue
            try:
                self._socket.sendto(b"\n", self._sockets.address(name))
            except BlockingIOError:
                # Its buffer is full of wake-ups already.
                continue
            except (ConnectionRefusedError, FileNotFoundError):
                self._sockets.unlink(name)
            except OSError:
                # Waking is a courtesy: who is not woken looks by itself.
                continue

    def close(self) -> None:
        """Let go of the sockets."""
        self._socket.close()
        self._sockets.close()


class _Waiter:
    """A task that waits, on whichever event loop."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """Let the task go on; called from any thread."""
        with contextlib.suppress(RuntimeError):
            # Raised when the loop has been closed: then nobody waits.
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Waiters:
    """Those of this store object that wait, and the thread that listens for them.

    The thread is started by the first waiter and sleeps without a limit while nobody waits.
    """

    def __init__(self, folder: Path, head: Callable[[], int], name: str) -> None:
        """Prepare; nothing is bound yet.

        Args:
            folder: The store's.
            head: Returns the position behind the last readable event, cheaply.
            name: For the socket; no other store object has it.
        """
        self._folder = folder
        self._head = head
        self.name = f"{name}.sock"
        self._mutex = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._thread: threading.Thread | None = None
        self._own_end, self._other_end = -1, -1
        self._is_closed = False

    async def wait(self, position: int) -> None:
        """Return once there is an event at or behind a position."""
        if self._head() > position:
            return
        waiter = _Waiter(position)
        with self._mutex:
            self._waiters.add(waiter)
            self._start()
        try:
            # It may have grown before the waiter was known.
            if self._head() <= position:
                self._nudge()
                await waiter.future
        finally:
            with self._mutex:
                self._waiters.discard(waiter)

    def look(self) -> None:
        """Wake those whose position is there; called from any thread."""
        if not self._waiters:
            return
        head = self._head()
        with self._mutex:
            ready = [waiter for waiter in self._waiters if waiter.position < head]
            self._waiters.difference_update(ready)
        for waiter in ready:
            waiter.wake()

    def _start(self) -> None:
        if self._thread is None and not self._is_closed:
            self._own_end, self._other_end = os.pipe()
            os.set_blocking(self._other_end, False)
            self._thread = threading.Thread(target=self._listen, name="dolittle-wake", daemon=True)
            self._thread.start()

    def _nudge(self) -> None:
        if self._thread is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._other_end, b"\n")

    def _listen(self) -> None:
        sockets, bound = None, None
        try:
            try:
                sockets = _Sockets(self._folder)
                bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                bound.bind(sockets.address(self.name))
                bound.setblocking(False)
            except OSError:
                # A read-only folder, a path that is too long: look more often instead.
                if bound is not None:
                    bound.close()
                bound = None
            self._serve(bound)
        finally:
            if bound is not None:
                bound.close()
            if sockets is not None:
                sockets.unlink(self.name)
                sockets.close()

    def _serve(self, bound: socket.socket | None) -> None:
        sources = selectors.DefaultSelector()
        sources.register(self._own_end, selectors.EVENT_READ)
        if bound is not None:
            sources.register(bound, selectors.EVENT_READ)
        pause_s = POLL_WITHOUT_SOCKET_S if bound is None else POLL_S
        while not self._is_closed:
            timeout_s = pause_s if self._waiters else None
            for key, _ in sources.select(timeout_s):
                if key.fd == self._own_end:
                    os.read(self._own_end, 4096)
                elif bound is not None:
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            bound.recv(16)
            self.look()
        sources.close()

    def close(self) -> None:
        """End the thread. Tasks that still wait go on waiting; cancel them."""
        with self._mutex:
            self._is_closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._other_end, b"\n")
            thread.join()
            os.close(self._own_end)
            os.close(self._other_end)
