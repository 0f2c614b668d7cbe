"""Writing one batch after another: decided, written and synced, or refused, whatever goes wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.batch import Batch
from dolittle.engines.file.files import FULL, READ_ONLY
from dolittle.engines.file.lock import FileLock
from dolittle.engines.file.log import Log, SyncFailed
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.replies import Reply
from dolittle.engines.file.unsettled import Unsettled
from dolittle.errors import (
    CommitOutcomeUnknown,
    DolittleError,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreReadOnly,
)
from dolittle.execution import Clock
from dolittle.store import Commit

_SHARE_OF_LAST: Final = 0.125
"""How much the latest batch counts in what the disk is known to take."""


class Waiting(NamedTuple):
    """A commit that is to be written."""

    commit: Commit
    size: int
    reply: Reply


class Batches:
    """Writes batches; one thread at a time may call its methods.

    Attributes:
        poison: Why nothing is written any more; empty as long as anything is.
        batch_s: What writing and syncing a batch lately takes; infinite while it is not known.
    """

    def __init__(
        self,
        folder: Path,
        lock: FileLock,
        log: Log,
        lookup: Lookup,
        clock: Clock,
        on_poison: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            folder: Of the store.
            lock: What is held while a batch is written.
            log: What is written to.
            lookup: What is known of the log.
            clock: Tells the time of commits.
            on_poison: Called with the reason when nothing may be written any more; sets
                :attr:`poison`.
        """
        self._folder = folder
        self._lock = lock
        self._log = log
        self._lookup = lookup
        self._unsettled = Unsettled(log, lookup)
        self._clock = clock
        self._on_poison = on_poison
        self.poison = ""
        self.batch_s = math.inf

    def write(self, taken: list[Waiting], *, is_locked: bool = False) -> Batch:
        """Write commits as one batch; needs the turn.

        Args:
            taken: The commits.
            is_locked: The lock is held already; it is let go of.

        Returns:
            What is still to be answered: everything that was stored or refused. Where nothing
            could be written, everyone has been told.
        """
        batch = self.begin(taken, is_locked=is_locked)
        if batch.is_to_be_settled:
            self.settle(batch, taken)
        return batch

    def begin(self, taken: list[Waiting], *, is_locked: bool = False) -> Batch:
        """Decide commits and write them; see :meth:`write`. What it returns may need settling."""
        batch = Batch(self._log, self._lookup, self._clock)
        if self.poison:
            if is_locked:
                self._lock.let_go()
            self._fail(taken, StoreClosed(self._folder, self.poison))
            return batch
        try:
            with self._lock.held(is_taken=is_locked):
                self._write_locked(batch, taken)
        except BaseException as error:  # noqa: BLE001 - raised again where nobody expects it
            self._fail_batch(batch, taken, error)
        return batch

    def settle_soon(self, batch: Batch, taken: list[Waiting], wait_s_max: float) -> bool:
        """Do as :meth:`settle`, unless it takes longer; return whether it is done.

        Args:
            batch: What was written.
            taken: The commits.
            wait_s_max: How long to wait for the sync of another process.
        """
        try:
            is_settled = self._log.settle(wait_s_max)
        except StoreBusy:
            return False
        except BaseException as error:  # noqa: BLE001 - raised again where nobody expects it
            self._fail_batch(batch, taken, error)
            return True
        if is_settled:
            self.settle(batch, taken)
        return is_settled

    def settle(self, batch: Batch, taken: list[Waiting]) -> None:
        """Wait until a batch that was written among those of others is on disk."""
        began = time.perf_counter()
        try:
            while not self._log.settle():
                with self._lock.held():
                    self._log.recover()
            if not (self._unsettled.are_settled() and batch.take_in_settled()):
                raise SyncFailed("another one's failed, and what was written is gone")
        except StoreBusy as error:
            self._leave_to_others(batch, taken, error)
        except StoreError as error:
            # It was written, and what becomes of it others decide.
            self._fail_batch(batch, taken, OSError(str(error)))
        except BaseException as error:  # noqa: BLE001 - raised again where nobody expects it
            self._fail_batch(batch, taken, error)
        else:
            self._learn_time(time.perf_counter() - began)

    def _leave_to_others(self, batch: Batch, taken: list[Waiting], error: StoreBusy) -> None:
        """Answer where another process is syncing for too long: it may still succeed, or not."""
        batch.give_up()
        for waiting in taken:
            if not waiting.reply.done():
                is_written = batch.holds(waiting.commit.id)
                unknown = CommitOutcomeUnknown(waiting.commit.id, str(error))
                waiting.reply.set_exception(unknown if is_written else error)

    def _fail_batch(self, batch: Batch, taken: list[Waiting], error: BaseException) -> None:
        if batch.address >= 0:
            batch.has_begun = True
        if isinstance(error, SyncFailed):
            error = OSError(f"the sync failed: {error}")
        if isinstance(error, StoreError):
            batch.give_up()
            self._fail(taken, error)
        elif isinstance(error, OSError):
            self._refuse(batch, taken, error)
        else:
            reason = f"an unexpected error: {error!r}"
            self._poison_with(reason, taken, is_outcome_known=not batch.has_begun, cause=error)
            raise error

    def _write_locked(self, batch: Batch, taken: list[Waiting]) -> None:
        if self._log.damage is not None or self._lookup.damage is not None:
            raise self._log.damage or self._lookup.damage  # type: ignore[misc]
        self._log.bring_up_to_date()
        # A reader that makes the index anew meanwhile would let versions seem lower.
        with self._lookup.undisturbed():
            batch.stand_behind(self._unsettled.catch_up())
            for waiting in taken:
                batch.decide(waiting.commit, waiting.reply)
        if not batch.has_lines:
            return
        batch.has_begun = True
        began = time.perf_counter()
        has_company = self._log.has_company
        try:
            if has_company:
                self._log.write(batch.data())
            else:
                self._log.append(batch.data())
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._log.cut_back()
            batch.has_begun = False
            raise
        if has_company:
            batch.announce()
            return
        self._learn_time(time.perf_counter() - began)
        batch.take_in()

    def _learn_time(self, taken_s: float) -> None:
        if self.batch_s < math.inf:
            taken_s = self.batch_s + _SHARE_OF_LAST * (taken_s - self.batch_s)
        self.batch_s = taken_s

    def _refuse(self, batch: Batch, taken: list[Waiting], error: OSError) -> None:
        """Answer after an error of the disk, and write no more where the outcome is unknown."""
        refusal: DolittleError
        batch.answer_repeats()
        if not batch.has_begun:
            self._answer_undecided(batch, taken)
        if not batch.has_begun and error.errno in FULL:
            refusal = StoreFull(self._folder)
        elif not batch.has_begun and error.errno in READ_ONLY:
            refusal = StoreReadOnly(self._folder, error.strerror or str(error))
        else:
            reason = f"the disk failed ({error})"
            self._poison_with(reason, taken, is_outcome_known=not batch.has_begun)
            return
        refusal.__cause__ = error
        self._fail(taken, refusal)

    def _answer_undecided(self, batch: Batch, taken: list[Waiting]) -> None:
        """Answer repeats of what is stored, where the disk failed before the batch was decided."""
        waiting = [each for each in taken if not (each.reply.done() or batch.holds(each.commit.id))]
        if not waiting:
            return
        try:
            self._lookup.catch_up(self._log.mark())
            unsettled = self._log.unsettled_ids()
            for each in waiting:
                batch.answer_repeat(each.commit, each.reply)
                if not each.reply.done() and each.commit.id in unsettled:
                    # It was tried before, and what became of it is not known until there is room.
                    reason = "an earlier try of it is not settled yet"
                    each.reply.set_exception(CommitOutcomeUnknown(each.commit.id, reason))
        except (OSError, StoreError) as error:
            for each in waiting:
                if not each.reply.done():
                    unknown = CommitOutcomeUnknown(each.commit.id, f"the disk failed ({error})")
                    each.reply.set_exception(unknown)

    def _poison_with(
        self,
        reason: str,
        taken: list[Waiting],
        *,
        is_outcome_known: bool,
        cause: BaseException | None = None,
    ) -> None:
        """Write no more, and tell everyone who waits."""
        self._on_poison(reason)
        for waiting in taken:
            if not waiting.reply.done():
                error: DolittleError = (
                    StoreClosed(self._folder, reason)
                    if is_outcome_known
                    else CommitOutcomeUnknown(waiting.commit.id, reason)
                )
                error.__cause__ = cause
                waiting.reply.set_exception(error)

    def _fail(self, taken: list[Waiting], error: DolittleError) -> None:
        for waiting in taken:
            if not waiting.reply.done():
                waiting.reply.set_exception(error)
