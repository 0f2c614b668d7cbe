"""Logs in one folder, and what each of them does to its files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.line import microseconds
from dolittle.engines.file.log import Log
from dolittle.engines.file.synced import Mark
from dolittle.testing.contract import MovableClock
from tests.dolittle.engines.file.by_hand import TIME, a_line

STORE = "0" * 32
TIME_US = microseconds(TIME)


class Recorder(OsFiles):
    """Remembers what was done to the log's files; a sync does nothing, or fails."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.names_of: dict[int, str] = {}
        self.fails: str = ""

    def taken(self) -> list[str]:
        """Return what was done since the last call."""
        taken, self.done = self.done, []
        return taken

    def _note(self, text: str) -> None:
        self.done.append(text)
        if self.fails and text.startswith(self.fails):
            raise OSError(errno.EIO, "the disk says no")

    def open(self, path: Path, flags: int) -> int:
        kind = {os.O_RDONLY: "r", os.O_RDWR: "w", os.O_RDWR | os.O_CREAT: "create"}.get(flags, "?")
        short = path.name.lstrip("0").removesuffix(".jsonl")
        self._note(f"open {short or '0'} {kind}")
        fd = super().open(path, flags)
        self.names_of[fd] = short or "0"
        return fd

    def close(self, fd: int) -> None:
        self._note(f"close {self.names_of.pop(fd)}")
        super().close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._note(f"read {self.names_of[fd]} {offset} {length}")
        return super().pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._note(f"write {self.names_of[fd]} {offset} {len(data)}")
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        self._note(f"sync {self.names_of[fd]}")

    def ftruncate(self, fd: int, length: int) -> None:
        self._note(f"cut {self.names_of[fd]} {length}")
        super().ftruncate(fd, length)

    def stat(self, path: Path) -> os.stat_result:
        self._note(f"stat {path.name.lstrip('0').removesuffix('.jsonl') or '0'}")
        return super().stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        self._note(f"fstat {self.names_of[fd]}")
        return super().fstat(fd)

    def names(self, folder: Path) -> list[str]:
        self._note("names")
        return super().names(folder)

    def fsync_folder(self, folder: Path) -> None:
        self._note(f"sync folder {folder.name}")


class Logs:
    """Makes logs in one folder, and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Log] = []
        (folder / "log").mkdir()

    def __call__(self, files: OsFiles | None = None, **options: object) -> Log:
        options = {"is_writable": True, "clock": MovableClock(), **options}
        log = Log(files or Recorder(), self.folder, STORE, **options)  # type: ignore[arg-type]
        self.made.append(log)
        return log

    def ready(self, files: OsFiles | None = None, **options: object) -> Log:
        log = self(files, **options)
        log.bring_up_to_date()
        return log

    def close(self) -> None:
        for log in self.made:
            log.close()


def put(log: Log, count: int = 1) -> bytes:
    """Append and publish lines of one event each."""
    log.bring_up_to_date()
    first, attested = log.own.position, log.own.attested
    data = b"".join(a_line(first + number, attested) for number in range(count))
    log.append(data)
    log.publish(len(data), first + count, TIME_US)
    return data


def as_on_disk(path: Path, mark: Mark, size: int | None = None) -> Mark:
    stat = path.stat()
    return mark._replace(
        inode=stat.st_ino,
        mtime_ns=stat.st_mtime_ns,
        size=stat.st_size if size is None else size,
    )
