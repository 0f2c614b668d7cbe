"""How far the log goes: small mapped files that all processes of a store share.

``synced`` says up to where it may be read, ``written`` up to where lines have been written, where
some of them are not on disk yet.

They carry no truth: each is believed only within one boot of the machine and only while the last
segment looks as it did when it was written, and may be deleted while no process runs.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.files import Files, write_all

NAME: Final = "synced"
WRITTEN: Final = "written"
_MAGIC: Final = 0x31_64_65_63_6E_79_73_2E  # ".synced1", little end first
_HEADER_WORDS: Final = 5
_COUNT: Final = _HEADER_WORDS
_SLOT_WORDS: Final = 8
_DOUBT: Final = _COUNT + 1 + 2 * _SLOT_WORDS
_WORDS: Final = _DOUBT + 1
_BYTES: Final = 8 * _WORDS
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TRIES_MAX: Final = 1000


class Mark(NamedTuple):
    """How far the log goes, and what its last segment looked like then.

    Attributes:
        address: Bytes of the whole log that may be read (or have been written).
        position: The position behind the last event within them.
        attested: The position before which everything is on disk; behind ``position`` only
            where durability is ``os``.
        time_us: The time of the last commit, in microseconds since 1970; 0 if there is none.
        inode: Of the last segment.
        mtime_ns: Of the last segment.
        size: Of the last segment, in bytes.
    """

    address: int = 0
    position: int = 0
    attested: int = 0
    time_us: int = 0
    inode: int = 0
    mtime_ns: int = 0
    size: int = 0


class Synced:
    """A mapped file. Two slots take turns, so that a writer that dies leaves one whole.

    A word is stored by one machine instruction (a ``memoryview`` of 8-byte items), and each
    slot ends with a checksum of its words, so a reader never takes half of one.
    """

    def __init__(
        self, files: Files, folder: Path, store_id: str, *, is_writable: bool, name: str = NAME
    ) -> None:
        flags = os.O_RDWR | os.O_CREAT if is_writable else os.O_RDONLY
        fd = files.open(folder / name, flags)
        try:
            # Never shortened: another process may have mapped it. Written and not only
            # extended: a full disk must fail here, not kill who stores into the mapped page.
            size = files.fstat(fd).st_size
            if size < _BYTES:
                if not is_writable:
                    raise FileNotFoundError(folder / name)
                write_all(files, fd, bytes(_BYTES - size), size)
            self._map = files.map(fd, _BYTES, is_writable=is_writable)
        finally:
            files.close(fd)
        self._view = memoryview(self._map)
        self._words = self._view.cast("Q")
        self._header = _header(store_id)
        self._trusted = tuple(self._words[:_HEADER_WORDS]) == self._header

    def read(self) -> Mark | None:
        """Return the mark, or ``None`` if there is none of this boot and this store."""
        if not self._trusted:
            self._trusted = tuple(self._words[:_HEADER_WORDS]) == self._header
            if not self._trusted:
                return None
        words = self._words
        for _ in range(_TRIES_MAX):
            count = words[_COUNT]
            begin = _COUNT + 1 + _SLOT_WORDS * (count & 1)
            slot = words[begin : begin + _SLOT_WORDS].tolist()
            if words[_COUNT] == count and slot[-1] == _sum(slot[:-1]):
                return Mark(*slot[:-1])
        return None

    def count(self) -> int:
        """Return what changes whenever anyone publishes a mark; costs less than reading it."""
        return self._words[_COUNT] if self._trusted else -1

    def publish(self, mark: Mark) -> None:
        """Let every process see a mark. Needs the lock of those who publish this one."""
        words = self._words
        if not self._trusted:
            words[0] = 0
            words[_DOUBT] = 0
        count = words[_COUNT] + 1
        begin = _COUNT + 1 + _SLOT_WORDS * (count & 1)
        for index, value in enumerate((*mark, _sum(list(mark)))):
            words[begin + index] = value
        words[_COUNT] = count
        if not self._trusted:
            for index in reversed(range(_HEADER_WORDS)):
                words[index] = self._header[index]
            self._trusted = True

    @property
    def is_doubted(self) -> bool:
        """Whether a sync was begun of which nobody has said that it succeeded."""
        return bool(self._words[_DOUBT])

    def doubt(self, is_doubted: bool) -> None:
        """Say that a sync begins, or has succeeded; who dies in between leaves the doubt."""
        self._words[_DOUBT] = is_doubted

    def close(self) -> None:
        """Let go of the file."""
        self._words.release()
        self._view.release()
        self._map.close()


def _sum(words: list[int]) -> int:
    return zlib.crc32(struct.pack(f"<{len(words)}Q", *words))


def _header(store_id: str) -> tuple[int, ...]:
    store, boot = bytes.fromhex(store_id), _boot_id()
    return struct.unpack("<5Q", struct.pack("<Q", _MAGIC) + store + boot)


def _boot_id() -> bytes:
    """Return what names this boot of the machine; something new where the system has none.

    Source: random(4), ``/proc/sys/kernel/random/boot_id``; macOS: ``kern.bootsessionuuid``.
    """
    try:
        text = _boot_session() if sys.platform == "darwin" else _BOOT_ID.read_text()
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return os.urandom(16)


def _boot_session() -> str:
    import ctypes

    text, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
    name = b"kern.bootsessionuuid"
    ctypes.CDLL(None).sysctlbyname(name, text, ctypes.byref(length), None, 0)
    return text.value.decode()
