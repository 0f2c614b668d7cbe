"""What to do with a log whose end is not known to be whole: tell a torn tail from damage.

The rule. Reading the last segment stops at the first place that is no intact line in its turn.
If anything proves that this place had been on disk before, acknowledged events are damaged: an
intact line behind it whose ``synced`` lies beyond it, or a mark of this boot of the machine.
Then nothing is changed. Otherwise it is the torn tail of a write that was never acknowledged.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from dolittle.engines.file.files import Files, make_folder, opened, write_all, write_durably
from dolittle.engines.file.line import LINE_BYTES_MAX, PREFIX, decode, is_intact, microseconds
from dolittle.engines.file.segments import BLOCK_BYTES, Segment, Segments
from dolittle.errors import StoreDamaged

TORN_FOLDER = "torn"


class Scan(NamedTuple):
    """What the last segment holds.

    Attributes:
        size: Bytes in the file.
        end: The offset behind the last line in its turn.
        position: The position behind it.
        time_us: The time of that line; 0 if there is no line at all.
        attested: What was on disk, as the intact lines say: a position.
        proven_end: The offset before which a line proves that everything was on disk.
        damage: What is wrong at ``end``, if that place had been on disk.
    """

    size: int
    end: int
    position: int
    time_us: int
    attested: int
    proven_end: int
    damage: StoreDamaged | None

    @property
    def is_torn(self) -> bool:
        """Whether there are bytes that were never acknowledged."""
        return self.damage is None and self.size > self.end


def scan(files: Files, segments: Segments, seed: int, synced_address: int) -> Scan:
    """Read the last segment whole and judge its end.

    Args:
        files: The disk.
        segments: The log.
        seed: The checksum's seed.
        synced_address: What a mark of this boot says is on disk; 0 if there is none.
    """
    segment = segments.last
    size = files.stat(segment.path).st_size
    offset, position, time_us, reason = 0, segment.first_position, 0, ""
    attested, proven_end = 0, 0
    unproven: deque[tuple[int, int]] = deque()
    for begin, line in raw_lines(segments, segment, size):
        reason = reason_against(line, seed, position)
        if reason:
            offset = begin
            break
        commit = decode(line[:-1])
        unproven.append((commit.position, begin))
        if commit.synced > attested:
            # It says what was on disk before it was built; lines between may not have been.
            attested = commit.synced
            while unproven[0][0] < attested and len(unproven) > 1:
                unproven.popleft()
            proven_end = unproven[0][1]
        position = commit.next_position
        time_us = microseconds(commit.time)
        offset = begin + len(line)
    if not time_us and segment.base:
        time_us = _last_time(segments, seed, segment.base)
    damage = None
    if _proof_behind(segments, segment, offset, size, seed) > position:
        what = f"{reason}, and a later line proves that it had been stored"
        damage = segments.damage(segment.base + offset, what)
    elif synced_address > segment.base + offset:
        what = reason or "stored events are missing at the end of the log"
        damage = segments.damage(segment.base + offset, what)
    return Scan(size, offset, position, time_us, attested, proven_end, damage)


def reason_against(line: bytes, seed: int, position: int) -> str:
    """Return why a line cannot stand at a position, or an empty string."""
    if not line.endswith(b"\n"):
        return "the line has no end"
    if not is_intact(line[:-1], seed):
        return "the checksum does not match"
    try:
        found = decode(line[:-1]).position
    except ValueError as error:
        return f"not a commit: {error}"
    return "" if found == position else f"it says position {found}, {position} should follow"


def _proof_behind(segments: Segments, segment: Segment, offset: int, size: int, seed: int) -> int:
    """Return the greatest position that an intact line behind a bad place calls synced."""
    greatest = 0
    for _, line in raw_lines(segments, segment, size, offset):
        begin = 0
        # A damaged newline makes one line of two; the second is as good a witness as any.
        while begin >= 0:
            part = line[begin:-1]
            if is_intact(part, seed):
                greatest = max(greatest, _synced_of(part))
                break
            begin = line.find(PREFIX, begin + 1)
    return greatest


def _synced_of(line: bytes) -> int:
    try:
        return decode(line).synced
    except ValueError:
        # Intact by chance or by hand; it says nothing that could be a proof.
        return 0


def raw_lines(
    segments: Segments, segment: Segment, size: int, offset: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its newline and its offset; the last one may have none."""
    rest = b""
    begin = offset
    while block := segments.read(segment, offset, min(BLOCK_BYTES, size - offset)):
        offset += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield begin, line + b"\n"
            begin += len(line) + 1
        if len(rest) > LINE_BYTES_MAX:
            yield begin, rest
            begin, rest = offset, b""
    if rest:
        yield begin, rest


def ids_behind(files: Files, segments: Segments, seed: int, address: int) -> set[str]:
    """Return the ids of commits behind an address, as far as their lines are intact."""
    segment = segments.last
    begin = max(address - segment.base, 0)
    size = files.stat(segment.path).st_size
    found: set[str] = set()
    for _, line in raw_lines(segments, segment, size, begin):
        if is_intact(line.removesuffix(b"\n"), seed):
            with contextlib.suppress(ValueError):
                found.add(decode(line).commit)
    return found


def _last_time(segments: Segments, seed: int, address: int) -> int:
    lines = segments.lines_before(address)
    for line in reversed(lines.lines):
        if is_intact(line, seed):
            return microseconds(decode(line).time)
    return 0


def write_again(files: Files, segments: Segments, found: Scan, fd: int) -> None:
    """Write the lines that nothing proves to be on disk over themselves, so that they are.

    After a failed sync the system goes on showing what it could not write, and takes it for
    written: a sync that succeeds later says nothing about it. Only a new write does.
    Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.

    Args:
        files: The disk.
        segments: The log.
        found: What its last segment holds.
        fd: That segment, open for writing.
    """
    offset, segment = found.proven_end, segments.last
    while offset < found.end:
        block = segments.read(segment, offset, min(BLOCK_BYTES, found.end - offset))
        if not block:
            raise OSError(errno.EIO, "the log became shorter while it was read")
        write_all(files, fd, block, offset)
        offset += len(block)


def cut_tail(files: Files, folder: Path, segments: Segments, found: Scan, now: datetime) -> Path:
    """Keep a copy of a torn tail, then cut it off; return the copy."""
    torn = folder / TORN_FOLDER
    make_folder(files, torn)
    # Who made it may have died before its name was on disk.
    files.fsync_folder(folder)
    segment = segments.last
    copy = torn / f"{now:%Y%m%dT%H%M%S.%f}-{segment.first_position:020}-{found.end}"
    tail = segments.read(segment, found.end, found.size - found.end)
    write_durably(files, copy, tail)
    with opened(files, segment.path, os.O_RDWR) as fd:
        files.ftruncate(fd, found.end)
        files.fdatasync(fd)
    return copy
