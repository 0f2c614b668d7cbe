"""Checking a whole store: every line, every position, version and time, and the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from dolittle.engines.file.files import Files
from dolittle.engines.file.line import StoredCommit, decode, is_intact
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.segments import BLOCK_BYTES, Segment
from dolittle.engines.file.tail import Posting, postings_of
from dolittle.errors import StoreDamaged
from dolittle.store import Stream

FINDINGS_MAX: Final = 1_000
"""More than this are not listed: then something is wrong with the whole."""

_CONTENT: Final = msgspec.json.Decoder(dict)
"""Every content is an object."""

ADDRESSES: Final = 10_000
"""How many the index is asked for at once."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes there are."""


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        what: In words.
        path: The file.
        line: From 1; 0 where no line applies.
        offset: Where it begins in the file, in bytes.
        position: Of the first event concerned, as far as known.
    """

    what: str
    path: Path
    line: int
    offset: int
    position: int


class _Expected:
    """What the next line must say, from the lines before it.

    Attributes:
        has_hole: Whether the line before could not be read: then the next position may be any.
        has_gaps: Whether any line could not be read: then versions may have been in it.
    """

    def __init__(self) -> None:
        self.position = 0
        self.has_hole = False
        self.has_gaps = False
        self.time: datetime | None = None
        self.versions: dict[Stream, int] = {}
        self.commits: dict[str, int] = {}
        self.type_counts: dict[str, int] = {}
        self.postings: dict[Posting, tuple[int, int]] = {}


class Verification:
    """One pass over a store. It holds no lock: a log that grows meanwhile is read to its mark."""

    def __init__(self, files: Files, log: Log, lookup: Lookup) -> None:
        self._files = files
        self._log = log
        self._lookup = lookup
        self._expected = _Expected()

    def steps(self, progress: Progress | None) -> Iterator[list[Finding]]:
        """Yield what is found, a part of the log at a time, so that a caller can pause."""
        mark = self._log.mark()
        total = max(mark.address, self._size())
        for segment in self._log.segments.all:
            for findings, done in self._segment(segment, mark.address):
                if progress is not None:
                    progress(min(segment.base + done, total), total)
                yield findings
        yield self._index(mark.address)

    def _size(self) -> int:
        if not self._log.segments.all:
            return 0
        last = self._log.segments.last
        return last.base + self._files.stat(last.path).st_size

    def _segment(self, segment: Segment, end: int) -> Iterator[tuple[list[Finding], int]]:
        findings: list[Finding] = []
        expected = self._expected
        is_next = segment.first_position == expected.position
        if not is_next and not (expected.has_hole and segment.first_position > expected.position):
            what = (
                f"the segment begins at position {segment.first_position}, "
                f"{self._expected.position} should follow"
            )
            findings.append(Finding(what, segment.path, 0, 0, self._expected.position))
            self._expected.position = segment.first_position
        size = self._files.stat(segment.path).st_size
        if self._log.damage is None:
            # What a writer is just appending is no part of the log yet.
            size = min(size, max(end - segment.base, 0))
        offset = 0
        for number, line in enumerate(self._lines(segment, size), 1):
            position = self._expected.position
            what = self._line(line, segment.base + offset)
            if what:
                findings.append(Finding(what, segment.path, number, offset, position))
            offset += len(line)
            if number % 1_000 == 0:
                yield findings, offset
                findings = []
        yield findings, offset

    def _lines(self, segment: Segment, size: int) -> Iterator[bytes]:
        rest, offset = b"", 0
        while offset < size:
            block = self._log.segments.read(segment, offset, min(BLOCK_BYTES, size - offset))
            if not block:
                break
            offset += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    def _line(self, line: bytes, address: int) -> str:
        """Return what is wrong with a line, or an empty string."""
        what, commit = self._read(line)
        if commit is None:
            self._expected.has_hole = self._expected.has_gaps = True
            return what
        what = self._against(commit)
        self._take_in(commit, address)
        return what

    def _read(self, line: bytes) -> tuple[str, StoredCommit | None]:
        if not line.endswith(b"\n"):
            return "the last line has no end", None
        if not is_intact(line[:-1], self._log.seed):
            return "the checksum does not match", None
        try:
            commit = decode(line[:-1])
            for event in commit.events:
                _CONTENT.decode(event.content)
        except ValueError as error:
            return f"not a commit: {error}", None
        return "", commit

    def _against(self, commit: StoredCommit) -> str:
        expected = self._expected
        is_next = commit.position == expected.position
        if not is_next and not (expected.has_hole and commit.position > expected.position):
            return f"it says position {commit.position}, {expected.position} should follow"
        if commit.synced > commit.position:
            return f"it says that {commit.synced} was on disk before it was written"
        if expected.time is not None and commit.time < expected.time:
            return f"its time {commit.time.isoformat()} is before that of the line before it"
        if commit.commit in expected.commits:
            return f"commit {commit.commit} was stored before"
        versions = dict[Stream, int]()
        for event in commit.events:
            if not event.aggregate:
                continue
            stream = Stream(event.aggregate, event.source)
            follows = versions.get(stream, expected.versions.get(stream, 0)) + 1
            if event.version != follows and not (expected.has_gaps and event.version > follows):
                return (
                    f"{stream.aggregate} {stream.source!r} has version {event.version}, "
                    f"{follows} should follow"
                )
            versions[stream] = event.version
        return ""

    def _take_in(self, commit: StoredCommit, address: int) -> None:
        expected = self._expected
        expected.has_hole = False
        expected.position = commit.next_position
        expected.time = commit.time
        expected.commits[commit.commit] = address
        for posting in postings_of(commit):
            count, total = expected.postings.get(posting, (0, 0))
            expected.postings[posting] = (count + 1, total + address)
        for event in commit.events:
            expected.type_counts[event.type_id] = expected.type_counts.get(event.type_id, 0) + 1
            if event.aggregate:
                expected.versions[Stream(event.aggregate, event.source)] = event.version

    def _postings(self) -> Iterator[str]:
        """Say for which keys the index names other lines than the log has."""
        for posting, expected in self._expected.postings.items():
            count, total, low = 0, 0, 0
            while addresses := self._lookup.addresses(posting, low, ADDRESSES):
                count, total, low = (
                    count + len(addresses),
                    total + sum(addresses),
                    addresses[-1] + 1,
                )
            if (count, total) != expected:
                yield f"the index names other lines than the log has for {posting[1]!r}"

    def _index(self, end: int) -> list[Finding]:
        """Hold the index against the log."""
        mark = self._log.mark()
        if self._log.damage is not None or self._lookup.damage is not None or mark.address != end:
            # It cannot know what cannot be read; and a log that has grown is no measure.
            return []
        try:
            self._lookup.catch_up(mark)
        except StoreDamaged:
            # Found above, where it stands.
            return []
        found: list[str] = []
        for commit_id, address in self._expected.commits.items():
            known = self._lookup.commit_address(commit_id)
            if known != address:
                found.append(f"commit {commit_id} is at byte {address}, the index says {known}")
        if self._lookup.streams("") != self._expected.versions:
            found.append("the index has other versions of aggregate instances than the log")
        if self._lookup.type_counts(mark) != self._expected.type_counts:
            found.append("the index counts other numbers of events than the log")
        found += self._postings()
        return [
            Finding(f"{what}; delete the index, it is made anew", self._lookup.path, 0, 0, 0)
            for what in found[:FINDINGS_MAX]
        ]
