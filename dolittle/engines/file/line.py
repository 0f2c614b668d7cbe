"""One line of the log: a commit as JSON, with a checksum over every byte of it.

A line looks like ``{"sum":"5f0a3c11","position":0,…}``. The first eight bytes are fixed, the next
eight are the checksum, and it covers everything behind itself up to the newline.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import repeat
from operator import itemgetter
from typing import ClassVar, Final, NamedTuple

import msgspec

from dolittle.errors import PayloadDoesNotFit
from dolittle.store import (
    Commit,
    CommitHeader,
    CommittedEvent,
    EventClasses,
    EventToCommit,
)

PREFIX: Final = b'{"sum":"'
SUM_END: Final = len(PREFIX) + 8
"""Where the covered part of a line begins."""

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""More than the largest commit can take, names and all; a longer line is no line."""

_LONG_LINE_BYTES: Final = 2048
"""From here on looking at a line in place is cheaper than copying it; measured."""

_SUMMED: Final = PREFIX + b"%08x"
_HEAD: Final = itemgetter(slice(0, SUM_END))
_COVERED: Final = itemgetter(slice(SUM_END, -1))
"""Of a line with its newline."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class StoredContext(msgspec.Struct, omit_defaults=True, gc=False):
    """What a line says of the execution context; left out where it is empty."""

    version: str = ""
    environment: str = ""
    handler: str = ""
    claims: dict[str, str] = {}


class StoredEvent(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One event within a line. The order of the fields is the order in the line."""

    type_id: str = msgspec.field(name="type")
    generation: int = 1
    source: str
    aggregate: str = ""
    version: int = 0
    public: bool = False
    content: msgspec.Raw


