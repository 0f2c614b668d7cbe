"""The segments of the log as one row of bytes: which file holds an address, and reading there.

An *address* counts the bytes of all segments from the log's beginning, so that one number finds
a line. A line never crosses from one segment into the next.
"""

from __future__ import annotations

import bisect
import os
import re
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.files import Files
from dolittle.engines.file.line import (
    LINE_BYTES_MAX,
    DecodeLines,
    StoredCommit,
    count_intact,
    decode,
    decode_all,
    is_intact,
)
from dolittle.errors import StoreDamaged

FOLDER: Final = "log"
BLOCK_BYTES: Final = 256 * 1024
"""Read at once when reading on. Larger blocks measured no faster, and cost memory."""

_LINE_BYTES_GUESS: Final = 2048
_OPEN_MAX: Final = 64
_NAME: Final = re.compile(r"[0-9]{20}\.jsonl")


class Segment(NamedTuple):
    """One file of the log.

    Attributes:
        first_position: The position of the first event in it; its name.
        path: Where it is.
        base: The address of its first byte.
    """

    first_position: int
    path: Path
    base: int


class Lines:
    """Whole lines as they were read, in order, without the last newline.

    Attributes:
        address: Where the first one begins.
        data: All of them, with newlines between.
    """

    __slots__ = ("_lines", "address", "data")

    def __init__(self, address: int, data: bytes) -> None:
        self.address = address
        self.data = data
        self._lines: list[bytes] = []

    @property
    def lines(self) -> list[bytes]:
        """Each line; they are copied when they are asked for first."""
        if not self._lines:
            self._lines = self.data.split(b"\n")
        return self._lines

    @property
    def next_address(self) -> int:
        """The address behind the last line."""
        return self.address + len(self.data) + 1


def segment_path(folder: Path, first_position: int) -> Path:
    """Return where a segment is, by its first position."""
    return folder / FOLDER / f"{first_position:020}.jsonl"


