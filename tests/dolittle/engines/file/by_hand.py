"""Lines and logs made by hand, without a store."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from pathlib import Path

from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.line import Place, encode, seed_of, store
from dolittle.engines.file.log import Log
from dolittle.engines.file.segments import Segments, segment_path
from dolittle.testing.contract import a_commit, an_event

SEED = seed_of("0" * 32)
TIME = datetime(2026, 11, 24, 11, 20, tzinfo=UTC)


def a_line(position: int, synced: int = 0, content: bytes = b"{}", events: int = 1) -> bytes:
    commit = a_commit(*[an_event(content=content)] * events, id=f"c{position}")
    return encode(store(commit, Place(position, synced, TIME), [0] * events), SEED)


def is_behind(log: Log) -> bool:
    """Tell whether somebody else has published since a log was last at its end."""
    return log._synced is None or log._synced.count() != log._own_count


def with_a_sum(rest: bytes) -> bytes:
    """Return a line of which only the checksum is right."""
    return b'{"sum":"%08x%b\n' % (zlib.crc32(rest, SEED), rest)


def without_events(position: int) -> bytes:
    time = TIME.isoformat().encode()
    return with_a_sum(
        b'","position":%d,"synced":0,"commit":"c","time":"%b","events":[]}' % (position, time)
    )


def a_log(folder: Path, *segments: tuple[int, bytes], files: OsFiles | None = None) -> Segments:
    """Write segments, each with its first position."""
    (folder / "log").mkdir(exist_ok=True)
    for first_position, content in segments:
        segment_path(folder, first_position).write_bytes(content)
    return Segments(files or OsFiles(), folder, SEED)
