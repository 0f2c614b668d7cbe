"""Reading selected events: forwards in pages, and the last ones; picks the cheapest way."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from dolittle.engines.file.line import StoredCommit, decode_all, events_of, microseconds
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.picked import NEAR_BYTES, near_one_another, picked_lines
from dolittle.engines.file.synced import Mark
from dolittle.engines.file.tail import AGGREGATE, SOURCE, TYPE, KnownPlace, Posting
from dolittle.engines.file.typed import Decoding
from dolittle.engines.file.unbuilt import StoredEvents
from dolittle.errors import StoreDamaged
from dolittle.store import START, CommittedEvent, Page, Selection

PAGE_EVENTS: Final = 1_000
PAGE_BYTES: Final = 1024 * 1024
"""Of lines whose events are in a page, and so of content, unless a single block has more."""

LOOKED_AT_MAX: Final = 4_000
"""Commits after which a page comes even if few events or none were selected."""

_ADDRESSES: Final = 512
_FEW: Final = 16
_ENDS_MAX: Final = 64
_COMMON_SHARE: Final = 4
"""Types that make up more than one in so many events are found by reading everything."""

Batch = tuple[list[StoredCommit], int, bytes]
"""Commits in order, the position behind what was looked at, and their lines."""

Events = StoredEvents | list[CommittedEvent]


class Reader:
    """Reads a log by any selection; any thread may use it."""

    def __init__(self, log: Log, lookup: Lookup) -> None:
        self._log = log
        self._lookup = lookup
        # Where readings have ended: a subscription goes on there.
        self._ends: OrderedDict[int, int] = OrderedDict()

    def pages(self, selection: Selection) -> Iterator[Page]:
        """Yield the selected events in order.

        Raises:
            StoreDamaged: After the pages before the damage.
        """
        start = max(selection.start, START)
        page: Events = []
        looked_at, size, position, told = 0, 0, start, -1
        damage: StoreDamaged | None = None
        decoding = Decoding()
        batches = self._batches(selection, start, decoding)
        while True:
            try:
                commits, next_position, lines = next(batches)
            except StopIteration:
                break
            except StoreDamaged as error:
                damage = error
                break
            events = _select(commits, selection, start, decoding, lines)
            if not _are_alike(page, events):
                yield Page(page, position)
                page, looked_at, size, told = [], 0, 0, position
            position = max(start, min(next_position, selection.stop))
            page = _joined(page, events)
            looked_at += len(commits)
            size += len(lines) if events else 0
            while len(page) > PAGE_EVENTS:
                first, page, told = _cut(page)
                yield Page(first, told)
            if size >= PAGE_BYTES or looked_at >= LOOKED_AT_MAX or len(page) == PAGE_EVENTS:
                yield Page(page, position)
                page, looked_at, size, told = [], 0, 0, position
        if page or (told != position and damage is None):
            yield Page(page, position)
        if damage is not None:
            raise damage

    def _batches(self, selection: Selection, start: int, decoding: Decoding) -> Iterator[Batch]:
        """Yield at least one batch; the last one reaches the end of what can be selected now."""
        head = self._log.mark().position
        if min(head, selection.stop) <= start:
            self._raise_damage(start, selection)
            yield [], head, b""
            return
        postings = self._postings(selection)
        if postings is not None or selection.correlation:
            yield from self._picked(selection, postings or [], start, decoding)
        else:
            yield from self._sequence(selection, start, decoding)

    def _raise_damage(self, position: int, selection: Selection) -> None:
        """Raise what is wrong where the readable log ends, if the reader wants more than that."""
        damage = self._log.damage or self._lookup.damage
        if damage is not None and position >= damage.position and selection.stop > damage.position:
            raise damage

    # Everything, in order -------------------------------------------------------------------

    def _sequence(self, selection: Selection, start: int, decoding: Decoding) -> Iterator[Batch]:
        place = self._start_place(selection, start)
        address, position = place.address, place.position
        while position < selection.stop:
            mark = self._log.mark()
            if address >= mark.address:
                self._note_end(mark)
                self._raise_damage(position, selection)
                return
            lines = self._log.segments.lines(address, mark.address)
            commits, damage = self._log.segments.decode_intact(lines, position, decoding.decode_all)
            if commits:
                position = commits[-1].next_position
                yield commits, position, lines.data
            if damage is not None:
                if position >= selection.stop:
                    return
                raise damage
            if selection.until is not None and commits[-1].time >= selection.until:
                # Time never goes back: nothing that follows is selected.
                yield [], mark.position, b""
                return
            address = lines.next_address

    def _note_end(self, mark: Mark) -> None:
        self._ends[mark.position] = mark.address
        while len(self._ends) > _ENDS_MAX:
            self._ends.popitem(last=False)

    def _start_place(self, selection: Selection, start: int) -> KnownPlace:
        """Return a place before everything selected, near it; proven by the line there."""
        address = self._ends.get(start)
        if address is not None:
            return KnownPlace(start, address, 0)
        for _ in range(2):
            places = [self._lookup.place_at(start)]
            if selection.since is not None:
                places.append(self._lookup.place_before(microseconds(selection.since)))
            place = max((found for found in places if found), default=None)
            if place is None or self._is_true(place):
                break
            self._rebuild(self._log.mark())
        return place or KnownPlace(0, 0, 0)

    def _is_true(self, place: KnownPlace) -> bool:
        mark = self._log.mark()
        if place.address >= mark.address:
            return False
        try:
            found = self._log.segments.line_at(place.address, mark.address)
        except StoreDamaged:
            # The place may be right and the line damaged: then a line ends before it.
            return self._is_boundary(place.address)
        return found.position == place.position

    def _is_boundary(self, address: int) -> bool:
        segment = self._log.segments.at(address)
        offset = address - segment.base
        return offset == 0 or self._log.segments.read(segment, offset - 1, 1) == b"\n"

    # Some lines, found by the index ---------------------------------------------------------

    def _postings(self, selection: Selection) -> list[Posting] | None:
        """Return what to look up, or ``None`` to read everything."""
        if selection.correlation:
            return []
        if selection.source:
            return [(SOURCE, selection.source)]
        if selection.types:
            self._catch_up(self._log.mark())
            count = self._lookup.type_count(selection.types)
            if count * _COMMON_SHARE < self._log.mark().position:
                return [(TYPE, type_id) for type_id in sorted(selection.types)]
        if selection.aggregate:
            return [(AGGREGATE, selection.aggregate)]
        return None

    def _catch_up(self, mark: Mark) -> StoreDamaged | None:
        try:
            self._lookup.catch_up(mark)
        except StoreDamaged as damage:
            return damage
        return None

    def _picked(
        self, selection: Selection, postings: list[Posting], start: int, decoding: Decoding
    ) -> Iterator[Batch]:
        low = self._start_place(selection, start).address
        while True:
            mark = self._log.mark()
            damage = self._catch_up(mark)
            addresses = self._addresses(selection, postings, low, mark)
            try:
                for commits, lines, last in self._commits_at(addresses, mark, decoding):
                    yield commits, commits[-1].next_position, lines
                    low = last + 1
                    if _is_behind(commits[-1], selection):
                        yield [], mark.position, b""
                        return
            except _WrongIndexError:
                self._rebuild(mark)
                continue
            if len(addresses) < _ADDRESSES:
                if damage is not None and selection.stop > damage.position:
                    raise damage
                self._note_end(mark)
                self._raise_damage(mark.position, selection)
                yield [], mark.position, b""
                return

    def _rebuild(self, mark: Mark) -> None:
        self._lookup.rebuild()
        self._catch_up(mark)

    def _addresses(
        self, selection: Selection, postings: list[Posting], low: int, mark: Mark
    ) -> list[int]:
        """Return the next addresses of lines to look at; fewer than ``_ADDRESSES``: the rest."""
        if selection.correlation:
            found = self._lookup.correlated(selection.correlation, low, _ADDRESSES)
        elif len(postings) == 1:
            found = self._lookup.addresses(postings[0], low, _ADDRESSES)
        else:
            each = [self._lookup.addresses(posting, low, _ADDRESSES) for posting in postings]
            found = sorted({address for part in each for address in part})[:_ADDRESSES]
        return found[: bisect.bisect_left(found, mark.address)]

    def _commits_at(
        self, addresses: list[int], mark: Mark, decoding: Decoding
    ) -> Iterator[tuple[list[StoredCommit], bytes, int]]:
        """Yield the commits at some addresses, with their lines and where the last one begins.

        Raises:
            StoreDamaged: A line is damaged; after those before it.
            _WrongIndexError: There is no line at one of them; after those before it.
        """
        segments = self._log.segments
        try:
            for some, lines in picked_lines(segments, addresses, mark.address):
                commits = segments.decode_apart(lines, decoding.decode_all)
                if commits:
                    yield commits, lines, some[-1]
                    continue
                # One by one, to tell which of them is damaged.
                for address in some:
                    line = segments.line_bytes(address, mark.address)
                    yield [segments.line_at(address, mark.address)], line, address
        except StoreDamaged:
            if all(self._is_boundary(address) for address in addresses):
                raise
            raise _WrongIndexError from None

    # The last ones --------------------------------------------------------------------------

    def last(self, selection: Selection, count: int) -> list[CommittedEvent]:
        """Return the last selected events, in log order.

        Raises:
            StoreDamaged: A line is damaged before enough events were found.
        """
        if count <= 0:
            return []
        self._raise_damage(self._log.mark().position, selection)
        try:
            return self._last(selection, count)
        except _WrongIndexError:
            self._rebuild(self._log.mark())
            return self._last(selection, count)

    def _last(self, selection: Selection, count: int) -> list[CommittedEvent]:
        found: list[CommittedEvent] = []
        start = max(selection.start, START)
        for commits in self._backwards(selection):
            found[:0] = _selected(commits, selection)
            first = commits[0]
            if len(found) >= count or first.position <= start or _is_older(first, selection.since):
                break
        return found[-count:]

    def _backwards(self, selection: Selection) -> Iterator[list[StoredCommit]]:
        mark = self._log.mark()
        address = self._end_address(selection, mark)
        if selection.correlation:
            self._lookup.catch_up(mark)
            yield from self._nearest_first(self._correlated(selection, address), mark)
            return
        postings = self._postings(selection)
        if postings:
            yield from self._picked_backwards(postings, address, mark)
            return
        while address > 0:
            lines = self._log.segments.lines_before(address, NEAR_BYTES)
            yield self._log.segments.decode(lines)
            address = lines.address

    def _correlated(self, selection: Selection, high: int) -> list[int]:
        found: list[int] = []
        low = 0
        while part := self._lookup.correlated(selection.correlation, low, _ADDRESSES):
            found += [address for address in part if address < high]
            low = part[-1] + 1
        return found[::-1]

    def _nearest_first(self, addresses: list[int], mark: Mark) -> Iterator[list[StoredCommit]]:
        # Few at a time: most often the first few are enough.
        for begin in range(0, len(addresses), _FEW):
            few = addresses[begin : begin + _FEW][::-1]
            for near in reversed(list(near_one_another(few))):
                found = self._commits_at(near, mark, Decoding())
                yield [commit for commits, _, _ in found for commit in commits]

    def _picked_backwards(
        self, postings: list[Posting], address: int, mark: Mark
    ) -> Iterator[list[StoredCommit]]:
        self._lookup.catch_up(mark)
        while True:
            each = [self._lookup.addresses_before(p, address, _ADDRESSES) for p in postings]
            found = sorted({a for part in each for a in part}, reverse=True)[:_ADDRESSES]
            yield from self._nearest_first(found, mark)
            if len(found) < _ADDRESSES:
                return
            address = found[-1]

    def _end_address(self, selection: Selection, mark: Mark) -> int:
        """Return an address behind everything selected, near it."""
        until, stop = selection.until, selection.stop
        places = []
        if stop < mark.position:
            places.append(self._lookup.place_at(stop))
        if until is not None:
            places.append(self._lookup.place_before(microseconds(until)))
        if not places:
            return mark.address
        address = min(place.address if place else 0 for place in places)
        while address < mark.address:
            lines = self._log.segments.lines(address, mark.address, NEAR_BYTES)
            for line, commit in zip(lines.lines, self._log.segments.decode(lines), strict=True):
                if commit.position >= stop or (until is not None and commit.time >= until):
                    return address
                address += len(line) + 1
        return mark.address


class _WrongIndexError(Exception):
    """The index names a place where no line begins."""


def _is_behind(commit: StoredCommit, selection: Selection) -> bool:
    """Tell whether nothing after a commit can be selected."""
    is_late = selection.until is not None and commit.time >= selection.until
    return is_late or commit.next_position >= selection.stop


def _is_older(commit: StoredCommit, since: datetime | None) -> bool:
    return since is not None and commit.time < since


def _are_alike(page: Events, events: Events) -> bool:
    """Tell whether contents are decoded in the same way in both, so that one page takes them."""
    if isinstance(page, StoredEvents) and isinstance(events, StoredEvents):
        return page.classes == events.classes
    return True


def _joined(page: Events, events: Events) -> Events:
    """Return the events of a page and those that follow; built only if some are already."""
    if not page:
        return events
    if not events:
        return page
    if isinstance(page, StoredEvents) and isinstance(events, StoredEvents):
        return page.followed_by(events)
    return [*page, *events]


def _cut(page: Events) -> tuple[Events, Events, int]:
    """Return as many events as a page may have, the others, and the position of those."""
    if isinstance(page, StoredEvents):
        return page.cut(PAGE_EVENTS)
    return page[:PAGE_EVENTS], page[PAGE_EVENTS:], page[PAGE_EVENTS].position


def _select(
    commits: list[StoredCommit],
    selection: Selection,
    start: int,
    decoding: Decoding,
    lines: bytes,
) -> Events:
    """Return the selected events of some commits, which were decoded from some lines."""
    if not commits:
        return []
    is_inside = commits[0].position >= start and commits[-1].next_position <= selection.stop
    is_of_commits = selection.correlation or selection.since or selection.until
    if is_inside and not is_of_commits and _are_all_wanted(commits, selection):
        blocks = [(commits[0].position, lines)] if commits[0].classes else ()
        return StoredEvents(commits, decoding=decoding, blocks=blocks)
    if commits[0].classes:
        # The events themselves are needed, with contents that are encoded.
        decoding.pause()
        commits = decode_all(lines)
    return _selected(commits, selection)


def _selected(commits: list[StoredCommit], selection: Selection) -> list[CommittedEvent]:
    """Return the selected events of some commits, built."""
    return [
        event
        for commit in commits
        if selection.start < commit.next_position and commit.position < selection.stop
        for event in events_of(commit, _wanted(commit, selection))
        if selection.matches(event)
    ]


def _are_all_wanted(commits: list[StoredCommit], selection: Selection) -> bool:
    """Tell cheaply whether all events are of the types, the source and the aggregate root."""
    source, root, types = selection.source, selection.aggregate, selection.types
    if not (source or root or types):
        return True
    # A loop takes half as long as three sets, since nothing is hashed but types.
    for commit in commits:
        for event in commit.events:
            if (
                (source and event.source != source)
                or (root and event.aggregate != root)
                or (types and event.type_id not in types)
            ):
                return False
    return True


def _wanted(commit: StoredCommit, selection: Selection) -> list[int]:
    """Return which events of a commit are worth being built."""
    source, types = selection.source, selection.types
    return [
        index
        for index, event in enumerate(commit.events)
        if (not source or event.source == source) and (not types or event.type_id in types)
    ]
