"""What is done once when a store is opened: its folder, its identity, and its sealed segments."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

from dolittle.engines.file.files import FULL, READ_ONLY, Files, make_folder
from dolittle.engines.file.identity import NAME, read_identity, write_identity
from dolittle.engines.file.index import SealedSegment
from dolittle.engines.file.lock import FileLock
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.segments import FOLDER, Segment, Segments
from dolittle.errors import StoreDamaged, StoreFull, StoreReadOnly
from dolittle.execution import Clock, new_id

_END_BYTES: Final = 16 * 1024
"""Read at the end of a segment for its last line; more if that is longer."""


def take_folder(
    files: Files, folder: Path, wait_s: float, *, is_new: bool
) -> tuple[FileLock | None, str]:
    """Return the lock of a store's folder, made if need be, or why there can be none.

    Raises:
        StoreReadOnly: There is no store, and none can be made.
        StoreFull: There is no room to make one.
    """
    try:
        make_folder(files, folder)
        make_folder(files, folder / FOLDER)
        return FileLock(files, folder, wait_s_max=wait_s), ""
    except OSError as error:
        if error.errno in FULL:
            raise StoreFull(folder) from error
        if error.errno not in READ_ONLY:
            raise
        reason = os.strerror(error.errno)
        if is_new:
            raise StoreReadOnly(folder, reason) from error
        return None, reason


def identified(files: Files, folder: Path, clock: Clock) -> str:
    """Return the store's id; make the store where there is none. Needs the lock.

    Raises:
        StoreDamaged: There is a log, but nothing says whose.
    """
    store_id = read_identity(files, folder)
    has_log = bool(files.names(folder / FOLDER))
    if store_id is not None:
        if not has_log:
            _make_names_durable(files, folder)
        return store_id
    if has_log:
        raise StoreDamaged(
            folder / NAME,
            line=0,
            offset_bytes=0,
            position=0,
            reason="the file is missing, but there is a log",
        )
    store_id = new_id()
    write_identity(files, folder, store_id, clock.now().isoformat())
    return store_id


def _make_names_durable(files: Files, folder: Path) -> None:
    """Bring the names of a store without events to disk, up to the root.

    Who made them may have died in between, and nothing would be found without them.
    """
    for each in (folder, *folder.parents):
        try:
            files.fsync_folder(each)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            # One that we may not read was there before: we could not have made it.
            return


def check_sealed(log: Log, lookup: Lookup) -> StoreDamaged | None:
    """Read again each sealed segment that no longer looks as it did; return the first damage.

    One that the index has not seen whole is checked while the index catches up with it.
    """
    remembered = lookup.remembered()
    segments = log.segments.all
    if segments and segments[0].first_position != 0:
        return log.segments.damage(0, "the first segment is missing", 0)
    for segment, following in itertools.pairwise(segments):
        known = remembered.get(segment.first_position)
        stat = log.segments.sealed_look(segment)
        looks = SealedSegment(segment.first_position, segment.base, stat.st_size, stat.st_mtime_ns)
        is_new = known is None and lookup.indexed_address < following.base
        if known == looks:
            continue
        if is_new:
            if not _is_followed(log.segments, segment, following):
                what = f"the segment before position {following.first_position} is missing"
                return log.segments.damage(following.base, what)
            continue
        damage = _read_whole(log.segments, segment, following)
        if damage is not None:
            return damage
        if known is not None and known.base + known.size != looks.base + looks.size:
            lookup.rebuild()
            return None
        lookup.remember(looks)
    return None


def _is_followed(segments: Segments, segment: Segment, following: Segment) -> bool:
    """Tell whether the end of a segment is where the next one begins, as far as it can be read."""
    if following.base == segment.base:
        return segment.first_position == following.first_position
    try:
        last = segments.decode(segments.lines_before(following.base, _END_BYTES))[-1]
    except StoreDamaged:
        # Found, and named, where the line is read.
        return True
    return last.next_position == following.first_position


def _read_whole(segments: Segments, segment: Segment, following: Segment) -> StoreDamaged | None:
    address, position = segment.base, segment.first_position
    try:
        while address < following.base:
            lines = segments.lines(address, following.base)
            position = segments.decode(lines, position)[-1].next_position
            address = lines.next_address
    except StoreDamaged as damage:
        return damage
    if position != following.first_position:
        what = f"it ends at position {position}, the next begins {following.first_position}"
        return segments.damage(following.base - 1, what, position)
    return None
