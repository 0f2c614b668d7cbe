"""Every bit of a log of 64 KiB flipped, and the log cut at every byte: never a wrong event.

A flip is looked for twice. For every bit, in the line that holds it and its neighbour: a line is
read alone, so that no other can hide it. For as many bytes as asked, in the whole store: opened,
read and verified.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from dolittle.engines.file.line import decode, is_intact, seed_of
from dolittle.engines.file.store import FileStore
from dolittle.engines.file.verify import Verification
from dolittle.errors import StoreDamaged
from dolittle.store import Commit, CommittedEvent, EventToCommit, Selection
from tests.torture.disk import Folder, Inode, SimulatedDisk
from tests.torture.history import require
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, commit_together

LOG_BYTES: Final = 64 * 1024
FLIPS_PER_COURSE: Final = 256
NAME: Final = "00000000000000000000.jsonl"


class FlippedLog:
    """A store with a log of one segment, on a simulated disk; each question is put to a copy."""

    def __init__(self, log_bytes: int = LOG_BYTES) -> None:
        self._course = Course(1, durability="fsync")
        self._course._has_index = False
        self._course._segment_bytes = 10 * log_bytes
        self._disk = SimulatedDisk(NOWHERE)
        store = self._course._open(self._disk)
        chance = random.Random(1)
        number = 0
        while store._log.own.address < log_bytes:
            content = b'{"dish":"%b"}' % (b"T" * chance.randint(0, 400))
            event = EventToCommit("DishPrepared", f"s{number % 9}", content, aggregate="Kitchen")
            commit_together(store, [Commit(f"{number:032x}", (event,), NOBODY)])
            number += 1
        self.seed = seed_of(store.id)
        self.events = self._read(store)[0]
        store._close()
        # Nothing is left that is believed within one boot only.
        self._disk = self._disk.after_power_cut(chance)
        self.log = self._disk.content("log")[NAME]

    @staticmethod
    def _read(store: FileStore) -> tuple[list[CommittedEvent], StoreDamaged | None]:
        events: list[CommittedEvent] = []
        try:
            for page in store._reader.pages(Selection()):
                events.extend(page.events)
        except StoreDamaged as damage:
            return events, damage
        return events, None

    def flip_every_bit(self) -> int:
        """Flip each bit within its line; return how many were tried.

        Raises:
            BrokenPromiseError: A flip was not noticed.
        """
        lines = self.log.split(b"\n")[:-1]
        tried = 0
        for number, line in enumerate(lines):
            # The newline behind it as well: flipped, it makes one line of two.
            behind = lines[number + 1] if number + 1 < len(lines) else b""
            whole = bytearray(line + b"\n")
            for bit in range(8 * len(whole)):
                whole[bit >> 3] ^= 1 << (bit & 7)
                if bit >> 3 == len(line):
                    parts = (bytes(whole) + behind).split(b"\n")
                else:
                    parts = bytes(whole[:-1]).split(b"\n")
                for part in parts:
                    if part != behind and is_intact(part, self.seed):
                        decode(part)
                        require(False, f"bit {bit} of line {number + 1} was not noticed")
                whole[bit >> 3] ^= 1 << (bit & 7)
                tried += 1
        return tried

    def flip_in_store(self, offset: int, bit: int) -> None:
        """Flip one bit, and open, read and verify the whole store.

        Raises:
            BrokenPromiseError: It was not noticed, or a wrong event was shown.
        """
        log = bytearray(self.log)
        log[offset] ^= 1 << bit
        store, disk = self._opened(bytes(log))
        events, damage = self._read(store)
        whole = self.log.count(b"\n", 0, offset)
        require(events == self.events[: len(events)], f"a wrong event after a flip at {offset}")
        require(len(events) == whole, f"events are gone that stand before a flip at {offset}")
        is_last = offset > self.log.rfind(b"\n", 0, -1)
        if is_last:
            # Nothing proves that it had been acknowledged; a copy of it is kept.
            require(store.damage is None, "the last line was called damaged without a proof")
            (copy,) = disk.content("torn").values()
            require(copy == log[self.log.rfind(b"\n", 0, -1) + 1 :], "the copy is not the tail")
        else:
            require(damage is not None, f"reading did not notice a flip at {offset}")
            require(store.damage is not None, f"opening did not notice a flip at {offset}")
            steps = Verification(disk, store._log, store._lookup).steps(None)
            found = [each for step in steps for each in step]
            require(found[0].line == whole + 1, f"verify names another line than {whole + 1}")
        store._lookup.close()

    def cut_in_store(self, size: int) -> None:
        """Cut the log, and open and read the whole store.

        Raises:
            BrokenPromiseError: Something else than the whole commits before the cut is there.
        """
        store, _ = self._opened(self.log[:size])
        events, damage = self._read(store)
        require(damage is None and store.damage is None, "a cut was called damage")
        require(events == self.events[: self.log.count(b"\n", 0, size)], f"wrong after {size}")
        store._lookup.close()

    def _opened(self, log: bytes) -> tuple[FileStore, SimulatedDisk]:
        disk = self._disk.after_kill()
        folder = disk.root.names["log"]
        assert isinstance(folder, Folder)
        node = folder.names[NAME]
        assert isinstance(node, Inode)
        node.cached, node.versions = log, (log,)
        return self._course._open(disk), disk


def flip_share(part: tuple[int, int, int]) -> Counter[str]:
    """Flip one bit of some bytes, and cut before them: those from, to, in steps."""
    flipped = FlippedLog()
    tried: Counter[str] = Counter()
    for offset in range(*part):
        if offset < len(flipped.log):
            flipped.flip_in_store(offset, (offset * 7 + offset // 8) % 8)
            flipped.cut_in_store(offset)
            tried["bytes"] += 1
    return tried
