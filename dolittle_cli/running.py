"""Which microservices run, told by the processes that run them; and how to have one restarted."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from dolittle.execution import Clock
from dolittle.runtime.configuration import Configuration
from dolittle.runtime.event_json import time_json

FOLDER: Final = "running"
RESTART: Final = signal.SIGUSR1
"""Tells a process that runs microservices that a restart was asked for."""

ASKED: Final = "dolittle restart"
"""Stands for a changed file where a restart was asked for."""

Changes = Callable[[Path], AsyncIterator[frozenset[Path]]]


class Running(msgspec.Struct, frozen=True):
    """A microservice that runs.

    Attributes:
        pid: Of the process that keeps it running.
        reloads: Whether that process loads the code again when it changes.
        since: When it was started; RFC 3339, UTC.
        can_restart: Whether that process can restart it: where it runs in one of its own.
    """

    microservice: str
    pid: int
    url: str
    reloads: bool
    since: str
    can_restart: bool = False


@contextmanager
def noted(
    configuration: Configuration, url: str, clock: Clock, *, reloads: bool, can_restart: bool
) -> Iterator[None]:
    """Note that a microservice runs, for as long as this process is in the block and lives.

    The note is locked: however the process ends, others see that it has.
    """
    folder = configuration.data_path / FOLDER
    path = folder / f"{os.getpid()}.json"
    since = time_json(clock.now())
    note = Running(configuration.name, os.getpid(), url, reloads, since, can_restart)
    file = _locked(path, msgspec.json.encode(note))
    try:
        yield
    finally:
        if file is not None:
            for left in (path, _request(configuration, os.getpid())):
                with contextlib.suppress(OSError):
                    left.unlink()
            file.close()


def _locked(path: Path, content: bytes) -> BinaryIO | None:
    """Write a file and hold its lock.

    Returns:
        The open file; ``None`` where it cannot be written (a read-only folder, a full disk): the
        microservice runs all the same, and is not listed.
    """
    beside = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, so that closing it after an error writes nothing more.
        file = beside.open("wb", buffering=0)
    except OSError:
        return None
    try:
        # Locked before it has its name, so that nobody takes it for one that was left behind.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(content)
        beside.replace(path)
    except OSError:
        file.close()
        return None
    return file


def running(configuration: Configuration) -> list[Running]:
    """Return where a microservice runs, oldest first; notes of processes that died are deleted."""
    found: list[Running] = []
    for path in sorted((configuration.data_path / FOLDER).glob("*.json")):
        note = _read(path)
        if note is not None:
            found.append(note)
    return sorted(found, key=lambda item: item.since)


def _read(path: Path) -> Running | None:
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return msgspec.json.decode(file.read(), type=Running)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
    except FileNotFoundError:
        # It has ended meanwhile.
        return None


def ask_restart(configuration: Configuration, found: Running) -> None:
    """Ask the process that keeps a microservice running to restart it.

    Raises:
        ProcessLookupError: It has ended.
        PermissionError: It is another person's.
    """
    _request(configuration, found.pid).touch()
    os.kill(found.pid, RESTART)


def _request(configuration: Configuration, pid: int) -> Path:
    return configuration.data_path / FOLDER / f"{pid}.restart"


class Restarts:
    """Takes the restarts that are asked for, in a process that runs microservices."""

    def __init__(self) -> None:
        self._queues: dict[Path, asyncio.Queue[frozenset[Path]]] = {}
        self._configurations: dict[Path, Configuration] = {}

    def listen(self) -> None:
        """Begin to take them; call once, in the running event loop."""
        asyncio.get_running_loop().add_signal_handler(RESTART, self.look)

    def look(self) -> None:
        """Look who is to be restarted."""
        for folder, configuration in self._configurations.items():
            request = _request(configuration, os.getpid())
            if request.exists():
                with contextlib.suppress(FileNotFoundError):
                    request.unlink()
                self._queues[folder].put_nowait(frozenset({folder / ASKED}))

    def joined(self, configuration: Configuration, changes: Changes) -> Changes:
        """Return changes of files, and restarts that were asked for, as one."""
        folder = configuration.project.resolve()
        queue = self._queues[folder] = asyncio.Queue()
        self._configurations[folder] = configuration

        async def both(project: Path) -> AsyncIterator[frozenset[Path]]:
            async def feed() -> None:
                async for paths in changes(project):
                    await queue.put(paths)

            feeding = asyncio.create_task(feed())
            try:
                while True:
                    getting = asyncio.ensure_future(queue.get())
                    await asyncio.wait((feeding, getting), return_when=asyncio.FIRST_COMPLETED)
                    if feeding.done() and not getting.done():
                        getting.cancel()
                        feeding.result()
                        return
                    yield await getting
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

        return both
