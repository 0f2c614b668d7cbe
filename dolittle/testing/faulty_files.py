"""Files that fail on command, and a disk whose power can be cut."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

from dolittle.engines.file.files import OsFiles

CHANGING = frozenset(
    {"open", "pwrite", "fdatasync", "ftruncate", "rename", "mkdir", "unlink", "fsync_folder"}
)


class FaultyFiles(OsFiles):
    """The operating system's files, of which the N-th operation fails.

    Args:
        fail_at: Which operation fails, from 1; 0: none.
        code: The ``errno``; 0: the N-th write is short.
        is_sticky: Whether each operation after it fails too.
        kinds: Which operations count.
    """

    def __init__(
        self,
        fail_at: int = 0,
        code: int = errno.EIO,
        *,
        is_sticky: bool = False,
        kinds: frozenset[str] = CHANGING,
    ) -> None:
        self.fail_at, self.code, self.is_sticky, self.kinds = fail_at, code, is_sticky, kinds
        self.count = 0
        self.failed: list[str] = []

    def _fails(self, kind: str) -> bool:
        if kind not in self.kinds:
            return False
        self.count += 1
        due = self.count >= self.fail_at if self.is_sticky else self.count == self.fail_at
        if self.fail_at and due:
            self.failed.append(kind)
            return True
        return False

    def _check(self, kind: str) -> None:
        if self._fails(kind):
            raise OSError(self.code, os.strerror(self.code))

    def open(self, path: Path, flags: int) -> int:
        """Open a file, or fail."""
        self._check("open")
        return super().open(path, flags)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read, or fail."""
        self._check("pread")
        return super().pread(fd, length, offset)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        """Write, or fail after half of it."""
        if self._fails("pwrite"):
            if self.code:
                # As a real disk does: some of it may have been written all the same.
                super().pwrite(fd, data[: len(data) // 2], offset)
                raise OSError(self.code, os.strerror(self.code))
            return super().pwrite(fd, data[: len(data) // 2], offset)
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:  # noqa: ARG002 - the seam's signature
        """Do nothing, or fail: these tests cut no real power."""
        self._check("fdatasync")

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut, or fail."""
        self._check("ftruncate")
        super().ftruncate(fd, length)

    def rename(self, old: Path, new: Path) -> None:
        """Rename, or fail."""
        self._check("rename")
        super().rename(old, new)

    def mkdir(self, path: Path) -> None:
        """Make a folder, or fail."""
        self._check("mkdir")
        super().mkdir(path)

    def unlink(self, path: Path) -> None:
        """Remove, or fail."""
        self._check("unlink")
        super().unlink(path)

    def fsync_folder(self, folder: Path) -> None:  # noqa: ARG002 - the seam's signature
        """Do nothing, or fail."""
        self._check("fsync_folder")


class PowerCutFiles(OsFiles):
    """Remembers what was written since the last sync; :meth:`cut` keeps any part of it.

    Args:
        seed: The same seed loses the same.
        sector: Bytes that the disk writes whole or not at all, e.g. 512 or 4096.

    Attributes:
        stop_syncing: Set it to let no further write come to disk for certain.
    """

    def __init__(self, seed: int, sector: int) -> None:
        self._random = random.Random(seed)
        self._sector = sector
        self.stop_syncing = False
        self._path_of: dict[int, Path] = {}
        self._synced: dict[Path, bytes] = {}
        self._made: set[Path] = set()

    def open(self, path: Path, flags: int) -> int:
        """Open a file and remember what of it is on disk."""
        is_new = not path.exists()
        fd = super().open(path, flags)
        self._path_of[fd] = path
        if is_new:
            self._made.add(path)
            self._synced[path] = b""
        elif path not in self._synced:
            self._synced[path] = path.read_bytes()
        return fd

    def fdatasync(self, fd: int) -> None:
        """Remember that all of a file is on disk now; fail once the power is about to go."""
        if self.stop_syncing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        path = self._path_of[fd]
        self._synced[path] = path.read_bytes()

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file."""
        super().rename(old, new)
        self._synced[new] = self._synced.pop(old)
        if old in self._made:
            self._made.discard(old)
            self._made.add(new)

    def fsync_folder(self, folder: Path) -> None:
        """Remember that the names in a folder are on disk now."""
        self._made = {path for path in self._made if path.parent != folder}

    def cut(self) -> None:
        """Cut the power: of what is not synced, any sectors in any order are on disk."""
        for path, synced in self._synced.items():
            if path.name in {"lock", "synced", "written"} or not path.exists():
                continue
            if path in self._made and self._random.random() < 0.5:
                path.unlink()
                continue
            path.write_bytes(self._what_is_left(synced, path.read_bytes()))

    def _what_is_left(self, synced: bytes, written: bytes) -> bytes:
        if synced == written:
            return synced
        size = self._random.choice(
            [len(synced), len(written), self._random.randint(*sorted((len(synced), len(written))))]
        )
        left = bytearray(synced[:size].ljust(size, b"\0"))
        for begin in range(0, size, self._sector):
            end = min(begin + self._sector, size)
            choice = self._random.random()
            if choice < 0.6:
                left[begin:end] = written[begin:end].ljust(end - begin, b"\0")
            elif choice < 0.75 and begin >= len(synced):
                left[begin:end] = self._random.randbytes(end - begin)
        return bytes(left)
