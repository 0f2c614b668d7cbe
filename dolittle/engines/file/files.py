"""The one seam through which the file engine touches the disk, and the durable write.

Every file operation of the engine is a method of :class:`Files`, so that a test can fail the
N-th of them or simulate a power cut. (SQLite, which holds only what is derived, has its own.)
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the quota or the file has no room. Source: open(2), write(2)."""

READ_ONLY: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""The place cannot be written to. Source: open(2)."""


class Files(Protocol):
    """What the engine asks of an operating system. Every method may raise ``OSError``."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file (``os.O_*`` flags), created with ``FILE_MODE``; return a descriptor."""
        ...

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        ...

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read up to ``length`` bytes at ``offset``; fewer at the end of the file."""
        ...

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write at ``offset``; return how many bytes were written, which may be fewer."""
        ...

    def fdatasync(self, fd: int) -> None:
        """Return when the file's data is on disk."""
        ...

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut or extend a file."""
        ...

    def stat(self, path: Path) -> os.stat_result:
        """Describe a file by its path."""
        ...

    def fstat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file; what was there is replaced, atomically."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        ...

    def mkdir(self, path: Path) -> None:
        """Make a folder with ``FOLDER_MODE``; its parent exists."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted."""
        ...

    def fsync_folder(self, folder: Path) -> None:
        """Return when the folder's entries are on disk."""
        ...

    def try_lock(self, fd: int) -> bool:
        """Take the exclusive lock of an open file at once, or return ``False``."""
        ...

    def unlock(self, fd: int) -> None:
        """Let go of the lock of an open file."""
        ...

    def map(self, fd: int, length: int, *, is_writable: bool) -> mmap.mmap:
        """Map the first ``length`` bytes of a file into memory, shared."""
        ...


class OsFiles:
    """The operating system's files."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file, not to be inherited by child processes."""
        return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read at an offset."""
        return os.pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write at an offset."""
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        """Sync a file's data, on macOS down to the medium.

        Source: fsync(2) of macOS: only ``F_FULLFSYNC`` makes the drive flush its buffer.
        """
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut or extend a file."""
        os.ftruncate(fd, length)

    def stat(self, path: Path) -> os.stat_result:
        """Describe a file by its path."""
        return os.stat(path)  # noqa: PTH116 - Path.stat costs three times as much, per batch

    def fstat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        return os.fstat(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file."""
        old.replace(new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        path.mkdir(mode=FOLDER_MODE)

    def names(self, folder: Path) -> list[str]:
        """List a folder."""
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are what is wanted

    def fsync_folder(self, folder: Path) -> None:
        """Sync a folder's entries."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def try_lock(self, fd: int) -> bool:
        """Take an exclusive ``flock`` without waiting."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, fd: int) -> None:
        """Let go of the ``flock``."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def map(self, fd: int, length: int, *, is_writable: bool) -> mmap.mmap:
        """Map a file into memory."""
        access = mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ
        return mmap.mmap(fd, length, access=access)


@contextmanager
def opened(files: Files, path: Path, flags: int) -> Iterator[int]:
    """Open a file for a ``with`` block."""
    fd = files.open(path, flags)
    try:
        yield fd
    finally:
        files.close(fd)


def write_all(files: Files, fd: int, data: bytes, offset: int) -> None:
    """Write every byte at an offset.

    Raises:
        OSError: ``ENOSPC`` also where the system wrote nothing and gave no reason.
    """
    done = files.pwrite(fd, data, offset)
    while done < len(data):
        written = files.pwrite(fd, memoryview(data)[done:], offset + done)
        if written == 0:
            raise OSError(errno.ENOSPC, "the system wrote no further byte")
        done += written


def write_durably(files: Files, path: Path, data: bytes) -> None:
    """Make a file hold exactly ``data``, or leave it as it was, whatever happens.

    Written beside it, synced, renamed over it, and the folder synced.
    """
    beside = path.with_name(f"{path.name}.tmp")
    with opened(files, beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
        write_all(files, fd, data, 0)
        files.fdatasync(fd)
    files.rename(beside, path)
    files.fsync_folder(path.parent)


def make_folder(files: Files, path: Path) -> None:
    """Make a folder and those above it, durably; nothing happens where it exists."""
    if _is_folder(files, path):
        return
    make_folder(files, path.parent)
    try:
        files.mkdir(path)
    except FileExistsError:
        # Another process was quicker.
        if not _is_folder(files, path):
            raise
    files.fsync_folder(path.parent)


def _is_folder(files: Files, path: Path) -> bool:
    try:
        return stat.S_ISDIR(files.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
