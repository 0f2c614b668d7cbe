"""The log of ``dolittle run``: a file for each microservice, every line with its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dolittle.execution import Clock
from dolittle.runtime.configuration import Configuration
from dolittle.runtime.event_json import time_json

FOLDER: Final = "logs"
LOG_BYTES_MAX: Final = 8 * 1024 * 1024
"""When a log is put aside; one earlier log is kept."""


def log_path(configuration: Configuration) -> Path:
    """Return the log of a microservice; it need not be there."""
    return configuration.data_path / FOLDER / f"{configuration.name}.log"


@dataclass(frozen=True)
class LogLine:
    """A line of a log; ``time`` is when it was written, UTC."""

    microservice: str
    time: datetime
    text: str


class RunLog:
    """Writes a log. What cannot be written is left out: a full disk stops no microservice."""

    def __init__(self, path: Path, clock: Clock, on_problem: Callable[[str], None]) -> None:
        self._path = path
        self._clock = clock
        self._on_problem = on_problem
        self._has_problem = False

    def write(self, text: str) -> None:
        """Add a line; the first one that cannot be added is told."""
        line = f"{time_json(self._clock.now())} {text}\n".encode("utf-8", "backslashreplace")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                size = file.tell()
            if size >= LOG_BYTES_MAX:
                self._path.replace(earlier(self._path))
        except OSError as error:
            if not self._has_problem:
                self._has_problem = True
                self._on_problem(f"warning: {self._path} cannot be written: {error.strerror}")


def earlier(path: Path) -> Path:
    """Return where a log is put aside."""
    return path.with_name(f"{path.name}.1")


class LogReader:
    """Reads a log, and what is added to it."""

    def __init__(self, microservice: str, path: Path) -> None:
        self._microservice = microservice
        self._path = path
        self._offset = 0
        self._inode = 0

    def last(self, count: int, since: datetime | None) -> list[LogLine]:
        """Return the last lines, none of them older than ``since``."""
        found: deque[LogLine] = deque(maxlen=count)
        for line in self._parsed(_whole_lines(earlier(self._path), 0)[0]) + self.more():
            if since is None or line.time >= since:
                found.append(line)
        return list(found)

    def more(self) -> list[LogLine]:
        """Return the lines that were added since the last time."""
        aside, inode = earlier(self._path), _inode(self._path)
        found: list[bytes] = []
        if self._inode not in (0, inode) and _inode(aside) == self._inode:
            # It was put aside: its end is there.
            found, self._offset = _whole_lines(aside, self._offset)
        if inode == 0:
            return self._parsed(found)
        if inode != self._inode:
            self._offset = 0
        self._inode = inode
        lines, self._offset = _whole_lines(self._path, self._offset)
        return self._parsed(found + lines)

    def _parsed(self, lines: list[bytes]) -> list[LogLine]:
        """Return what lines say; those that are none of a log are left out."""
        found: list[LogLine] = []
        for raw in lines:
            stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
            try:
                time = datetime.fromisoformat(stamp).astimezone(UTC)
            except ValueError:
                continue
            found.append(LogLine(self._microservice, time, text))
        return found


def _inode(path: Path) -> int:
    """Return by what the file system knows a file; 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _whole_lines(path: Path, start: int) -> tuple[list[bytes], int]:
    """Return the lines of a file from an offset on, and the offset behind the last whole one."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
    except FileNotFoundError:
        return [], start
    end = content.rfind(b"\n") + 1
    return content[:end].splitlines(), start + end
