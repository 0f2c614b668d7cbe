"""The event log of one store: where it ends, bringing it up to date, appending, publishing."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path
from typing import Final

from dolittle.engines.file.files import Files, write_all
from dolittle.engines.file.line import decode, is_intact, seed_of
from dolittle.engines.file.recovery import Scan, cut_tail, raw_lines, scan
from dolittle.engines.file.segments import BLOCK_BYTES, FOLDER, Segment, Segments, segment_path
from dolittle.engines.file.synced import Mark, Synced
from dolittle.errors import StoreDamaged
from dolittle.execution import Clock

log: Final = logging.getLogger("dolittle.engines.file")

SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""A segment that has reached this size is followed by a new one."""


class Log:
    """The segments and the mark up to which they may be read.

    Attributes:
        segments: The files, for reading.
        damage: What is wrong with the last segment; nothing is appended while it stands.
    """

    def __init__(
        self,
        files: Files,
        folder: Path,
        store_id: str,
        *,
        clock: Clock,
        is_writable: bool,
        is_synced: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._files = files
        self._folder = folder
        self._clock = clock
        self._is_synced = is_synced
        self._segment_bytes = segment_bytes
        self._seed = seed_of(store_id)
        self._fd: int | None = None
        self._fd_segment: Segment | None = None
        self._own = Mark()
        self._own_count = -1
        self._seen_inode = 0
        self._has_failed = False
        self._synced: Synced | None = None
        self.segments = Segments(files, folder, self._seed)
        self.damage: StoreDamaged | None = None
        try:
            self._synced = Synced(files, folder, store_id, is_writable=is_writable)
        except FileNotFoundError:
            if is_writable:
                raise

    @property
    def seed(self) -> int:
        """The checksum's seed."""
        return self._seed

    @property
    def own(self) -> Mark:
        """The end of the log as :meth:`bring_up_to_date` or :meth:`publish` left it."""
        return self._own

    def mark(self) -> Mark:
        """Return up to where the log may be read now, whichever process wrote it."""
        synced = self._synced
        mark = synced.read() if synced is not None and self.damage is None else None
        if mark is None:
            return self._own
        if mark.inode != self._seen_inode:
            # Another process has begun a new segment.
            self.segments.refresh()
            self._seen_inode = mark.inode
        return mark

    def find_end(self) -> None:
        """Find the end of a log that cannot be written to: its intact lines, nothing else."""
        if not self.segments.all:
            return
        last = self.segments.last
        mark = self._synced.read() if self._synced is not None else None
        stat = self._files.stat(last.path)
        if mark is not None and (_describes(mark, stat) or last.base + stat.st_size > mark.address):
            # More than the mark says: a process is just writing.
            self._own = mark
            return
        found = scan(self._files, self.segments, self._seed, mark.address if mark else 0)
        self.damage = found.damage
        self._own = Mark(last.base + found.end, found.position, 0, found.time_us)

    def bring_up_to_date(self) -> None:
        """Take in what others appended, and recover from what they left. Needs the lock.

        Afterwards :attr:`own` is the end of the log, and everything before it is on disk
        (with durability ``os``: in the system's hands).

        Raises:
            StoreDamaged: Acknowledged events are damaged; nothing was changed.
            OSError: The disk failed; nothing was acknowledged that is not there.
        """
        assert self._synced is not None
        if self._is_latest():
            return
        if not self.segments.all:
            self._begin_segment(0)
        count, mark = self._synced.count(), self._synced.read()
        stat = self._files.stat(self.segments.last.path)
        if mark is None or mark.inode != stat.st_ino:
            self.segments.refresh()
            stat = self._files.stat(self.segments.last.path)
        whole = self.segments.last.base + stat.st_size
        if mark is not None and _describes(mark, stat) and mark.address == whole:
            self._own, self._own_count = mark, count
            return
        self._recover(mark)

    def _is_latest(self) -> bool:
        """Tell whether nothing at all has changed since this log was last at its end.

        That nobody has published is known from one word, and the open file tells the rest.
        """
        assert self._synced is not None
        if self._fd is None or self._own_count < 0 or self._synced.count() != self._own_count:
            return False
        stat = self._files.fstat(self._fd)
        return _describes(self._own, stat) and stat.st_nlink > 0

    def _recover(self, mark: Mark | None) -> None:
        synced_address = mark.address if mark is not None else 0
        found = scan(self._files, self.segments, self._seed, synced_address)
        if found.damage is not None:
            self.damage = found.damage
            # What lies before the damage can be read, and so can nothing behind it.
            self._own = Mark(self.segments.last.base + found.end, found.position, 0, found.time_us)
            raise found.damage
        if found.is_torn:
            copy = cut_tail(self._files, self._folder, self.segments, found, self._clock.now())
            log.warning(
                "the event log ended in half a commit, which nobody had been told is stored; "
                "it was cut off, a copy is in %s",
                copy,
            )
        self._write_again(found)
        self._files.fdatasync(self._writable())
        # Who made the segment may have died before its name was on disk.
        self._files.fsync_folder(self._folder / FOLDER)
        end = self.segments.last.base + found.end
        self._publish(Mark(end, found.position, found.position, found.time_us))

    def _write_again(self, found: Scan) -> None:
        """Write the lines that nothing proves to be on disk over themselves, so that they are.

        After a failed sync the system goes on showing what it could not write, and takes it for
        written: a sync that succeeds later says nothing about it. Only a new write does.
        Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
        """
        offset, segment = found.proven_end, self.segments.last
        while offset < found.end:
            block = self.segments.read(segment, offset, min(BLOCK_BYTES, found.end - offset))
            if not block:
                raise OSError(errno.EIO, "the log became shorter while it was read")
            write_all(self._files, self._writable(), block, offset)
            offset += len(block)

    def unsettled_ids(self) -> set[str]:
        """Return the ids of commits behind the mark, which nobody was told are stored."""
        mark, segment = self.mark(), self.segments.last
        begin = max(mark.address - segment.base, 0)
        size = self._files.stat(segment.path).st_size
        found: set[str] = set()
        for _, line in raw_lines(self.segments, segment, size, begin):
            if is_intact(line.removesuffix(b"\n"), self._seed):
                with contextlib.suppress(ValueError):
                    found.add(decode(line).commit)
        return found

    def append(self, data: bytes) -> None:
        """Write whole lines behind the end and sync them. Needs the lock; not yet readable.

        Raises:
            OSError: From the write. The caller decides what becomes of it.
            SyncFailed: The sync failed; what is on disk is unknown until the store is reopened.
        """
        if self._own.size >= self._segment_bytes:
            self._roll()
        write_all(self._files, self._writable(), data, self._own.size)
        if self._is_synced:
            self._sync()

    def _sync(self) -> None:
        fd = self._writable()
        try:
            self._files.fdatasync(fd)
        except OSError as error:
            # Whoever writes next, in whichever process, must not believe what seems to be there.
            self._has_failed = True
            assert self._synced is not None
            # It counts, so that this log is not the latest any more, either.
            self._synced.publish(self._own._replace(mtime_ns=0))
            raise SyncFailed(str(error)) from error

    def cut_back(self) -> None:
        """Take away what a failed :meth:`append` has written. Needs the lock."""
        self._files.ftruncate(self._writable(), self._own.size)
        # Without it a power cut might bring back what its committer is told is not stored.
        self._files.fdatasync(self._writable())
        self._publish(self._own)

    def publish(self, length: int, position: int, time_us: int) -> None:
        """Let everyone read what :meth:`append` wrote. Needs the lock.

        Args:
            length: Of the appended data, in bytes.
            position: Behind the last event in it.
            time_us: Of the last commit in it.
        """
        attested = position if self._is_synced else self._own.attested
        self._publish(Mark(self._own.address + length, position, attested, time_us))

    def _publish(self, mark: Mark) -> None:
        assert self._synced is not None
        stat = self._files.fstat(self._writable())
        mark = mark._replace(
            inode=stat.st_ino,
            mtime_ns=stat.st_mtime_ns,
            size=mark.address - self.segments.last.base,
        )
        self._own = mark
        self._seen_inode = mark.inode
        self._synced.publish(mark)
        self._own_count = self._synced.count()

    def _roll(self) -> None:
        """Seal the last segment and begin the next one."""
        if not self._is_synced:
            self._sync()
        self._begin_segment(self._own.position)
        self._publish(self._own._replace(attested=self._own.position))

    def _begin_segment(self, first_position: int) -> None:
        """Make an empty segment that survives a power cut, before a commit goes into it."""
        path = segment_path(self._folder, first_position)
        fd = self._files.open(path, os.O_RDWR | os.O_CREAT)
        try:
            self._files.fdatasync(fd)
        finally:
            self._files.close(fd)
        self._files.fsync_folder(self._folder / FOLDER)
        self.segments.refresh()

    def _writable(self) -> int:
        segment = self.segments.last
        if self._fd is None or self._fd_segment is not segment:
            if self._fd is not None:
                self._files.close(self._fd)
                self._fd = None
            self._fd = self._files.open(segment.path, os.O_RDWR)
        self._fd_segment = segment
        return self._fd

    def sync(self) -> None:
        """Bring everything to disk, whatever the durability; nothing after a failed sync.

        Needs the lock.

        Raises:
            StoreDamaged: Acknowledged events are damaged.
            OSError: The disk failed.
            SyncFailed: The sync failed.
        """
        if self.damage is not None or self._has_failed:
            return
        # Others may have written since: what is published must not go back behind them.
        self.bring_up_to_date()
        if self._own.attested < self._own.position:
            self._sync()
            self._publish(self._own._replace(attested=self._own.position))

    def close(self) -> None:
        """Let go of the files."""
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None
        self.segments.close()
        if self._synced is not None:
            self._synced.close()
            self._synced = None


class SyncFailed(Exception):
    """``fdatasync`` failed: the pages may be lost and yet look clean.

    Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
    """


def _describes(mark: Mark, stat: os.stat_result) -> bool:
    """Tell whether a segment looks as it did when a mark was published."""
    return (
        mark.inode == stat.st_ino
        and mark.mtime_ns == stat.st_mtime_ns
        and mark.size == stat.st_size
    )
