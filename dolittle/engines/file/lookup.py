"""Finding lines by what they say: the tail in memory and the index behind it, as one."""

from __future__ import annotations

import bisect
import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from dolittle.engines.file.files import Files
from dolittle.engines.file.index import (
    INDEX_ERRORS,
    NAME,
    Index,
    Indexed,
    SealedSegment,
    is_passing,
)
from dolittle.engines.file.keys import commit_order
from dolittle.engines.file.line import SUM_END, StoredCommit
from dolittle.engines.file.log import Log
from dolittle.engines.file.synced import Mark
from dolittle.engines.file.tail import PLACE_BYTES, KnownPlace, Posting, Tail, Versions
from dolittle.errors import StoreClosed, StoreDamaged
from dolittle.store import Stream

P = ParamSpec("P")
T = TypeVar("T")

TAIL_COMMITS_MAX: Final = 8_000
TAIL_BYTES_MAX: Final = 16 * 1024 * 1024
"""The tail goes into the index when it has grown to one of these."""

_VERSIONS_MAX: Final = 100_000


def _answering(
    question: Callable[Concatenate[Lookup, P], T],
) -> Callable[Concatenate[Lookup, P], T]:
    """Let a question be asked by one thread at a time, and again where the index is damaged."""

    @functools.wraps(question)
    def answer(lookup: Lookup, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with lookup._mutex:
            if lookup._is_closed:
                raise StoreClosed(lookup.path.parent)
            try:
                return question(lookup, *args, **kwargs)
            except UnicodeEncodeError:
                # The question's fault: it asks for half a surrogate pair.
                raise
            except INDEX_ERRORS:
                lookup.rebuild()
                lookup.catch_up(lookup._log.mark())
                return question(lookup, *args, **kwargs)

    return answer


class Lookup:
    """Answers for everything up to where it has caught up; safe for any thread.

    Attributes:
        damage: The bad line that keeps it from catching up, if there is one.
    """

    def __init__(
        self, files: Files, folder: Path, store_id: str, log: Log, *, is_writable: bool
    ) -> None:
        self._files = files
        self.path = folder / NAME
        self._store_id = store_id
        self._log = log
        self._is_writable = is_writable
        self._mutex = threading.RLock()
        self._versions: dict[tuple[str, str], int] = {}
        # Of the commits before the tail; ids mostly sort by time, so most new ones lie behind it.
        self._greatest: bytes | None = None
        self._last_sum = 0
        self._remembered: set[int] = set()
        self._is_closed = False
        self.damage: StoreDamaged | None = None
        self._index = self._open()
        self._tail = Tail(0, 0)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        try:
            self._tail = self._tail_behind(self._index.indexed())
            self._check_against_log()
        except INDEX_ERRORS:
            self.rebuild()

    def _open(self) -> Index:
        try:
            return Index(self.path, self._store_id, is_writable=self._is_writable)
        except OSError:
            return Index(None, self._store_id, is_writable=True)
        except INDEX_ERRORS as error:
            if is_passing(error):
                # It cannot be opened or written here: a read-only folder, a full disk.
                return Index(None, self._store_id, is_writable=True)
            return self._made_anew()

    def _made_anew(self) -> Index:
        if self._is_writable:
            with contextlib.suppress(OSError, *INDEX_ERRORS):
                for suffix in ("", "-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        self.path.with_name(NAME + suffix).unlink()
                return Index(self.path, self._store_id, is_writable=True)
        return Index(None, self._store_id, is_writable=True)

    def _tail_behind(self, indexed: Indexed) -> Tail:
        place = self._index.last_place()
        self._last_sum = indexed.last_sum
        self._greatest = None
        return Tail(indexed.address, indexed.position, place.address if place else -PLACE_BYTES)

    def _check_against_log(self) -> None:
        """Hold the index against the log that it is an index of."""
        indexed, mark = self._index.indexed(), self._log.mark()
        if self._log.damage is not None or indexed.last_address < 0:
            return
        if indexed.address > mark.address:
            if indexed.attested > mark.position:
                self.damage = self._log.segments.damage(
                    mark.address,
                    f"the log ends at position {mark.position}, but the index has seen "
                    f"{indexed.attested} on disk",
                    mark.position,
                )
                return
            self.rebuild()
        elif self._sum_at(indexed.last_address) != indexed.last_sum:
            self.rebuild()

    def _sum_at(self, address: int) -> int:
        segment = self._log.segments.at(address)
        line = self._log.segments.read(segment, address - segment.base, SUM_END)
        try:
            return int(line[-8:], 16)
        except ValueError:
            return -1

    def rebuild(self) -> None:
        """Throw the index away; the next :meth:`catch_up` makes it anew from the log."""
        with self._mutex:
            self._index.close()
            self._index = self._made_anew()
            self._versions.clear()
            self._tail = self._tail_behind(self._index.indexed())
            self._remembered.clear()

    def undisturbed(self) -> AbstractContextManager[bool]:
        """Keep other threads from changing what is known, for a ``with`` block."""
        return self._mutex

    # Growing --------------------------------------------------------------------------------

    def lag_bytes(self, mark: Mark) -> int:
        """Return how much of the log a :meth:`catch_up` would have to read."""
        return max(mark.address - self._tail.end, 0)

    def catch_up(self, mark: Mark) -> None:
        """Read what the log has gained up to a mark.

        Raises:
            StoreDamaged: A line there is damaged.
        """
        with self._mutex:
            while self._tail.end < mark.address:
                if self.damage is not None:
                    raise self.damage
                segments = self._log.segments
                lines = segments.lines(self._tail.end, mark.address)
                commits, self.damage = segments.decode_intact(lines, self._tail.position)
                for commit, line in zip(commits, lines.lines, strict=False):
                    self.add(commit, line, self._tail.end)
                if self.is_flush_due:
                    self.flush(mark)

    def add(self, commit: StoredCommit, line: bytes, address: int) -> None:
        """Take in a line that was just read, unless it is known already.

        Args:
            commit: What it says.
            line: The line without its newline.
            address: Where it begins.
        """
        with self._mutex:
            if address == self._tail.end:
                self._tail.add(commit, len(line) + 1)
                self._last_sum = int(line[SUM_END - 8 : SUM_END], 16)

    def add_written(
        self,
        commits: Sequence[StoredCommit],
        lines: Sequence[bytes],
        address: int,
        versions: Versions,
    ) -> None:
        """Take in lines that were just written, unless they are known already.

        Args:
            commits: What they say.
            lines: The lines with their newlines.
            address: Where the first one begins.
            versions: The latest versions in them.
        """
        with self._mutex:
            if address != self._tail.end:
                return
            for commit, line in zip(commits, lines, strict=True):
                self._tail.add(commit, len(line), versions)
                versions = {}
            self._last_sum = int(lines[-1][SUM_END - 8 : SUM_END], 16)

    @property
    def indexed_address(self) -> int:
        """Up to where the index holds the log; behind it the tail does."""
        return self._tail.start

    @property
    def is_flush_due(self) -> bool:
        """Whether the tail is large enough to go into the index."""
        tail = self._tail
        return len(tail.commits) >= TAIL_COMMITS_MAX or tail.end - tail.start >= TAIL_BYTES_MAX

    @property
    def has_tail(self) -> bool:
        """Whether there is anything that the index does not hold yet."""
        return self._tail.last_address >= 0

    def flush(self, mark: Mark) -> bool:
        """Bring the tail into the index; return whether that was possible.

        A commit does not depend on it: what fails is tried again with the next tail.
        """
        with self._mutex:
            try:
                self._flush(mark)
            except INDEX_ERRORS as error:
                self._index.rollback()
                # Locked, or no space: then the tail goes on answering from memory.
                if not is_passing(error):
                    self.rebuild()
                return False
            except (OSError, StoreDamaged):
                # Of the log. Whoever reads there or commits is told.
                self._index.rollback()
                return False
            return True

    def _flush(self, mark: Mark) -> None:
        if not self.has_tail:
            return
        found = self._index.begin()
        if found.address != self._tail.start:
            # Another process has brought in some of it, or all.
            self._index.rollback()
            self._rebase(found, mark)
            return
        tail = self._tail
        indexed = Indexed(tail.end, tail.position, mark.attested, tail.last_address, self._last_sum)
        sealed = self._sealed(tail.end)
        self._index.add(tail, indexed, sealed)
        self._remembered.update(segment.first_position for segment in sealed)
        if len(self._versions) + len(tail.versions) > _VERSIONS_MAX:
            self._versions.clear()
        # Before the tail is replaced: version() looks without the lock.
        self._versions.update(tail.versions)
        self._tail = Tail(tail.end, tail.position, tail.last_place)
        self._greatest = None

    def _rebase(self, indexed: Indexed, mark: Mark) -> None:
        """Begin the tail anew where the index now ends."""
        end = self._tail.end
        # In this order: version() looks without the lock.
        self._versions.clear()
        self._tail = self._tail_behind(indexed)
        self.catch_up(mark._replace(address=max(end, self._tail.end)))

    def _sealed(self, end: int) -> list[SealedSegment]:
        found = []
        for segment in self._log.segments.all[:-1]:
            if segment.first_position in self._remembered:
                continue
            stat = self._files.stat(segment.path)
            if segment.base + stat.st_size <= end:
                found.append(
                    SealedSegment(
                        segment.first_position, segment.base, stat.st_size, stat.st_mtime_ns
                    )
                )
        return found

    @_answering
    def remembered(self) -> dict[int, SealedSegment]:
        """Return what sealed segments looked like when they were read, by first position."""
        found = self._index.segments()
        self._remembered = {segment.first_position for segment in found}
        return {segment.first_position: segment for segment in found}

    def remember(self, segment: SealedSegment) -> None:
        """Note what a sealed segment looks like that was just read whole."""
        with contextlib.suppress(*INDEX_ERRORS):
            self._index.remember(segment)

    # Questions ------------------------------------------------------------------------------

    @_answering
    def commit_address(self, commit_id: str) -> int | None:
        """Return where the line of a commit begins, or ``None``."""
        with self._mutex:
            address = self._tail.commits.get(commit_id)
            if address is not None:
                return address
            if self._greatest is None:
                self._greatest = self._index.greatest_commit()
            if commit_order(commit_id) > self._greatest:
                return None
            return self._index.commit_address(commit_id)

    def version(self, stream: tuple[str, str]) -> int:
        """Return how many events an aggregate instance has."""
        # Without the lock, for this is asked for every event that is committed: whatever else
        # goes on, one of the two knows the latest version or neither does.
        version = self._tail.versions.get(stream)
        if version is None:
            version = self._versions.get(stream)
        return self._version(stream) if version is None else version

    def versions(self, streams: Iterable[tuple[str, str]], later: Versions) -> list[int]:
        """Return how many events some aggregate instances have.

        Args:
            streams: The instances.
            later: What is known of some of them and not yet in the log.
        """
        # As above: without the lock, whatever else goes on.
        first, second, third = later.get, self._tail.versions.get, self._versions.get
        return [first(s) or second(s) or third(s) or self._version(s) for s in streams]

    @_answering
    def _version(self, stream: tuple[str, str]) -> int:
        version = self._tail.versions.get(stream)
        if version is None:
            version = self._index.version(stream)
            if len(self._versions) < _VERSIONS_MAX:
                self._versions[stream] = version
        return version

    @_answering
    def streams(self, aggregate: str) -> dict[Stream, int]:
        """Return the aggregate instances of one root, or (empty) of all."""
        with self._mutex:
            found = self._index.streams(aggregate)
            for stream, version in self._tail.versions.items():
                if not aggregate or stream[0] == aggregate:
                    found[Stream(*stream)] = version
            return found

    @_answering
    def type_counts(self, mark: Mark) -> dict[str, int]:
        """Return how many events there are of each type."""
        with self._mutex:
            found = self._index.indexed()
            if found.address != self._tail.start:
                self._rebase(found, mark)
            counts = Counter(self._index.type_counts())
            counts.update(self._tail.type_counts)
            return dict(counts)

    @_answering
    def type_count(self, types: frozenset[str]) -> int:
        """Return about how many events there are of some types."""
        with self._mutex:
            recent = sum(self._tail.type_counts[type_id] for type_id in types)
            return recent + self._index.type_count(types)

    @_answering
    def addresses(self, posting: Posting, low: int, limit: int) -> list[int]:
        """Return the first addresses of a posting from ``low`` on, ascending."""
        with self._mutex:
            recent = self._tail.postings[posting[0]].get(posting[1], [])
            start = self._tail.start
            found: list[int] = []
            if low < start:
                asked = self._index.addresses(posting, low, limit)
                found = [address for address in asked if address < start]
            if len(found) < limit:
                begin = bisect.bisect_left(recent, low)
                found.extend(recent[begin : begin + limit - len(found)])
            return found

    @_answering
    def addresses_before(self, posting: Posting, high: int, limit: int) -> list[int]:
        """Return the last addresses of a posting before ``high``, descending."""
        with self._mutex:
            recent = self._tail.postings[posting[0]].get(posting[1], [])
            end = bisect.bisect_left(recent, high)
            found = recent[max(end - limit, 0) : end][::-1]
            if len(found) < limit:
                before, rest = min(high, self._tail.start), limit - len(found)
                found.extend(self._index.addresses_before(posting, before, rest))
            return found

    @_answering
    def correlated(self, correlation: str, low: int, limit: int) -> list[int]:
        """Return the first addresses of lines with a correlation from ``low`` on, ascending."""
        with self._mutex:
            start = self._tail.start
            asked = self._index.correlation_addresses(correlation, low, limit)
            found = [address for address in asked if address < start]
            if len(found) < limit:
                recent = self._tail.correlations.get(correlation, [])
                begin = bisect.bisect_left(recent, low)
                found.extend(recent[begin : begin + limit - len(found)])
            own = self.commit_address(correlation)
            if own is not None and own >= low:
                found = sorted({*found, own})[:limit]
            return found

    @_answering
    def place_at(self, position: int) -> KnownPlace | None:
        """Return the last remembered place at or before a position."""
        with self._mutex:
            places = self._tail.places
            found = bisect.bisect_right(places, position, key=lambda place: place.position)
            return places[found - 1] if found else self._index.place_at(position)

    @_answering
    def place_before(self, time_us: int) -> KnownPlace | None:
        """Return the last remembered place whose commit is older than a time."""
        with self._mutex:
            places = self._tail.places
            found = bisect.bisect_left(places, time_us, key=lambda place: place.time_us)
            return places[found - 1] if found else self._index.place_before(time_us)

    def close(self) -> None:
        """Let go of the index."""
        with self._mutex:
            self._is_closed = True
            self._index.close()
