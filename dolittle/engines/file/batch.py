"""What a batch of commits becomes: decides each in its turn, without writing anything itself."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

import msgspec

from dolittle.engines.file.line import (
    Place,
    StoredCommit,
    encode,
    events_of,
    microseconds,
    store,
    time_of,
)
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.replies import Reply
from dolittle.engines.file.unbuilt import StoredEvents
from dolittle.errors import CommitIdReused, DolittleError
from dolittle.execution import Clock
from dolittle.store import (
    Commit,
    CommittedEvents,
    check_expected,
    commit_time,
    is_same_commit,
)

Answer = tuple[Reply, CommittedEvents]

_ROOT: Final = itemgetter(0)


class Batch:
    """Commits that will be written and synced at once.

    Each is held against what is stored and what stands before it in the batch; one that is
    refused fails alone. Answers wait in the batch until everything is on disk, and refusals too
    where they may rest on what is not there yet.

    Attributes:
        has_begun: Whether bytes of it may be on disk; set by whoever writes it.
        is_readable: Whether its lines are on disk and published.
        address: Where its first line begins, once it was announced.
    """

    def __init__(self, log: Log, lookup: Lookup, clock: Clock) -> None:
        self._log = log
        self._lookup = lookup
        self._clock = clock
        self._position = log.own.position
        self._readable_position = log.readable.position
        self._time_us = log.own.time_us
        self._lines: list[bytes] = []
        self._commits: list[StoredCommit] = []
        # By what would be a Stream; a plain pair equals it and is made in a tenth of the time.
        self._versions: dict[tuple[str, str], int] = {}
        self._made: dict[str, CommittedEvents] = {}
        self._answers: list[Answer] = []
        self._refusals: list[tuple[Reply, BaseException]] = []
        self._unsettled: dict[str, StoredCommit] = {}
        self.has_begun = False
        self.is_readable = False
        self.address = -1

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._lines)

    def data(self) -> bytes:
        """Return what is to be written."""
        return b"".join(self._lines)

    @property
    def is_to_be_settled(self) -> bool:
        """Whether anybody's answer waits for lines that are written and not on disk yet."""
        return self.address >= 0 or bool(self._unsettled and (self._answers or self._refusals))

    def stand_behind(self, unsettled: list[StoredCommit]) -> None:
        """Decide behind lines that others have written and that are not on disk yet."""
        for commit in unsettled:
            self._unsettled[commit.commit] = commit
            for event in commit.events:
                if event.aggregate:
                    self._versions[event.aggregate, event.source] = event.version

    def decide(self, commit: Commit, reply: Reply) -> None:
        """Take a commit in, or refuse it."""
        if not self._lines:
            # What others appended since the batch was made is known now.
            self._readable_position = self._log.readable.position
            self._position, self._time_us = self._log.own.position, self._log.own.time_us
        try:
            known = self._made.get(commit.id) or self._stored(commit.id, self._log.own.address)
            if known is None and commit.id in self._unsettled:
                known = _answer_from(self._unsettled[commit.id])
            if known is not None:
                answer = _as_repeat(commit, known)
            else:
                check_expected(
                    commit.expected, {stream: self._version(stream) for stream in commit.expected}
                )
                answer = self._place(commit)
        except (DolittleError, ValueError) as error:
            if self._unsettled or self._lines:
                # It may rest on what a crash can still take away.
                self._refusals.append((reply, error))
            else:
                reply.set_exception(error)
        else:
            self._answers.append((reply, answer))

    def _stored(self, commit_id: str, end: int) -> CommittedEvents | None:
        address = self._lookup.commit_address(commit_id)
        if address is None:
            return None
        return _answer_from(self._log.segments.line_at(address, end))

    def _version(self, stream: tuple[str, str]) -> int:
        version = self._versions.get(stream)
        return self._lookup.version(stream) if version is None else version

    def _place(self, commit: Commit) -> CommittedEvents:
        own = self._log.own
        versions, grown = self._grown(commit)
        if commit.time is None:
            # The same as the rule of the port, without making a time of it: cost is felt here.
            time_us = max(microseconds(self._clock.now()), self._time_us)
        else:
            time_us = microseconds(commit_time(commit, self._clock.now(), time_of(self._time_us)))
        stored = store(commit, Place(self._position, own.attested, time_of(time_us)), versions)
        line = encode(stored, self._log.seed)
        # Most who commit never look at the events.
        made = StoredEvents([stored], 0, len(commit.events))
        answer = CommittedEvents(made, stored.next_position)
        self._versions.update(grown)
        self._made[commit.id] = answer
        self._lines.append(line)
        self._commits.append(stored)
        self._position, self._time_us = stored.next_position, time_us
        return answer

    def _grown(self, commit: Commit) -> tuple[list[int], dict[tuple[str, str], int]]:
        """Return the version that each event gets (0: none), and the last one of each stream."""
        if len(commit.events) == 1:
            stream = (commit.events[0].aggregate, commit.events[0].source)
            if not stream[0]:
                return [0], {}
            version = self._version(stream) + 1
            return [version], {stream: version}
        streams = [(event.aggregate, event.source) for event in commit.events]
        grown = dict.fromkeys(streams, 0)
        if len(grown) == len(streams) and all(map(_ROOT, streams)):
            # Mostly each is of another stream, and all can be looked up at once.
            versions = [version + 1 for version in self._lookup.versions(streams, self._versions)]
            grown.update(zip(streams, versions, strict=True))
            return versions, grown
        versions = []
        grown.clear()
        for stream in streams:
            version = 0
            if stream[0]:
                known = grown.get(stream)
                version = grown[stream] = (self._version(stream) if known is None else known) + 1
            versions.append(version)
        return versions, grown

    def take_in(self) -> None:
        """Let everyone read what is on disk now."""
        address = self._log.own.address
        length = sum(map(len, self._lines))
        self._log.publish(length, self._position, self._time_us)
        self._lookup.add_written(self._commits, self._lines, address, self._versions)
        self.is_readable = True

    def announce(self) -> None:
        """Let other writers go on behind what is written now."""
        self.address = self._log.own.address
        self._log.announce(sum(map(len, self._lines)), self._position, self._time_us)

    def take_in_settled(self) -> bool:
        """Know what was announced and is on disk now; return whether it is there."""
        if self.address < 0:
            return True
        if not self._log.holds(self.data(), self.address):
            return False
        self._lookup.add_written(self._commits, self._lines, self.address, self._versions)
        self.is_readable = True
        return True

    def holds(self, commit_id: str) -> bool:
        """Tell whether a commit is to be written with this batch."""
        return commit_id in self._made

    def answer_repeat(self, commit: Commit, reply: Reply) -> None:
        """Answer at once a commit that was stored before this batch, if it was.

        Raises:
            StoreDamaged: What is stored of it is damaged.
            OSError: It cannot be read.
        """
        known = self._stored(commit.id, self._log.mark().address)
        if known is None:
            return
        try:
            reply.set_result(_as_repeat(commit, known))
        except CommitIdReused as error:
            reply.set_exception(error)

    def answer(self) -> None:
        """Answer everyone whose commit is on disk, or refused."""
        for reply, answer in self._answers:
            reply.set_result(answer)
        for reply, error in self._refusals:
            reply.set_exception(error)

    def answer_repeats(self) -> None:
        """Answer those whose commit was stored before this batch, which came to nothing."""
        for reply, answer in self._answers:
            if answer.events[0].position < self._readable_position:
                reply.set_result(answer)
        self.give_up()

    def give_up(self) -> None:
        """Forget the answers: nothing of the batch is stored."""
        self._answers.clear()
        self._refusals.clear()


def _answer_from(stored: StoredCommit) -> CommittedEvents:
    return CommittedEvents(tuple(events_of(stored)), stored.next_position)


def _as_repeat(commit: Commit, known: CommittedEvents) -> CommittedEvents:
    if not is_same_commit(commit, known.events):
        raise CommitIdReused(commit.id)
    return msgspec.structs.replace(known, is_repeat=True)