class StoredCommit(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A line without its checksum. The order of the fields is the order in the line.

    Attributes:
        synced: The position before which everything was on disk when the line was built.
        correlation: Empty where it equals the commit's id.
        classes: What the contents of its events are decoded into; empty: they are encoded.
    """

    classes: ClassVar[EventClasses] = ()

    position: int
    synced: int
    commit: str
    time: datetime
    correlation: str = ""
    causation: str = ""
    context: StoredContext | None = None
    events: list[StoredEvent]

    @property
    def next_position(self) -> int:
        """The position behind the last event."""
        return self.position + len(self.events)


DecodeLines = Callable[[bytes], list[StoredCommit]]
"""Decodes intact lines with newlines between; raises ``ValueError`` for what is no line."""


class Place(NamedTuple):
    """What a commit gets from the writer: where and when it stands."""

    position: int
    synced: int
    time: datetime


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(StoredCommit)
_decode_object: Final = msgspec.json.Decoder(dict).decode
"""Kept, for making one costs five times as much as decoding a content of 150 bytes with it."""


def seed_of(store_id: str) -> int:
    """Return the checksum's seed, so that a line of another store does not pass."""
    return zlib.crc32(store_id.encode())


def store(commit: Commit, place: Place, versions: Sequence[int]) -> StoredCommit:
    """Return a commit as it will be stored.

    Args:
        commit: Its contents have passed :func:`storable`.
        place: Where it will stand.
        versions: The version of each event, 0 where no aggregate root applied it.
    """
    context = commit.context
    stored = StoredContext(
        context.version, context.environment, context.handler, dict(context.claims)
    )
    is_empty = not (stored.version or stored.environment or stored.handler or stored.claims)
    return StoredCommit(
        position=place.position,
        synced=place.synced,
        commit=commit.id,
        time=place.time,
        correlation="" if context.correlation == commit.id else context.correlation,
        causation=context.causation,
        context=None if is_empty else stored,
        events=[
            StoredEvent(
                type_id=event.type_id,
                generation=event.generation,
                source=event.source,
                aggregate=event.aggregate,
                version=version,
                public=event.public,
                content=msgspec.Raw(event.content),
            )
            for event, version in zip(commit.events, versions, strict=True)
        ],
    )


def encode(stored: StoredCommit, seed: int) -> bytes:
    """Return the line of a commit, with its newline.

    Raises:
        UnicodeEncodeError: A name holds half a surrogate pair, which UTF-8 cannot say.
    """
    rest = b'",' + memoryview(_encoder.encode(stored))[1:]
    return b"%b%08x%b\n" % (PREFIX, zlib.crc32(rest, seed), rest)


def is_intact(line: bytes, seed: int) -> bool:
    """Tell whether a line (without its newline) is byte for byte what was written.

    The digits are compared as bytes: an upper-case digit is a flipped bit.
    """
    return line[:SUM_END] == b"%b%08x" % (PREFIX, zlib.crc32(line[SUM_END:], seed))


def count_intact(lines: bytes, seed: int) -> int:
    """Return how many lines there are, with newlines between, or 0 if any is not intact.

    Where lines are long it costs half of asking for each, and somewhat less where not.
    """
    first_bytes = lines.find(b"\n")
    if first_bytes < 0 or first_bytes >= _LONG_LINE_BYTES:
        return _count_intact_long(lines, seed)
    # Splitting at newlines takes three times as long.
    each = list(BytesIO(lines))
    each[-1] += b"\n"
    heads = b"".join(map(_HEAD, each))
    if len(heads) != len(each) * SUM_END:
        return 0
    sums = struct.pack(f">{len(each)}I", *map(zlib.crc32, map(_COVERED, each), repeat(seed)))
    # A head is two columns of eight bytes. Digits are compared as bytes: an upper-case one is a
    # flipped bit.
    columns = memoryview(heads).cast("Q")
    is_each = (
        columns[::2].tobytes() == PREFIX * len(each)
        and columns[1::2].tobytes() == sums.hex().encode()
    )
    return len(each) if is_each else 0


def _count_intact_long(lines: bytes, seed: int) -> int:
    """Do it without a copy of any line, which costs more than its checksum."""
    crc32, find, view = zlib.crc32, lines.find, memoryview(lines)
    count, begin = 0, 0
    while begin <= len(lines):
        end = find(b"\n", begin)
        end = len(lines) if end < 0 else end
        covered = begin + SUM_END
        if lines[begin:covered] != _SUMMED % crc32(view[covered:end], seed):
            return 0
        count, begin = count + 1, end + 1
    return count


def decode_all(lines: bytes) -> list[StoredCommit]:
    """Return what intact lines say, which stand together with newlines between them.

    Raises:
        ValueError: One of them is no line of this format.
    """
    return _decoder.decode_lines(lines)


def decode(line: bytes) -> StoredCommit:
    """Return what an intact line says.

    Raises:
        ValueError: It is no line of this format (msgspec's errors are ``ValueError``).
    """
    stored = _decoder.decode(line)
    if not stored.events:
        raise ValueError("a commit without events")
    return stored


def header_of(stored: StoredCommit) -> CommitHeader:
    """Return what the events of a stored commit share."""
    context = stored.context
    if context is None:
        return CommitHeader(
            stored.commit, stored.time, stored.correlation or stored.commit, stored.causation
        )
    return CommitHeader(
        stored.commit,
        stored.time,
        stored.correlation or stored.commit,
        stored.causation,
        context.version,
        context.environment,
        context.claims,
        context.handler,
    )


def events_of(stored: StoredCommit, indexes: Sequence[int] | None = None) -> list[CommittedEvent]:
    """Return the events of a stored commit.

    Args:
        stored: The commit.
        indexes: Which of them, ascending; ``None``: all.
    """
    header = header_of(stored)
    position = stored.position
    events = stored.events
    if indexes is None:
        indexes = range(len(events))
    else:
        events = [events[index] for index in indexes]
    # A line has no line break within, so joining and splitting copies the contents; it costs
    # half as much as to ask each for its bytes.
    contents = b"\n".join([event.content for event in events]).split(b"\n")
    return [
        CommittedEvent(
            position + index,
            header,
            index,
            event.type_id,
            event.generation,
            event.source,
            event.aggregate,
            event.version,
            event.public,
            content,
        )
        for index, event, content in zip(indexes, events, contents, strict=False)
    ]


def events_of_all(commits: Sequence[StoredCommit]) -> list[CommittedEvent]:
    """Return the events of stored commits; most commits have one event, and cost is felt here."""
    found: list[CommittedEvent] = []
    append = found.append
    for stored in commits:
        events = stored.events
        if len(events) != 1:
            found += events_of(stored)
            continue
        event = events[0]
        append(
            CommittedEvent(
                stored.position,
                header_of(stored),
                0,
                event.type_id,
                event.generation,
                event.source,
                event.aggregate,
                event.version,
                event.public,
                bytes(event.content),
            )
        )
    return found


def storable(commit: Commit) -> Commit:
    """Return a commit whose contents fit into a line.

    Content is kept byte for byte, unless it has line breaks or tabs between its values: then
    the space between values is taken out.

    Raises:
        PayloadDoesNotFit: An event's content is not one JSON object.
    """
    contents = [event.content for event in commit.events]
    try:
        for content in contents:
            _decode_object(content)
    except (ValueError, RecursionError):
        # Whose content it is, and why, is said below.
        pass
    else:
        if not _has_breaks(b"".join(contents)):
            return commit
    return msgspec.structs.replace(commit, events=tuple(map(_storable_event, commit.events)))


def _has_breaks(content: bytes) -> bool:
    return b"\n" in content or b"\r" in content or b"\t" in content


def _storable_event(event: EventToCommit) -> EventToCommit:
    content = event.content
    try:
        _decode_object(content)
    except (ValueError, RecursionError) as error:
        raise PayloadDoesNotFit(
            f"event type {event.type_id}", f"the content is not one JSON object: {error}"
        ) from error
    # The decoder refuses control characters inside texts, so these stand between values.
    if _has_breaks(content):
        return msgspec.structs.replace(event, content=msgspec.json.format(content, indent=-1))
    return event


def microseconds(time: datetime) -> int:
    """Return an aware time as whole microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(microseconds_since_1970: int) -> datetime:
    """Return the time of :func:`microseconds`."""
    return _EPOCH + microseconds_since_1970 * _MICROSECOND
