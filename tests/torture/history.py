"""What the clients of a store know, and the independent check of a disk against it.

Nothing here uses the engine's code: lines are taken apart by ``json`` and ``zlib``, so that a
fault of the engine's own reading cannot hide a fault of its writing.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from dolittle.store import Commit, CommittedEvent, CommittedEvents


class BrokenPromiseError(AssertionError):
    """The store did what it promises never to do."""


def require(is_kept: bool, promise: str) -> None:
    """Raise unless a promise was kept."""
    if not is_kept:
        raise BrokenPromiseError(promise)


class History:
    """The commits that clients have tried, and what they were told.

    Attributes:
        tried: Every commit that was handed to the store, by id.
        answered: What was answered, by commit id: these must be there for ever.
        refused: Those that must never be there.
        stored: Those that were answered as stored just now, and no repeats.
        tries: How often each commit was handed to a store.
        seen: Events that a reader has been shown, in order: none may go away.
    """

    def __init__(self) -> None:
        self.tried: dict[str, Commit] = {}
        self.answered: dict[str, CommittedEvents] = {}
        self.refused: set[str] = set()
        self.stored: set[str] = set()
        self.tries: Counter[str] = Counter()
        self.seen: list[CommittedEvent] = []

    def copy(self) -> History:
        """Return the same, for another course of events."""
        other = History()
        other.tried, other.answered = dict(self.tried), dict(self.answered)
        other.stored, other.tries = set(self.stored), self.tries.copy()
        other.refused, other.seen = set(self.refused), list(self.seen)
        return other

    @property
    def unknown(self) -> list[Commit]:
        """The commits whose outcome nobody was told."""
        return [
            commit
            for commit_id, commit in self.tried.items()
            if commit_id not in self.answered and commit_id not in self.refused
        ]

    def answer(self, commit: Commit, answer: CommittedEvents) -> None:
        """Take in an answer, and hold it against what was asked and what was answered before."""
        require(commit.id not in self.refused, f"{commit.id} was refused and is there")
        _check_contents(commit, answer.events)
        before = self.answered.get(commit.id)
        # A repeat may be answered before the first try is, where they overlap.
        if not answer.is_repeat:
            require(commit.id not in self.stored, f"{commit.id} was stored a second time")
            self.stored.add(commit.id)
        if before is not None:
            require(answer.events == before.events, f"{commit.id} was answered differently")
        self.answered[commit.id] = answer


def _check_contents(commit: Commit, events: Sequence[CommittedEvent]) -> None:
    asked = [
        (each.type_id, each.generation, each.source, each.aggregate, each.public, each.content)
        for each in commit.events
    ]
    found = [
        (each.type_id, each.generation, each.source, each.aggregate, each.public, each.content)
        for each in events
    ]
    require(asked == found, f"{commit.id} has other contents than were committed")
    require(
        all(each.commit.id == commit.id for each in events), f"{commit.id} has another commit's id"
    )


class Line(NamedTuple):
    """What one line says, taken apart without the engine."""

    position: int
    synced: int
    commit: str
    time: str
    events: tuple[tuple[str, str, str, int], ...]


class Parser:
    """Takes lines apart, and remembers those it has seen: most cuts leave most lines alone."""

    def __init__(self, store_id: str) -> None:
        self._seed = zlib.crc32(store_id.encode())
        self._known: dict[bytes, Line] = {}

    def line(self, raw: bytes) -> Line:
        """Return what a line without its newline says."""
        known = self._known.get(raw)
        if known is None:
            digits = b'{"sum":"%08x' % zlib.crc32(raw[16:], self._seed)
            require(raw[:16] == digits, "a line does not match its checksum")
            said = json.loads(raw)
            known = self._known[raw] = Line(
                said["position"],
                said["synced"],
                said["commit"],
                said["time"],
                tuple(
                    (
                        each["type"],
                        each["source"],
                        each.get("aggregate", ""),
                        each.get("version", 0),
                    )
                    for each in said["events"]
                ),
            )
        return known

    def check(self, log: dict[str, bytes]) -> list[Line]:
        """Check a whole log that was recovered, and return its lines.

        Args:
            log: The content of each segment, by name, in order.
        """
        lines: list[Line] = []
        position = 0
        versions: dict[tuple[str, str], int] = {}
        time = ""
        for name, content in log.items():
            require(name == f"{position:020}.jsonl", f"{name} should begin with {position}")
            require(content.endswith(b"\n") or not content, f"{name} ends within a line")
            for raw in content.split(b"\n")[:-1]:
                line = self.line(raw)
                require(line.position == position, f"{line.position} follows {position}")
                require(line.synced <= position, "a line says more than was on disk")
                require(line.time >= time, "time goes back")
                time = line.time
                for _, source, aggregate, version in line.events:
                    if aggregate:
                        follows = versions.get((aggregate, source), 0) + 1
                        require(version == follows, f"version {version}, not {follows}")
                        versions[aggregate, source] = version
                position += len(line.events)
                lines.append(line)
        ids = [line.commit for line in lines]
        require(len(ids) == len(set(ids)), "a commit was stored twice")
        return lines


def check_recovered(history: History, lines: list[Line], events: list[CommittedEvent]) -> None:
    """Hold what was recovered against what clients and readers were told.

    Args:
        history: What they were told before the crash.
        lines: What is on disk, taken apart without the engine.
        events: What the engine reads.
    """
    flat = [(line.commit, *event) for line in lines for event in line.events]
    read = [(e.commit.id, e.type_id, e.source, e.aggregate, e.version) for e in events]
    require(flat == read, "the engine reads something else than is on disk")
    require([e.position for e in events] == list(range(len(events))), "positions have a gap")
    require(events[: len(history.seen)] == history.seen, "a reader had seen what is gone")
    for commit_id, answer in history.answered.items():
        first = answer.events[0].position
        there = tuple(events[first : first + len(answer.events)])
        require(there == answer.events, f"{commit_id} was acknowledged and is not there")
    for line in lines:
        require(line.commit not in history.refused, f"{line.commit} was refused and is there")
        commit = history.tried.get(line.commit)
        require(commit is not None, f"{line.commit} was never committed")
        assert commit is not None
        begin = line.position
        _check_contents(commit, events[begin : begin + len(line.events)])
