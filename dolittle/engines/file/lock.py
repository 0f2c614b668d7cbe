"""The locks that writers of one store hold for a batch, never for a lifetime."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
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


class FileLock:
    """An ``flock`` on a file of the store; the system lets go of it when its process dies.

    Attributes:
        wait_s_max: How long it is waited for.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(
        self, files: Files, folder: Path, name: str = "lock", *, wait_s_max: float = WAIT_S_MAX
    ) -> None:
        self._files = files
        self._folder = folder
        self.wait_s_max = wait_s_max
        self._fd = files.open(folder / name, os.O_RDWR | os.O_CREAT)

    @contextmanager
    def held(self, *, is_taken: bool = False) -> Iterator[None]:
        """Hold the lock for a ``with`` block.

        Args:
            is_taken: Whether :meth:`take` has taken it.

        Raises:
            StoreBusy: Another process held it for longer than ``wait_s_max``.
        """
        if not is_taken:
            self.take_unless(_never)
        try:
            yield
        finally:
            self.let_go()

    def take(self, patience_s: float = 0) -> bool:
        """Take the lock, or return ``False``.

        Args:
            patience_s: How long to let others go first, without a sleep.
        """
        if self._files.try_lock(self._fd):
            return True
        end = time.perf_counter() + patience_s
        while patience_s and time.perf_counter() < end:
            os.sched_yield()
            if self._files.try_lock(self._fd):
                return True
        return False

    def let_go(self) -> None:
        """Let go of what :meth:`take` has taken."""
        self._files.unlock(self._fd)

    def take_unless(self, is_over: Callable[[], bool], wait_s_max: float | None = None) -> bool:
        """Wait for the lock, or until there is no more need of it.

        Args:
            is_over: Asked again and again while another process holds the lock.
            wait_s_max: How long to wait, if not as long as for others.

        Returns:
            Whether it was taken.

        Raises:
            StoreBusy: Another process held it for longer than ``wait_s_max``.
        """
        if self.take():
            return True
        wait_s_max = self.wait_s_max if wait_s_max is None else wait_s_max
        # flock(2) can wait by itself, but not for a bounded time in a thread.
        began = time.monotonic()
        pause_s = _PAUSE_S_MIN
        while True:
            if is_over():
                return False
            if self.take():
                return True
            waited_s = time.monotonic() - began
            if waited_s >= wait_s_max:
                raise StoreBusy(self._folder, wait_s_max)
            if waited_s < _YIELDING_S:
                os.sched_yield()
                continue
            time.sleep(pause_s)
            is_patient = waited_s >= _PATIENT_AFTER_S
            pause_s = _PATIENT_PAUSE_S if is_patient else min(pause_s * 1.5, _PAUSE_S_MAX)

    def close(self) -> None:
        """Let go of the file."""
        self._files.close(self._fd)


def _never() -> bool:
    return False
