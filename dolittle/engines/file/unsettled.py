"""Lines of others that are not known to be on disk yet: decided behind, shown to nobody."""

from __future__ import annotations

from typing import Final

from dolittle.engines.file.line import StoredCommit
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.segments import BLOCK_BYTES, Lines
from dolittle.errors import StoreDamaged

_FEW_BYTES: Final = BLOCK_BYTES
"""The lookup catches up with more than this by itself."""


class Unsettled:
    """What the writer has read behind what may be read, for as long as it decides and waits."""

    def __init__(self, log: Log, lookup: Lookup) -> None:
        self._log = log
        self._lookup = lookup
        self._commits: list[StoredCommit] = []
        self._lines: list[bytes] = []
        self._forget()

    def catch_up(self) -> list[StoredCommit]:
        """Let the lookup catch up with what may be read; return what was written behind it.

        Needs the write lock, and a log that was brought up to date.

        Raises:
            StoreDamaged: A line is damaged.
            OSError: The disk failed.
        """
        try:
            return self._catch_up()
        except StoreDamaged:
            if not self._log.is_doubted:
                raise
            # What a failed sync has just taken away is no damage.
            self._log.recover()
            return self._catch_up()

    def _catch_up(self) -> list[StoredCommit]:
        log, lookup = self._log, self._lookup
        self._forget()
        if not log.has_unsettled:
            lookup.catch_up(log.readable)
            return []
        lag = lookup.lag_bytes(log.own)
        if lag > min(_FEW_BYTES, log.own.size):
            lookup.catch_up(log.readable)
            lag = log.own.address - log.readable.address
        if not lag:
            # They were synced since, and somebody who reads has looked at them.
            return []
        self._read(lag)
        return self._hand_over(log.readable.address)

    def _read(self, length: int) -> None:
        log, segments = self._log, self._log.segments
        address = log.own.address - length
        data = segments.read(segments.last, address - segments.last.base, length)
        lines = Lines(address, data[:-1])
        commits, damage = segments.decode_intact(lines)
        if damage is None and commits[-1].next_position != log.own.position:
            damage = segments.damage(log.own.address, "the log ends at another position")
        if damage is not None:
            raise damage
        self._address, self._data = address, data
        self._commits, self._lines = commits, lines.lines

    def _hand_over(self, end: int) -> list[StoredCommit]:
        """Give the lookup the lines before an address, and return the others."""
        while self._commits and self._address < end:
            commit, line = self._commits.pop(0), self._lines.pop(0)
            self._lookup.add(commit, line, self._address)
            self._address += len(line) + 1
            self._data = self._data[len(line) + 1 :]
        return self._commits

    def are_settled(self) -> bool:
        """Give all of them to the lookup, for they are on disk; return whether they are there.

        After a failed sync of another process they may be gone.
        """
        if not self._data:
            return True
        is_there = self._log.holds(self._data, self._address)
        if is_there:
            self._hand_over(self._address + len(self._data))
        self._forget()
        return is_there

    def _forget(self) -> None:
        self._address, self._data = 0, b""
        self._commits, self._lines = [], []
