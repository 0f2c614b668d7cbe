"""Mending a damaged log: says first what would be lost, keeps a copy of every file, then cuts.

The log is cut at the first line that is not what was written. What stands behind it goes too,
also what is intact: an event may not move to another position, nor may one be missing before it.
Who has a backup of the damaged file loses less by putting that back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.files import Files, make_folder, opened, write_durably
from dolittle.engines.file.identity import read_identity
from dolittle.engines.file.index import NAME as INDEX
from dolittle.engines.file.line import decode, is_intact, microseconds, seed_of
from dolittle.engines.file.lock import WAIT_S_MAX, FileLock
from dolittle.engines.file.recovery import raw_lines, reason_against
from dolittle.engines.file.segments import Segment, Segments, segment_path
from dolittle.engines.file.synced import NAME, WRITTEN, Mark, Synced
from dolittle.errors import StoreDamaged

FOLDER: Final = "repaired"
"""Where copies are kept, in a folder for each repair."""

_INDEX_FILES: Final = (INDEX, f"{INDEX}-wal", f"{INDEX}-shm")


class Repair(NamedTuple):
    """What a repair would do.

    Attributes:
        path: The segment that is damaged.
        line: The first bad line, from 1; 0: lines are missing, there is none to point at.
        offset: Where it begins in its file, in bytes; the file is cut there.
        reason: What is wrong with it.
        position: Of the first event that is lost; as many events as this are kept.
        bad_lines: Lines that cannot be read.
        intact_lines: Lines behind the damage that can be read, and go all the same.
        intact_events: The events in them.
        last_position: Of the last event known to be lost; before ``position`` if none is.
        touched: The segments that are cut or removed.
        time_us: Of the last commit that is kept, in microseconds since 1970.
    """

    path: Path
    line: int
    offset: int
    reason: str
    position: int
    bad_lines: int
    intact_lines: int
    intact_events: int
    last_position: int
    touched: tuple[Path, ...]
    time_us: int


class _Found:
    """What is behind the damage, while it is counted."""

    def __init__(self, position: int) -> None:
        self.bad_lines = self.intact_lines = self.intact_events = 0
        self.last_position = position - 1

    def take_in(self, line: bytes, seed: int) -> None:
        if line.endswith(b"\n") and is_intact(line[:-1], seed):
            commit = decode(line[:-1])
            self.intact_lines += 1
            self.intact_events += len(commit.events)
            self.last_position = max(self.last_position, commit.next_position - 1)
        else:
            self.bad_lines += 1


def plan_repair(files: Files, folder: Path, damage: StoreDamaged) -> Repair:
    """Say what a repair would do; nothing is changed.

    Args:
        files: The disk.
        folder: Of the store.
        damage: What the store says is wrong when it is opened.

    Raises:
        StoreDamaged: It is not the log that is damaged; this cannot mend it.
    """
    store_id = read_identity(files, folder)
    if store_id is None or damage.path.parent.name != "log":
        raise damage
    seed = seed_of(store_id)
    segments = Segments(files, folder, seed)
    try:
        return _plan(files, segments, seed, damage)
    finally:
        segments.close()


class _Bad(NamedTuple):
    """The first line that cannot stand where it stands, or the end of the log."""

    segment: Segment
    line: int
    offset: int
    reason: str
    position: int
    time_us: int


def _plan(files: Files, segments: Segments, seed: int, damage: StoreDamaged) -> Repair:
    if not segments.all:
        raise damage
    bad = _first_bad(files, segments, seed)
    if not bad.reason and damage.position < bad.position:
        # Every line is what was written, and yet they do not fit: no cut can mend that.
        raise damage
    found = _Found(bad.position)
    behind = [each for each in segments.all if each.base >= bad.segment.base] if bad.reason else []
    for each in behind:
        start = bad.offset if each == bad.segment else 0
        for _, line in _lines(files, segments, each, start):
            found.take_in(line, seed)
    return Repair(
        bad.segment.path,
        bad.line,
        bad.offset,
        bad.reason or damage.reason,
        bad.position,
        found.bad_lines,
        found.intact_lines,
        found.intact_events,
        found.last_position,
        tuple(each.path for each in behind),
        bad.time_us,
    )


def _first_bad(files: Files, segments: Segments, seed: int) -> _Bad:
    position, time_us, offset = 0, 0, 0
    for segment in segments.all:
        if segment.first_position != position:
            reason = f"it begins at position {segment.first_position}, {position} should follow"
            return _Bad(segment, 0, 0, reason, position, time_us)
        offset = 0
        for number, (begin, line) in enumerate(_lines(files, segments, segment, 0), 1):
            reason = reason_against(line, seed, position)
            if reason:
                return _Bad(segment, number, begin, reason, position, time_us)
            commit = decode(line[:-1])
            position, time_us = commit.next_position, microseconds(commit.time)
            offset = begin + len(line)
    # All that is there is intact: then something else proves that there was more.
    return _Bad(segments.last, 0, offset, "", position, time_us)


def _lines(
    files: Files, segments: Segments, segment: Segment, offset: int
) -> Iterator[tuple[int, bytes]]:
    return raw_lines(segments, segment, files.stat(segment.path).st_size, offset)


def carry_out(files: Files, folder: Path, repair: Repair, now: datetime) -> Path:
    """Do what was planned; return the folder with the copies of every file that was touched.

    Whatever happens in between, the copies are whole before anything is changed, and another
    repair goes on from there.

    Raises:
        OSError: The disk failed.
        StoreBusy: Another process goes on writing.
    """
    store_id = read_identity(files, folder)
    assert store_id is not None
    kept = folder / FOLDER / f"{now:%Y%m%dT%H%M%S.%f}"
    lock = FileLock(files, folder, wait_s_max=WAIT_S_MAX)
    syncing = FileLock(files, folder, WRITTEN, wait_s_max=WAIT_S_MAX)
    try:
        with lock.held(), syncing.held():
            make_folder(files, kept)
            _copy_all(files, folder, repair, kept)
            _cut(files, repair)
            _forget(files, folder, repair, store_id)
    finally:
        syncing.close()
        lock.close()
    return kept


def _copy_all(files: Files, folder: Path, repair: Repair, kept: Path) -> None:
    names = set(files.names(folder))
    sources = [*repair.touched, *(folder / name for name in _INDEX_FILES if name in names)]
    for source in sources:
        with opened(files, source, os.O_RDONLY) as fd:
            data = files.pread(fd, files.fstat(fd).st_size, 0)
        write_durably(files, kept / source.name, data)


def _cut(files: Files, repair: Repair) -> None:
    """Remove what is behind the cut, from the end on, so that what is left is always a prefix."""
    for path in reversed(repair.touched):
        if path == segment_path(path.parent.parent, repair.position) or (
            path == repair.path and repair.offset
        ):
            with opened(files, path, os.O_RDWR) as fd:
                files.ftruncate(fd, repair.offset)
                files.fdatasync(fd)
        else:
            files.unlink(path)
            files.fsync_folder(path.parent)


def _forget(files: Files, folder: Path, repair: Repair, store_id: str) -> None:
    """Let go of what proves that there was more: the index and the mark."""
    names = set(files.names(folder))
    for name in _INDEX_FILES:
        if name in names:
            files.unlink(folder / name)
    segments = Segments(files, folder, seed_of(store_id))
    base = segments.last.base if segments.all else 0
    size = files.stat(segments.last.path).st_size if segments.all else 0
    segments.close()
    # It describes no file: whoever writes next reads the end of the log anew.
    mark = Mark(base + size, repair.position, repair.position, repair.time_us)
    for name in (WRITTEN, NAME):
        marks = Synced(files, folder, store_id, is_writable=True, name=name)
        marks.publish(mark)
        marks.close()
