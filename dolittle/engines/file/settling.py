"""Syncing outside the lock: what several processes have written goes to disk with one sync.

While others commit too, whoever has written its lines says so in ``written`` and lets go of the
lock; the next one decides behind them. Then each wants its lines on disk: one holds the lock of
``written``, syncs everything that has been written until then, for the others too, and lets it be
read. A doubt in ``synced`` stands from before the sync until it has succeeded: where it is found
without anyone syncing, whoever synced has failed or died, and what is not proven to be on disk
has to be written again.
"""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager
from pathlib import Path

from dolittle.engines.file.files import Files
from dolittle.engines.file.lock import FileLock
from dolittle.engines.file.synced import WRITTEN, Mark, Synced


class Settling:
    """What is written and not synced yet, and whose turn it is to sync it."""

    def __init__(
        self, files: Files, folder: Path, store_id: str, synced: Synced, *, wait_s_max: float
    ) -> None:
        self._files = files
        self._synced = synced
        self._look(synced.count())
        self._lock = FileLock(files, folder, WRITTEN, wait_s_max=wait_s_max)
        try:
            self._written = Synced(files, folder, store_id, is_writable=True, name=WRITTEN)
        except BaseException:
            self._lock.close()
            raise

    def written(self) -> Mark | None:
        """Return up to where lines have been written, if any were outside the lock."""
        return self._written.read()

    def announce(self, mark: Mark) -> None:
        """Say up to where lines have been written. Needs the write lock."""
        self._written.publish(mark)

    def settle(self, fd: int, end: int, wait_s_max: float | None = None) -> bool:
        """Return once everything before an address is on disk and may be read.

        Args:
            fd: The open segment that the address is in.
            end: The address; lines up to there were announced.
            wait_s_max: How long to wait for others, if not as long as for any lock.

        Returns:
            False: a sync of another process has failed, or was never finished. Then what is
            not proven to be on disk has to be written again, with :meth:`alone`.

        Raises:
            StoreBusy: Another process has been syncing for too long.
            OSError: The sync failed; what is on disk is unknown.
        """

        def is_settled() -> bool:
            return self._readable_end() >= end

        if not self._lock.take_unless(is_settled, wait_s_max):
            return True
        try:
            if is_settled():
                return True
            if self._synced.is_doubted:
                return False
            # Others may write on meanwhile: only what was written before the sync is safe after.
            written = self._written.read()
            stat = self._files.fstat(fd)
            if written is None or written.address < end or written.inode != stat.st_ino:
                raise OSError(errno.EIO, "nothing says how far the log was written")
            if stat.st_size < written.size:
                raise OSError(errno.EIO, "what was written last is gone")
            self.sync(fd)
            self._synced.publish(written._replace(attested=written.position))
            return True
        finally:
            self._lock.let_go()

    def sync(self, fd: int) -> None:
        """Sync, and leave a doubt if that fails. Needs the lock of :meth:`alone`.

        Raises:
            OSError: It failed.
        """
        self._synced.doubt(True)
        self._files.fdatasync(fd)
        self._synced.doubt(False)

    def alone(self) -> AbstractContextManager[None]:
        """Keep others from syncing for a ``with`` block. Needs the write lock.

        Raises:
            StoreBusy: Another process has been syncing for too long.
        """
        return self._lock.held()

    def _readable_end(self) -> int:
        count = self._synced.count()
        if count != self._seen_count:
            self._look(count)
        return self._seen_end

    def _look(self, count: int) -> None:
        # Counted before it is read, so that whatever comes after is noticed.
        self._seen_count, self._seen_end = count, (self._synced.read() or Mark()).address

    def close(self) -> None:
        """Let go of the files."""
        self._written.close()
        self._lock.close()