class Segments:
    """The files of one log, read by any thread."""

    def __init__(self, files: Files, folder: Path, seed: int) -> None:
        self._files = files
        self._folder = folder
        self._seed = seed
        self._all: list[Segment] = []
        self._sealed: dict[int, os.stat_result] = {}
        self._bases: list[int]
        self._fds: dict[Path, int] = {}
        self._mutex = threading.Lock()
        self.refresh()

    @property
    def last(self) -> Segment:
        """The one that is written to.

        Raises:
            IndexError: There is none.
        """
        return self._all[-1]

    @property
    def all(self) -> list[Segment]:
        """All of them, in order."""
        return self._all

    def refresh(self) -> None:
        """Look which files there are; those that are not the last no longer change in size."""
        with self._mutex:
            folder = self._folder / FOLDER
            known = {segment.first_position: segment for segment in self._all}
            found: list[Segment] = []
            base = 0
            for name in self._files.names(folder):
                if not _NAME.fullmatch(name):
                    continue
                if found:
                    base += self._sealed_size(found[-1])
                first_position = int(name[:20])
                segment = known.get(first_position)
                if segment is None or segment.base != base:
                    segment = Segment(first_position, folder / name, base)
                found.append(segment)
            self._all, self._bases = found, [segment.base for segment in found]

    def _sealed_size(self, segment: Segment) -> int:
        seen = self._sealed.get(segment.first_position)
        if seen is None:
            seen = self._sealed[segment.first_position] = self._files.stat(segment.path)
        return seen.st_size

    def sealed_look(self, segment: Segment) -> os.stat_result:
        """Return what a segment that is not the last looked like when it was found to be sealed."""
        return self._sealed[segment.first_position]

    def at(self, address: int) -> Segment:
        """Return the segment that holds an address, or would hold it next."""
        with self._mutex:
            if not self._all:
                return Segment(0, segment_path(self._folder, 0), 0)
            return self._all[max(bisect.bisect_right(self._bases, address) - 1, 0)]

    def end_of(self, segment: Segment) -> int | None:
        """Return the address where a segment ends, ``None`` for the last one."""
        with self._mutex:
            following = bisect.bisect_right(self._all, segment)
            return self._bases[following] if following < len(self._all) else None

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """Read bytes of one segment; fewer where it ends."""
        with self._mutex:
            fd = self._fds.get(segment.path)
            if fd is None and len(self._fds) < _OPEN_MAX:
                fd = self._fds[segment.path] = self._files.open(segment.path, os.O_RDONLY)
        if fd is not None:
            return self._files.pread(fd, length, offset)
        fd = self._files.open(segment.path, os.O_RDONLY)
        try:
            return self._files.pread(fd, length, offset)
        finally:
            self._files.close(fd)

    def lines(self, address: int, end: int, block_bytes: int = BLOCK_BYTES) -> Lines:
        """Return the whole lines from an address on: one block, or one longer line.

        Args:
            address: Where a line begins, less than ``end``.
            end: Nothing behind this address is read.
            block_bytes: How much to read at once.

        Raises:
            StoreDamaged: No line ends before ``end``.
        """
        segment = self.at(address)
        segment_end = self.end_of(segment)
        end = end if segment_end is None else min(end, segment_end)
        length = min(block_bytes, end - address)
        while True:
            data = self.read(segment, address - segment.base, length)
            cut = data.rfind(b"\n")
            if cut >= 0:
                # Cut where it lies: nobody else holds it, so that it is not copied.
                buffer = BytesIO(data)
                del data
                buffer.truncate(cut)
                return Lines(address, buffer.getvalue())
            if len(data) < length or address + length >= end or length > LINE_BYTES_MAX:
                raise self.damage(address, "a line has no end")
            length = min(length * 4, end - address)

    def lines_before(self, address: int, block_bytes: int = BLOCK_BYTES) -> Lines:
        """Return the whole lines that end at an address: one block, or one longer line.

        Args:
            address: Behind a line's newline, more than 0.
            block_bytes: How much to read at once.
        """
        segment = self.at(address - 1)
        length = min(block_bytes, address - segment.base)
        while True:
            begin = address - length
            data = self.read(segment, begin - segment.base, length)
            if begin > segment.base:
                # The first line of the block may have begun before it; the last byte ends the last.
                cut = data.find(b"\n", 0, -1) + 1
                if not cut and length <= LINE_BYTES_MAX:
                    length = min(length * 4, address - segment.base)
                    continue
                begin, data = begin + cut, data[cut:]
            return Lines(begin, data.removesuffix(b"\n"))

    def line_bytes(self, address: int, end: int) -> bytes:
        """Return the line that begins at an address, as it is.

        Raises:
            StoreDamaged: It has no end.
        """
        return self.lines(address, end, _LINE_BYTES_GUESS).data.partition(b"\n")[0]

    def line_at(self, address: int, end: int) -> StoredCommit:
        """Return the commit whose line begins at an address.

        Raises:
            StoreDamaged: There is no intact line.
        """
        return self.decode(Lines(address, self.line_bytes(address, end)))[0]

    def decode(self, lines: Lines, expected_position: int | None = None) -> list[StoredCommit]:
        """Check and decode lines; see :meth:`decode_intact`.

        Raises:
            StoreDamaged: For the first line that does not check.
        """
        decoded, damage = self.decode_intact(lines, expected_position)
        if damage is not None:
            raise damage
        return decoded

    def decode_intact(
        self,
        lines: Lines,
        expected_position: int | None = None,
        decode_lines: DecodeLines = decode_all,
    ) -> tuple[list[StoredCommit], StoreDamaged | None]:
        """Check and decode lines up to the first that does not check; return what is wrong there.

        Args:
            lines: As they were read.
            expected_position: What the first one must begin with; ``None``: what it says.
            decode_lines: Decodes them where nothing is wrong with any; otherwise they are
                decoded plainly.
        """
        decoded = self._decode_at_once(lines.data, decode_lines)
        if decoded and _are_in_row(decoded, expected_position):
            return decoded, None
        seed, position, decoded = self._seed, expected_position, []
        for index, line in enumerate(lines.lines):
            reason = ""
            try:
                if not is_intact(line, seed):
                    reason = "the checksum does not match"
                else:
                    commit = decode(line)
                    if position is not None and commit.position != position:
                        reason = f"it says position {commit.position}, {position} should follow"
            except ValueError as error:
                reason = f"not a commit: {error}"
            if reason:
                address = lines.address + sum(len(before) + 1 for before in lines.lines[:index])
                return decoded, self.damage(address, reason, position)
            position = commit.position + len(commit.events)
            decoded.append(commit)
        return decoded, None

    def _decode_at_once(self, data: bytes, decode_lines: DecodeLines) -> list[StoredCommit]:
        """Return what lines say, whatever it is, if each is intact; otherwise an empty list.

        One call for all of them costs a third less than a call for each.
        """
        count = count_intact(data, self._seed)
        if not count:
            return []
        try:
            decoded = decode_lines(data)
        except ValueError:
            return []
        return decoded if len(decoded) == count else []

    def decode_apart(
        self, data: bytes, decode_lines: DecodeLines = decode_all
    ) -> list[StoredCommit]:
        """Return what lines from different places say; an empty list if anything is wrong.

        Args:
            data: The lines, with newlines between.
            decode_lines: Decodes them.
        """
        decoded = self._decode_at_once(data, decode_lines)
        return decoded if all(commit.events for commit in decoded) else []

    def damage(self, address: int, reason: str, position: int | None = None) -> StoreDamaged:
        """Return the error for a bad line, with its file, line number and offset."""
        segment = self.at(address)
        offset = address - segment.base
        number = 1 + sum(block.count(b"\n") for block in self._blocks(segment, offset))
        if position is None:
            position = self._position_before(segment, address)
        return StoreDamaged(
            segment.path, line=number, offset_bytes=offset, position=position, reason=reason
        )

    def _position_before(self, segment: Segment, address: int) -> int:
        """Return where the nearest intact line before an address ends, as far as known."""
        if address > segment.base:
            for line in reversed(self.lines_before(address).lines):
                if is_intact(line, self._seed):
                    return decode(line).next_position
        return segment.first_position

    def _blocks(self, segment: Segment, end_offset: int) -> Iterator[bytes]:
        offset = 0
        while offset < end_offset:
            block = self.read(segment, offset, min(BLOCK_BYTES, end_offset - offset))
            if not block:
                return
            yield block
            offset += len(block)

    def close(self) -> None:
        """Let go of the files."""
        with self._mutex:
            while self._fds:
                self._files.close(self._fds.popitem()[1])


def _are_in_row(commits: list[StoredCommit], position: int | None) -> bool:
    """Tell whether each commit has events and begins where the one before it ends.

    Args:
        commits: Some.
        position: Where the first one begins; ``None``: where it says.
    """
    following = commits[0].position if position is None else position
    for commit in commits:
        count = len(commit.events)
        if not count or commit.position != following:
            return False
        following += count
    return True
