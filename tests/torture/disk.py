"""A disk in memory whose power can be cut: what is cached, what is on disk, and names apart.

It stands behind the engine's ``Files``. Every promise that a real disk does not make is left out
here too: what was not synced may be there, in part, in any order of its sectors, with garbage; a
file's size may be early or late; a name that was not synced with its folder may be gone.

What it does promise, as the engine assumes: a sector is written whole or not at all, and bytes
that were synced stay when bytes behind them in the same sector are written.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, cast

LETTERS: Final = b'{}":,0123456789abcdef\n'
"""Garbage that looks like a log is the hardest to tell from one."""

BOOT_ID_BYTES: Final = slice(24, 40)
"""Where the file ``synced`` names the boot of the machine."""

MTIME_EVERY: Final = 4
"""Changes within one tick of the disk's clock: real ones tick in milliseconds."""


class Inode:
    """A file without a name.

    Attributes:
        cached: What programs read.
        versions: What may be on disk: first what is for certain, last what should be.
        dirty_from: Before this offset all versions are the same.
        mapped: The content, once it is mapped into memory; then ``cached`` no longer counts.
    """

    __slots__ = ("cached", "dirty_from", "is_lost", "mapped", "mtime_ns", "number", "versions")

    def __init__(self, number: int) -> None:
        self.number = number
        self.cached = b""
        self.versions: tuple[bytes, ...] = (b"",)
        self.dirty_from = 0
        self.is_lost = False
        self.mtime_ns = 1_000_000_000
        self.mapped: bytearray | None = None

    def copy(self) -> Inode:
        """Return the same file for another disk."""
        other = Inode(self.number)
        other.cached, other.versions, other.dirty_from = self.cached, self.versions, self.dirty_from
        other.is_lost, other.mtime_ns = self.is_lost, self.mtime_ns
        if self.mapped is not None:
            other.mapped = Mapped(self.mapped)
        return other

    def change(self, cached: bytes, dirty_from: int) -> None:
        """Let programs read something else, which is not on disk yet."""
        if len(self.versions) == 1 and not self.is_lost:
            self.dirty_from = dirty_from
        else:
            self.dirty_from = min(self.dirty_from, dirty_from)
        self.cached = cached
        if self.is_lost:
            # Only the pages written now will reach the disk; what was lost before them will not.
            page = dirty_from - dirty_from % mmap.PAGESIZE
            base = self.versions[-1][:page].ljust(page, b"\0")
            self.versions = (*self.versions, base + cached[page:])
        else:
            self.versions = (*self.versions, cached)

    def sync(self, known: int) -> None:
        """Bring to disk what was changed.

        Args:
            known: How many versions there were when the sync began; what was changed since may
                be on disk, or not.
        """
        if len(self.versions) > known:
            self.versions = self.versions[known - 1 :]
            return
        self.versions = self.versions[-1:]
        if self.versions[0] == self.cached:
            self.is_lost = False
        if not self.is_lost:
            self.dirty_from = len(self.cached)

    def lose(self, *, is_cache_kept: bool) -> None:
        """Fail a sync: what was not on disk will never be, though programs may still read it.

        Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020:
        ext4 and XFS mark the pages clean and keep them; btrfs goes back to what is on disk.
        """
        self.versions = self.versions[:1]
        if is_cache_kept:
            self.is_lost = self.versions[0] != self.cached
        else:
            self.cached = self.versions[0]


class Mapped(bytearray):
    """The content of a mapped file; what the engine does with an ``mmap`` works on it."""

    def close(self) -> None:
        """Do nothing: the file goes on."""


class Folder:
    """Names of files and folders.

    Attributes:
        names: What programs see.
        durable: What is on disk for certain.
        pending: Changes since: a name that goes (or ""), one that comes (or ""), and its node.
    """

    __slots__ = ("durable", "names", "number", "pending")

    def __init__(self, number: int) -> None:
        self.number = number
        self.names: dict[str, Inode | Folder] = {}
        self.durable: dict[str, Inode | Folder] = {}
        self.pending: list[tuple[str, str, Inode | Folder]] = []

    def change(self, goes: str, comes: str, node: Inode | Folder) -> None:
        """Change names, not yet on disk."""
        _apply(self.names, goes, comes, node)
        self.pending.append((goes, comes, node))

    def sync(self) -> None:
        """Bring the names to disk."""
        self.durable = dict(self.names)
        self.pending.clear()


