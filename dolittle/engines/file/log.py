"""The event log of one store: where it ends, bringing it up to date, appending, publishing."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Final

from dolittle.engines.file.files import Files, write_all
from dolittle.engines.file.line import seed_of
from dolittle.engines.file.lock import WAIT_S_MAX
from dolittle.engines.file.recovery import cut_tail, ids_behind, scan, write_again
from dolittle.engines.file.segments import FOLDER, Segment, Segments, segment_path
from dolittle.engines.file.settling import Settling
from dolittle.engines.file.synced import Mark, Synced
from dolittle.errors import StoreBusy, StoreDamaged
from dolittle.execution import Clock

log: Final = logging.getLogger("dolittle.engines.file")

SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""A segment that has reached this size is followed by a new one."""

_COMPANY_BATCHES: Final = 16
"""So many batches after another process has written, it is expected to write again."""


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
        lock_wait_s: float = WAIT_S_MAX,
    ) -> None:
        self._files = files
        self._folder = folder
        self._store_id = store_id
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._is_synced = is_synced
        self._segment_bytes = segment_bytes
        self._seed = seed_of(store_id)
        self._fd: int | None = None
        self._fd_segment: Segment | None = None
        self._own = self._readable = Mark()
        self._own_count = self._seen_count = -1
        self._company = 0
        self._settling_files: Settling | None = None
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

    @property
    def readable(self) -> Mark:
        """Up to where it could be read then; behind it lines of others are on their way to disk."""
        return self._readable

    @property
    def has_unsettled(self) -> bool:
        """Whether lines before :attr:`own` were not known to be on disk then."""
        return self._readable.address < self._own.address

    @property
    def has_company(self) -> bool:
        """Whether other processes write too, so that the lock should not be held for a sync."""
        return self.has_unsettled or (self._company > 0 and self._is_synced)

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

        Afterwards :attr:`own` is the end of the log, and everything before :attr:`readable` is on
        disk (with durability ``os``: in the system's hands).

        Raises:
            StoreDamaged: Acknowledged events are damaged; nothing was changed.
            StoreBusy: Another process has been syncing for too long.
            OSError: The disk failed; nothing was acknowledged that is not there.
        """
        assert self._synced is not None
        self._company -= self._company > 0
        if self._is_latest():
            return
        if not self.segments.all:
            self._begin_segment(0)
        count, mark = self._synced.count(), self._synced.read()
        if -1 < self._seen_count < count:
            self._company = _COMPANY_BATCHES
            # Before anything is written that could then not be announced.
            self._settling()
        self._seen_count = count
        stat = self._files.stat(self.segments.last.path)
        if mark is None or mark.inode != stat.st_ino:
            self.segments.refresh()
            stat = self._files.stat(self.segments.last.path)
        whole = self.segments.last.base + stat.st_size
        is_whole = mark is not None and _describes(mark, stat) and mark.address == whole
        if is_whole and not self._synced.is_doubted:
            assert mark is not None
            self._own = self._readable = mark
            self._own_count = count
            return
        written = self._settling().written() if mark is not None else None
        if written is not None and _describes(written, stat) and written.address == whole:
            assert mark is not None
            if written.address > mark.address:
                self._own, self._readable = written, mark
                self._own_count, self._company = -1, _COMPANY_BATCHES
                self._writable()
                if written.size >= self._segment_bytes:
                    # A segment is followed by another only when it is wholly on disk.
                    self._settle_now()
                return
        self._recover()

    def bring_to_disk(self) -> None:
        """Do as :meth:`bring_up_to_date`, and sync what others have only written.

        Raises:
            SyncFailed: The sync failed.
        """
        self.bring_up_to_date()
        if self.has_unsettled:
            self._settle_now()

    def _settle_now(self) -> None:
        if not self.settle():
            self.recover()
        else:
            self.bring_up_to_date()

    def _settling(self) -> Settling:
        """Return what is needed only where several processes write."""
        if self._settling_files is None:
            assert self._synced is not None
            self._settling_files = Settling(
                self._files,
                self._folder,
                self._store_id,
                self._synced,
                wait_s_max=self._lock_wait_s,
            )
        return self._settling_files

    def _is_latest(self) -> bool:
        """Tell whether nothing at all has changed since this log was last at its end.

        That nobody has published is known from one word, and the open file tells the rest.
        """
        assert self._synced is not None
        if self._fd is None or self._own_count < 0 or self._synced.count() != self._own_count:
            return False
        stat = self._files.fstat(self._fd)
        is_same = _describes(self._own, stat) and stat.st_nlink > 0
        return is_same and not self._synced.is_doubted

    def _recover(self) -> None:
        with self._settling().alone():
            self._recover_alone()

    def _recover_alone(self) -> None:
        assert self._synced is not None
        # Others may have begun a segment since this log last looked.
        self.segments.refresh()
        mark = self._synced.read()
        synced_address = mark.address if mark is not None else 0
        found = scan(self._files, self.segments, self._seed, synced_address)
        if found.damage is not None:
            self.damage = found.damage
            # What lies before the damage can be read, and so can nothing behind it.
            self._own = Mark(self.segments.last.base + found.end, found.position, 0, found.time_us)
            self._readable = self._own
            raise found.damage
        # Whoever dies from here on leaves the doubt, and others do not trust their own sync.
        self._synced.doubt(True)
        if found.is_torn:
            copy = cut_tail(self._files, self._folder, self.segments, found, self._clock.now())
            log.warning(
                "the event log ended in half a commit, which nobody had been told is stored; "
                "it was cut off, a copy is in %s",
                copy,
            )
        write_again(self._files, self.segments, found, self._writable())
        self._files.fdatasync(self._writable())
        # Who made the segment may have died before its name was on disk.
        self._files.fsync_folder(self._folder / FOLDER)
        end = self.segments.last.base + found.end
        mark = self._looking(Mark(end, found.position, found.position, found.time_us))
        # Nothing that was written before this is believed any more; until then the doubt stands.
        self._settling().announce(mark)
        self._synced.doubt(False)
        self._publish(mark)

    def unsettled_ids(self) -> set[str]:
        """Return the ids of commits behind the mark, which nobody was told are stored."""
        return ids_behind(self._files, self.segments, self._seed, self.mark().address)

    def append(self, data: bytes) -> None:
        """Write whole lines behind the end and sync them. Needs the lock; not yet readable.

        Raises:
            OSError: From the write. The caller decides what becomes of it.
            SyncFailed: The sync failed; what is on disk is unknown until the store is reopened.
        """
        self.write(data)
        if self._is_synced:
            self._sync()

    def write(self, data: bytes) -> None:
        """Write whole lines behind the end. Needs the lock; not yet on disk.

        Raises:
            OSError: From the write. The caller decides what becomes of it.
            SyncFailed: A new segment is due, and what a commit with durability ``os`` has left
                in the last one could not be synced.
        """
        if self._own.size >= self._segment_bytes:
            self._roll()
        write_all(self._files, self._writable(), data, self._own.size)

    def announce(self, length: int, position: int, time_us: int) -> None:
        """Let other writers go on behind what :meth:`write` wrote. Needs the lock.

        Args:
            length: Of the written data, in bytes.
            position: Behind the last event in it.
            time_us: Of the last commit in it.
        """
        attested = self._readable.attested
        self._own = self._looking(Mark(self._own.address + length, position, attested, time_us))
        self._own_count = -1
        self._settling().announce(self._own)

    @property
    def is_doubted(self) -> bool:
        """Whether somebody's sync was begun and is not known to have succeeded."""
        return self._synced is not None and self._synced.is_doubted

    def settle(self, wait_s_max: float | None = None) -> bool:
        """Return once everything before :attr:`own` is on disk and may be read. Needs no lock.

        Args:
            wait_s_max: How long to wait for others, if not as long as for a lock.

        Returns:
            False: it is not known what is on disk; :meth:`recover` settles it.

        Raises:
            StoreBusy: Another process has been syncing for too long.
            SyncFailed: The sync failed; what is on disk is unknown until the store is reopened.
        """
        assert self._synced is not None
        assert self._fd is not None
        try:
            is_settled = self._settling().settle(self._fd, self._own.address, wait_s_max)
        except OSError as error:
            self._has_failed = True
            raise SyncFailed(str(error)) from error
        if is_settled:
            self._seen_count = self._synced.count()
        return is_settled

    def recover(self) -> None:
        """Write what is not proven to be on disk again, where a sync was not finished.

        Needs the lock. Raises as :meth:`bring_up_to_date` does.
        """
        assert self._synced is not None
        with self._settling().alone():
            if self._synced.is_doubted:
                self._recover_alone()
        self.bring_up_to_date()

    def holds(self, data: bytes, address: int) -> bool:
        """Tell whether the log has these bytes at an address."""
        segment = self.segments.at(address)
        return self.segments.read(segment, address - segment.base, len(data)) == data

    def _sync(self) -> None:
        fd = self._writable()
        try:
            self._files.fdatasync(fd)
        except OSError as error:
            # Whoever writes next, in whichever process, must not believe what seems to be there.
            self._has_failed = True
            assert self._synced is not None
            # It counts, so that this log is not the latest any more, either.
            self._synced.publish(self._readable._replace(mtime_ns=0))
            raise SyncFailed(str(error)) from error

    def cut_back(self) -> None:
        """Take away what a failed :meth:`write` has written. Needs the lock.

        Without its sync a power cut might bring back what its committer is told is not stored.

        Raises:
            StoreDamaged: Acknowledged events are damaged.
            OSError: The disk failed, or another process has been syncing for too long.
        """
        assert self._synced is not None
        fd, own = self._writable(), self._own
        if not (self.has_unsettled or self._synced.is_doubted):
            self._files.ftruncate(fd, own.size)
            self._files.fdatasync(fd)
            self._publish(self._looking(own))
            return
        try:
            with self._settling().alone():
                # Never made longer: after a failed sync it may end before what was written last.
                if self._files.fstat(fd).st_size > own.size:
                    self._files.ftruncate(fd, own.size)
                if self._synced.is_doubted:
                    self._recover_alone()
                    return
                self._settling().sync(fd)
                mark = self._looking(own._replace(attested=own.position))
                self._settling().announce(mark)
                self._publish(mark)
        except StoreBusy as error:
            raise OSError(errno.EBUSY, str(error)) from error

    def publish(self, length: int, position: int, time_us: int) -> None:
        """Let everyone read what :meth:`append` wrote. Needs the lock.

        Args:
            length: Of the appended data, in bytes.
            position: Behind the last event in it.
            time_us: Of the last commit in it.
        """
        attested = position if self._is_synced else self._own.attested
        mark = Mark(self._own.address + length, position, attested, time_us)
        self._publish(self._looking(mark))

    def _looking(self, mark: Mark) -> Mark:
        """Return a mark with what the last segment looks like now."""
        stat = self._files.fstat(self._writable())
        return mark._replace(
            inode=stat.st_ino,
            mtime_ns=stat.st_mtime_ns,
            size=mark.address - self.segments.last.base,
        )

    def _publish(self, mark: Mark) -> None:
        assert self._synced is not None
        self._own = self._readable = mark
        self._seen_inode = mark.inode
        self._synced.publish(mark)
        self._own_count = self._seen_count = self._synced.count()

    def _roll(self) -> None:
        """Seal the last segment and begin the next one."""
        if self._own.attested < self._own.position:
            self._sync()
        self._begin_segment(self._own.position)
        self._publish(self._looking(self._own._replace(attested=self._own.position)))

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
        self.bring_to_disk()
        if self._own.attested < self._own.position:
            self._sync()
            self._publish(self._looking(self._own._replace(attested=self._own.position)))

    def close(self) -> None:
        """Let go of the files."""
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None
        self.segments.close()
        if self._settling_files is not None:
            self._settling_files.close()
            self._settling_files = None
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
