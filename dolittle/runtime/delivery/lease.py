"""The lease on delivery: one process at a time delivers the events of a tenant."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

LOOK_AGAIN_S: Final = 0.1
"""How often a process that wants the lease looks whether it has become free."""


class Lease:
    """A file lock that its process holds until it lets go or ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lease."""
        return self._file is not None

    def try_take(self) -> bool:
        """Take the lease if it is free; tell whether it is held now.

        Raises:
            OSError: The file cannot be made (a read-only folder).
        """
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return True

    async def take(self) -> None:
        """Wait until the lease is free and take it."""
        while not self.try_take():  # noqa: ASYNC110 - another process tells nobody when it ends
            await asyncio.sleep(LOOK_AGAIN_S)

    def holder(self) -> str:
        """Return who holds it, in words: ``process 1234``."""
        try:
            return f"process {self._path.read_text().strip()}"
        except OSError:
            return "an unknown process"

    def let_go(self) -> None:
        """Let go of the lease; a second call does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