def _apply(names: dict[str, Inode | Folder], goes: str, comes: str, node: Inode | Folder) -> None:
    if goes:
        names.pop(goes, None)
    if comes:
        names[comes] = node


class Fault(NamedTuple):
    """An operation that fails.

    Attributes:
        at: Which changing operation, from 1.
        code: Its ``errno``; 0: a write is short.
        is_sticky: Whether every operation after it fails too.
        is_cache_kept: What becomes of a file whose sync failed; see :meth:`Inode.lose`.
        kinds: Only these operations count; empty: all that change something.
    """

    at: int
    code: int = errno.EIO
    is_sticky: bool = False
    is_cache_kept: bool = True
    kinds: frozenset[str] = frozenset()


class SimulatedDisk:
    """Files in memory, for one thread.

    Args:
        root: The folder that the disk holds; it need not exist.
        sector: Bytes that are written whole or not at all.

    Attributes:
        before: Called before each operation that changes something, with its name.
        fault: What fails.
        failed: The operations that did.
        changes: How many changing operations there were.
    """

    def __init__(self, root: Path, sector: int = 512) -> None:
        self.root_path = root
        self.sector = sector
        self._prefix = len(str(root)) + 1
        self._last_number = 1
        self.root = Folder(1)
        self._fds: dict[int, Inode] = {}
        self._last_fd = 100
        self._locks: dict[int, int] = {}
        self.before: Callable[[str], None] | None = None
        self.fault: Fault | None = None
        self.failed: list[str] = []
        self.changes = 0
        self.room: int | None = None
        self.was_cut = False
        self._counted = 0

    def move(self, root: Path) -> None:
        """Let the same files stand in another folder."""
        self.root_path, self._prefix = root, len(str(root)) + 1

    # Names ----------------------------------------------------------------------------------

    def _parent(self, path: Path) -> tuple[Folder, str]:
        name = str(path)[self._prefix :]
        folder = self.root
        while "/" in name:
            first, _, name = name.partition("/")
            inner = folder.names.get(first)
            if not isinstance(inner, Folder):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            folder = inner
        return folder, name

    def _node(self, path: Path) -> Inode | Folder:
        folder, name = self._parent(path)
        if not name:
            return self.root
        node = folder.names.get(name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return node

    def content(self, name: str) -> dict[str, bytes]:
        """Return what programs read from every file in a folder of the root, by name."""
        folder = self.root.names.get(name)
        if not isinstance(folder, Folder):
            return {}
        nodes = sorted(folder.names.items())
        return {name: node.cached for name, node in nodes if isinstance(node, Inode)}

    def tear(self) -> None:
        """Leave half a line at the end of the log, as a process does that dies within a write."""
        folder = self.root.names.get("log")
        if isinstance(folder, Folder) and folder.names:
            node = folder.names[max(folder.names)]
            assert isinstance(node, Inode)
            node.change(node.cached + b'{"sum":"', len(node.cached))

    # Failing --------------------------------------------------------------------------------

    def _fails(self, kind: str) -> bool:
        self.changes += 1
        if self.before is not None:
            self.before(kind)
        fault = self.fault
        if fault is None or (fault.kinds and kind not in fault.kinds):
            return False
        self._counted += 1
        if self._counted < fault.at or (self._counted > fault.at and not fault.is_sticky):
            return False
        self.failed.append(kind)
        return True

    def _change(self, kind: str) -> None:
        if self._fails(kind):
            assert self.fault is not None
            raise OSError(self.fault.code, os.strerror(self.fault.code))

    def _read(self, kind: str) -> None:
        """Let reading fail too, where a fault asks for it by name."""
        if self.fault is not None and kind in self.fault.kinds:
            before, self.before = self.before, None
            self._change(kind)
            self.before = before

    # The engine's Files ---------------------------------------------------------------------

    def open(self, path: Path, flags: int) -> int:
        """Open a file."""
        folder, name = self._parent(path)
        node = folder.names.get(name)
        if isinstance(node, Folder):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            self._change("open")
            self._last_number += 1
            node = Inode(self._last_number)
            folder.change("", name, node)
        elif flags & os.O_TRUNC and node.cached:
            self._change("open")
            self._set(node, b"", 0)
        self._last_fd += 1
        self._fds[self._last_fd] = node
        return self._last_fd

    def close(self, fd: int) -> None:
        """Close a descriptor, and let go of its lock."""
        node = self._fds.pop(fd)
        if self._locks.get(node.number) == fd:
            del self._locks[node.number]

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read what is cached."""
        self._read("pread")
        node = self._fds[fd]
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        data = node.cached if node.mapped is None else bytes(node.mapped)
        return data[offset : offset + length]

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write into the cache."""
        node = self._fds[fd]
        if self._fails("pwrite"):
            assert self.fault is not None
            # As a real disk does: some of it may have been written all the same.
            half = bytes(data[: len(data) // 2])
            if half:
                self._write(node, half, offset)
            if self.fault.code:
                raise OSError(self.fault.code, os.strerror(self.fault.code))
            return len(half)
        if self.room is not None:
            grows = offset + len(data) - len(node.cached)
            if grows > self.room:
                data = bytes(data[: max(len(data) - grows + self.room, 0)])
                if not data:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                grows = self.room
            self.room -= max(grows, 0)
        self._write(node, bytes(data), offset)
        return len(data)

    def _write(self, node: Inode, data: bytes, offset: int) -> None:
        old = node.cached
        self._set(
            node, old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :], offset
        )

    def _set(self, node: Inode, cached: bytes, dirty_from: int) -> None:
        node.change(cached, min(dirty_from, len(node.cached)))
        node.mtime_ns = 1_000_000_000 + self.changes // MTIME_EVERY

    def fdatasync(self, fd: int) -> None:
        """Bring a file to disk."""
        node = self._fds[fd]
        known = len(node.versions)
        if self._fails("fdatasync"):
            assert self.fault is not None
            node.lose(is_cache_kept=self.fault.is_cache_kept)
            raise OSError(self.fault.code, os.strerror(self.fault.code))
        node.sync(known)

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut or extend a file in the cache."""
        self._change("ftruncate")
        node = self._fds[fd]
        old = node.cached
        if self.room is not None:
            self.room += max(len(old) - length, 0)
        self._set(node, old[:length].ljust(length, b"\0"), min(length, len(old)))

    def stat(self, path: Path) -> os.stat_result:
        """Describe a file by its path."""
        self._read("stat")
        if len(str(path)) < self._prefix - 1:
            return _described(stat.S_IFDIR | 0o700, 1, 0, 0)
        node = self._node(path)
        if isinstance(node, Folder):
            return _described(stat.S_IFDIR | 0o700, node.number, 0, 0)
        return _described(stat.S_IFREG | 0o600, node.number, len(node.cached), node.mtime_ns)

    def fstat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        node = self._fds[fd]
        return _described(stat.S_IFREG | 0o600, node.number, len(node.cached), node.mtime_ns)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file within its folder."""
        self._change("rename")
        folder, name = self._parent(old)
        folder.change(name, new.name, folder.names[name])

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self._change("unlink")
        folder, name = self._parent(path)
        folder.change(name, "", self._node(path))

    def mkdir(self, path: Path) -> None:
        """Make a folder."""
        self._change("mkdir")
        folder, name = self._parent(path)
        if name in folder.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._last_number += 1
        folder.change("", name, Folder(self._last_number))

    def names(self, folder: Path) -> list[str]:
        """List a folder."""
        node = self._node(folder)
        assert isinstance(node, Folder)
        return sorted(node.names)

    def fsync_folder(self, folder: Path) -> None:
        """Bring a folder's names to disk."""
        self._change("fsync_folder")
        assert isinstance(folder, Path)
        if len(str(folder)) >= self._prefix - 1:
            node = self._node(folder)
            assert isinstance(node, Folder)
            node.sync()

    def try_lock(self, fd: int) -> bool:
        """Take the lock of a file, unless another descriptor holds it."""
        return self._locks.setdefault(self._fds[fd].number, fd) == fd

    def unlock(self, fd: int) -> None:
        """Let go of the lock."""
        self._locks.pop(self._fds[fd].number, None)

    def map(self, fd: int, length: int, *, is_writable: bool) -> mmap.mmap:
        """Map a file; all who map it share the bytes."""
        node = self._fds[fd]
        if node.mapped is None:
            node.mapped = Mapped(node.cached[:length])
        return cast("mmap.mmap", node.mapped)

    # Crashes --------------------------------------------------------------------------------

    def after_kill(self) -> SimulatedDisk:
        """Return the disk as other processes see it when this one dies here and now."""
        other = SimulatedDisk(self.root_path, self.sector)
        other._last_number, other.changes = self._last_number, self.changes
        copies: dict[int, Inode | Folder] = {}
        other.root = cast("Folder", _copy(self.root, copies))
        return other

    def after_power_cut(self, chance: random.Random) -> SimulatedDisk:
        """Return what a machine finds that starts again after its power was cut here and now."""
        other = SimulatedDisk(self.root_path, self.sector)
        other._last_number, other.changes = self._last_number, self.changes
        # Some cuts keep nothing, some all, most a part.
        mood = chance.choice((0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0))
        other.root = self._cut_folder(self.root, chance, mood)
        return other

    def _cut_folder(self, folder: Folder, chance: random.Random, mood: float) -> Folder:
        names = dict(folder.durable)
        pending = folder.pending
        if pending:
            if chance.random() < 0.5:
                kept = pending[: chance.randint(0, len(pending))]
            else:
                kept = [each for each in pending if chance.random() < mood]
            for goes, comes, node in kept:
                _apply(names, goes, comes, node)
        other = Folder(folder.number)
        for name, node in names.items():
            if isinstance(node, Folder):
                other.names[name] = self._cut_folder(node, chance, mood)
            else:
                other.names[name] = self._cut_file(node, chance, mood)
        other.durable = dict(other.names)
        return other

    def _cut_file(self, node: Inode, chance: random.Random, mood: float) -> Inode:
        other = Inode(node.number)
        if node.mapped is not None:
            other.cached = _of_another_boot(node.mapped, chance)
        else:
            other.cached = self._survivor(node, chance, mood)
        other.versions = (other.cached,)
        other.dirty_from = len(other.cached)
        # A time is no data: fdatasync does not bring it to disk.
        other.mtime_ns = node.mtime_ns - chance.choice((0, 0, 0, 1, 5))
        return other

    def _survivor(self, node: Inode, chance: random.Random, mood: float) -> bytes:
        versions = node.versions
        first = versions[0]
        if len(versions) == 1:
            return first
        sizes = [len(version) for version in versions]
        way = chance.random()
        if way < 0.4:
            size = sizes[-1]
        elif way < 0.6:
            size = sizes[0]
        elif way < 0.8:
            size = chance.choice(sizes)
        else:
            size = chance.randint(min(sizes), max(sizes))
        is_garbled = chance.random() < 0.4
        sector = self.sector
        begin = min(node.dirty_from - node.dirty_from % sector, size)
        parts = [first[:begin]]
        while begin < size:
            end = min(begin + sector, size)
            part = self._piece(versions, begin, end, chance, mood)
            missing = end - begin - len(part)
            if missing:
                part += _garbage(missing, chance) if is_garbled else bytes(missing)
            elif is_garbled and chance.random() < 0.1:
                safe = min(max(len(first) - begin, 0), len(part))
                part = part[:safe] + _garbage(len(part) - safe, chance)
            parts.append(part)
            begin = end
        return b"".join(parts)

    @staticmethod
    def _piece(
        versions: tuple[bytes, ...], begin: int, end: int, chance: random.Random, mood: float
    ) -> bytes:
        if chance.random() < mood:
            return versions[-1][begin:end]
        if len(versions) == 2 or chance.random() < 0.5:
            return versions[0][begin:end]
        return chance.choice(versions)[begin:end]


def _copy(node: Inode | Folder, copies: dict[int, Inode | Folder]) -> Inode | Folder:
    known = copies.get(id(node))
    if known is not None:
        return known
    if isinstance(node, Inode):
        copies[id(node)] = inode = node.copy()
        return inode
    copies[id(node)] = folder = Folder(node.number)
    folder.names = {name: _copy(each, copies) for name, each in node.names.items()}
    folder.durable = {name: _copy(each, copies) for name, each in node.durable.items()}
    folder.pending = [(goes, comes, _copy(each, copies)) for goes, comes, each in node.pending]
    return folder


def _garbage(length: int, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return chance.randbytes(length)
    return bytes(chance.choices(LETTERS, k=length))


def _of_another_boot(mapped: bytearray, chance: random.Random) -> bytes:
    """Return what may be left of a file whose pages the system writes whenever it likes."""
    way = chance.random()
    if way < 0.1:
        return b""
    if way < 0.2:
        return bytes(len(mapped))
    if way < 0.3:
        return chance.randbytes(len(mapped))
    other = bytearray(mapped)
    other[BOOT_ID_BYTES] = chance.randbytes(16)
    return bytes(other)


def _described(mode: int, number: int, size: int, mtime_ns: int) -> os.stat_result:
    return os.stat_result((mode, number, 1, 1, 0, 0, size, 0, 0, 0), {"st_mtime_ns": mtime_ns})
