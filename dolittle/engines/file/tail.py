"""The end of the log that the index does not hold yet, in memory, answering the same questions."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final, NamedTuple

from dolittle.engines.file.line import StoredCommit, microseconds

PLACE_BYTES: Final = 64 * 1024
"""About how much log lies between two remembered places."""

SOURCE: Final = 0
TYPE: Final = 1
AGGREGATE: Final = 2
"""Kinds of postings: what the events of a line have in common."""

Posting = tuple[int, str]
"""A kind and a key, e.g. ``(SOURCE, "Dolittle Tacos")``."""


class KnownPlace(NamedTuple):
    """Where a position is: a step into the log for reading by position or time."""

    position: int
    address: int
    time_us: int


class Tail:
    """What lines say, by commit id, stream, type, correlation, source and aggregate root.

    Attributes:
        versions: By what would be a :class:`Stream`; a plain pair equals it and is made in a tenth
            of the time, which is felt for every event that is committed.
        start: The address of the first line in it.
        end: The address behind the last one.
        position: The position behind the last one.
        last_address: Where the last line begins; -1 while it is empty.
    """

    def __init__(self, start: int, position: int, last_place: int = -PLACE_BYTES) -> None:
        self.start = self.end = start
        self.position = position
        self.last_address = -1
        self.commits: dict[str, int] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.type_counts: Counter[str] = Counter()
        self.correlations: defaultdict[str, list[int]] = defaultdict(list)
        self.postings: defaultdict[Posting, list[int]] = defaultdict(list)
        self.places: list[KnownPlace] = []
        self.last_place = last_place

    def add(self, commit: StoredCommit, length: int) -> None:
        """Take in the next line.

        Args:
            commit: What it says.
            length: Its bytes, with the newline.
        """
        address = self.end
        self.commits[commit.commit] = address
        if commit.correlation:
            self.correlations[commit.correlation].append(address)
        if address - self.last_place >= PLACE_BYTES:
            self.last_place = address
            place = KnownPlace(commit.position, address, microseconds(commit.time))
            self.places.append(place)
        versions, counts = self.versions, self.type_counts
        for event in commit.events:
            counts[event.type_id] += 1
            if event.aggregate:
                versions[event.aggregate, event.source] = event.version
        for posting in postings_of(commit):
            self.postings[posting].append(address)
        self.last_address = address
        self.end = address + length
        self.position = commit.position + len(commit.events)


def postings_of(commit: StoredCommit) -> set[Posting]:
    """Return by what the line of a commit can be found."""
    events = commit.events
    found: set[Posting] = {(SOURCE, event.source) for event in events}
    # Of types and aggregate roots a commit has few, however many events it has.
    found.update([(TYPE, type_id) for type_id in {event.type_id for event in events}])
    roots = {event.aggregate for event in events}
    found.update([(AGGREGATE, root) for root in roots if root])
    return found
