"""The one thread of a store object that writes: takes what is queued, writes once, syncs once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from dolittle.engines.file.batch import Batch
from dolittle.engines.file.files import FULL, READ_ONLY
from dolittle.engines.file.lock import WriteLock
from dolittle.engines.file.log import Log, SyncFailed
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.replies import Reply, deliver
from dolittle.errors import (
    CommitOutcomeUnknown,
    DolittleError,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreReadOnly,
)
from dolittle.execution import Clock
from dolittle.store import Commit

QUEUE_COMMITS_MAX: Final = 10_000
"""Commits that may wait; whoever comes then waits to be let in."""

BATCH_COMMITS_MAX: Final = 4_000
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Content in one batch, unless a single commit has more."""

IDLE_S: Final = 0.2
"""After this long without a commit the tail goes into the index."""


class Waiting(NamedTuple):
    """A commit in the queue."""

    commit: Commit
    size: int
    reply: Reply


class Writer:
    """Commits for any number of threads. The thread starts with the first commit."""

    def __init__(
        self,
        folder: Path,
        lock: WriteLock,
        log: Log,
        lookup: Lookup,
        clock: Clock,
        on_commit: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._log = log
        self._lookup = lookup
        self._clock = clock
        self._on_commit = on_commit
        # A C queue and not a condition: nobody wakes the writer but to hand something over.
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._next: Waiting | None = None
        self._room = threading.Condition()
        self._entering = 0
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._poison = ""

    @property
    def is_full(self) -> bool:
        """Whether :meth:`submit` would wait."""
        return self._queue.qsize() >= QUEUE_COMMITS_MAX

    def submit(self, commit: Commit, reply: Reply) -> None:
        """Queue a commit that was checked; waits while the queue is full.

        Raises:
            StoreClosed: Nothing is written any more.
        """
        size = sum([len(event.content) for event in commit.events])
        with self._room:
            if self.is_full:
                self._wait_for_room()
            self._raise_if_closed()
            self._queue.put(Waiting(commit, size, reply))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="dolittle-writer", daemon=True
                )
                self._thread.start()

    def _wait_for_room(self) -> None:
        # Counted before looking, so that whoever makes room afterwards sees it.
        self._entering += 1
        try:
            while self.is_full and not self._is_closing and not self._poison:
                self._room.wait()
        finally:
            self._entering -= 1

    def _raise_if_closed(self) -> None:
        if self._poison:
            raise StoreClosed(self._folder, self._poison)
        if self._is_closing:
            raise StoreClosed(self._folder)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            # A fault of this program: nobody may be left waiting for a thread that has ended.
            self._poison_with(f"an unexpected error: {error!r}", [], is_outcome_known=True)
            raise

    def _serve(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            if taken:
                self._write(taken)
            if self._lookup.is_flush_due or not (taken or self._has_next()):
                self._lookup.flush(self._log.mark())

    def _take(self) -> list[Waiting] | None:
        """Wait for commits and take them; an empty list: idle for a while; ``None``: the end."""
        waiting, self._next = self._next, None
        if waiting is None:
            try:
                waiting = self._queue.get(timeout=IDLE_S if self._lookup.has_tail else None)
            except queue.Empty:
                return []
        taken: list[Waiting] = []
        size = 0
        while waiting is not None:
            size += waiting.size
            if taken and (size > BATCH_BYTES_MAX or len(taken) >= BATCH_COMMITS_MAX):
                self._next = waiting
                break
            # Whoever was cancelled before its turn is left out; after it, nobody is.
            if waiting.reply.set_running_or_notify_cancel():
                taken.append(waiting)
            if not self._has_next():
                break
            waiting = self._queue.get()
        else:
            # The end stands behind everything else: nothing is queued after closing has begun.
            if not taken:
                return None
            self._queue.put(None)
        if self._entering:
            with self._room:
                self._room.notify_all()
        return taken

    def _has_next(self) -> bool:
        return self._next is not None or not self._queue.empty()

    def _write(self, taken: list[Waiting]) -> None:
        batch = Batch(self._log, self._lookup, self._clock)
        if self._poison:
            self._fail(taken, StoreClosed(self._folder, self._poison))
            deliver(waiting.reply for waiting in taken)
            return
        try:
            with self._lock.held():
                self._write_locked(batch, taken)
        except StoreError as error:
            self._fail(taken, error)
        except OSError as error:
            self._refuse(batch, taken, error)
        except BaseException as error:
            reason = f"an unexpected error: {error!r}"
            self._poison_with(reason, taken, is_outcome_known=not batch.has_begun)
            raise
        else:
            batch.answer()
        finally:
            deliver(waiting.reply for waiting in taken)
        if batch.is_readable:
            self._on_commit()

    def _write_locked(self, batch: Batch, taken: list[Waiting]) -> None:
        if self._log.damage is not None or self._lookup.damage is not None:
            raise self._log.damage or self._lookup.damage  # type: ignore[misc]
        self._log.bring_up_to_date()
        self._lookup.catch_up(self._log.own)
        for waiting in taken:
            batch.decide(waiting.commit, waiting.reply)
        if not batch.has_lines:
            return
        batch.has_begun = True
        try:
            self._log.append(batch.data())
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._log.cut_back()
            batch.has_begun = False
            raise
        except SyncFailed as error:
            raise OSError(f"the sync failed: {error}") from error
        batch.take_in()

    def _refuse(self, batch: Batch, taken: list[Waiting], error: OSError) -> None:
        """Answer after an error of the disk, and write no more where the outcome is unknown."""
        refusal: DolittleError
        batch.answer_repeats()
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

    def _poison_with(self, reason: str, taken: list[Waiting], *, is_outcome_known: bool) -> None:
        """Write no more, and tell everyone who waits."""
        with self._room:
            self._poison = self._poison or reason
            queued = self._drained()
            self._room.notify_all()
        for waiting in taken:
            if not waiting.reply.done():
                waiting.reply.set_exception(
                    StoreClosed(self._folder, reason)
                    if is_outcome_known
                    else CommitOutcomeUnknown(waiting.commit.id, reason)
                )
        for waiting in queued:
            if waiting.reply.set_running_or_notify_cancel():
                waiting.reply.set_exception(StoreClosed(self._folder, reason))
        deliver(waiting.reply for waiting in queued)

    def _drained(self) -> list[Waiting]:
        """Empty the queue, but for its end."""
        queued = [self._next] if self._next is not None else []
        self._next = None
        while not self._queue.empty():
            waiting = self._queue.get()
            if waiting is None:
                self._queue.put(None)
                break
            queued.append(waiting)
        return queued

    def _fail(self, taken: list[Waiting], error: DolittleError) -> None:
        for waiting in taken:
            if not waiting.reply.done():
                waiting.reply.set_exception(error)

    def close(self) -> None:
        """Finish what is queued, bring the tail into the index, end the thread."""
        with self._room:
            if not self._is_closing:
                self._queue.put(None)
            self._is_closing = True
            self._room.notify_all()
        if self._thread is not None:
            self._thread.join()
