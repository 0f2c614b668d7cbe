"""Every operation of a workload fails in its turn, until the workload passes untouched.

The workload makes a store, commits, rolls, flushes the index, leaves a torn end, recovers from it
and closes. After each failure the disk is opened again twice: as it is, and after a power cut.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from typing import Final

from dolittle.errors import StoreDamaged, StoreError
from dolittle.store import Commit, EventToCommit
from tests.torture.disk import Fault, SimulatedDisk
from tests.torture.history import require
from tests.torture.power_cuts import NOBODY, NOWHERE, Course, tell

CODES: Final = (errno.EIO, errno.ENOSPC, errno.EDQUOT, 0)
"""What an operation fails with; 0: a write is short."""

AT_MAX: Final = 1_000
"""More operations than the workload has."""

_EVENT: Final = EventToCommit("Paid", "Table 1", b'{"a":1}', aggregate="Table")


class FaultCourse(Course):
    """One run of the workload, in which one operation fails, or all from one on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.at, is_verified=True, durability="fsync")
        self._has_index = False
        self._segment_bytes = 500
        self._fault = fault

    def run(self) -> int:
        """Go through it; return how many operations failed."""
        disk = SimulatedDisk(NOWHERE)
        disk.fault = self._fault
        for number in range(3):
            self._work_once(disk, number)
        disk.fault = None
        for other in (disk.after_kill(), disk.after_power_cut(random.Random(self.seed))):
            history, self._history = self._history, self._history.copy()
            self._check(other)
            self._history = history
        self.tried.update(disk.failed)
        return len(disk.failed)

    def _work_once(self, disk: SimulatedDisk, number: int) -> None:
        """Open, commit a few, flush, leave a torn end behind; as far as the disk lets it."""
        try:
            store = self._open(disk)
        except StoreDamaged:
            raise
        except (OSError, StoreError):
            return
        require(store.damage is None, f"a false alarm: {store.damage}")
        for each in range(3):
            commit = Commit(f"{number}-{each}", (_EVENT, _EVENT), NOBODY)
            try:
                tell(self._history, store, [commit])
            except (OSError, StoreError):
                self._history.refused.discard(commit.id)
        store._lookup.flush(store._log.mark())
        store._close()
        disk.tear()


READS: Final = frozenset(("pread", "stat"))
WRITES: Final = frozenset(("pwrite",))
ALL_CHANGES: Final = frozenset[str]()


def fail_each(code: int, *, is_sticky: bool, kinds: frozenset[str] = ALL_CHANGES) -> Counter[str]:
    """Let each operation fail in its turn; return how often each kind did.

    Args:
        code: See ``CODES``.
        is_sticky: Whether everything from it on fails too.
        kinds: Which operations; empty: all that change something.

    Raises:
        BrokenPromiseError: Something that was promised did not hold.
    """
    failed: Counter[str] = Counter()
    if code == 0:
        kinds = WRITES
    for at in range(1, AT_MAX):
        course = FaultCourse(Fault(at, code, is_sticky=is_sticky, kinds=kinds))
        if course.run() == 0:
            return failed
        failed.update(course.tried)
    raise AssertionError("the workload never came to an end")
