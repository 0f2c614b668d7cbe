"""The lock that writers of one store hold for a batch, never for a lifetime."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dolittle.engines.file.files import Files
from dolittle.errors import StoreBusy

WAIT_S_MAX: Final = 10.0
"""How long a writer waits for another process before it gives up."""

_YIELDING_S: Final = 0.001
"""So long a waiter only lets others go first: a sleep, however short, takes a third of a batch."""

_PAUSE_S_MIN: Final = 0.000_02
_PAUSE_S_MAX: Final = 0.000_2
"""About as long as a batch takes: whoever looks less often leaves the disk idle in between."""

_PATIENT_AFTER_S: Final = 0.1
_PATIENT_PAUSE_S: Final = 0.002
"""Who has waited this long waits for no batch, and need not look so often."""


class WriteLock:
    """An ``flock`` on the file ``lock``; the system lets go of it when its process dies.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, files: Files, folder: Path, *, wait_s_max: float = WAIT_S_MAX) -> None:
        self._files = files
        self._folder = folder
        self._wait_s_max = wait_s_max
        self._fd = files.open(folder / "lock", os.O_RDWR | os.O_CREAT)

    @contextmanager
    def held(self, *, is_taken: bool = False) -> Iterator[None]:
        """Hold the lock for a ``with`` block.

        Args:
            is_taken: Whether :meth:`take` has taken it.

        Raises:
            StoreBusy: Another process held it for longer than ``wait_s_max``.
        """
        if not is_taken and not self.take():
            self._wait()
        try:
            yield
        finally:
            self.let_go()

    def take(self) -> bool:
        """Take the lock at once, or return ``False``."""
        return self._files.try_lock(self._fd)

    def let_go(self) -> None:
        """Let go of what :meth:`take` has taken."""
        self._files.unlock(self._fd)

    def _wait(self) -> None:
        # flock(2) can wait by itself, but not for a bounded time in a thread.
        began = time.monotonic()
        pause_s = _PAUSE_S_MIN
        while not self.take():
            waited_s = time.monotonic() - began
            if waited_s >= self._wait_s_max:
                raise StoreBusy(self._folder, self._wait_s_max)
            if waited_s < _YIELDING_S:
                os.sched_yield()
                continue
            time.sleep(pause_s)
            is_patient = waited_s >= _PATIENT_AFTER_S
            pause_s = _PATIENT_PAUSE_S if is_patient else min(pause_s * 1.5, _PAUSE_S_MAX)

    def close(self) -> None:
        """Let go of the file."""
        self._files.close(self._fd)
