"""Who writes, and when: one at a time, everything that waits at once, with a single sync.

Mostly that is a thread of its own, which takes what is queued. Whoever commits alone, on a disk
that is quick, writes by itself: to hand one commit over and its answer back takes longer than to
write it.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from dolittle.engines.file.batch import Batch
from dolittle.engines.file.batches import Batches, Waiting
from dolittle.engines.file.lock import FileLock
from dolittle.engines.file.log import Log
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.replies import Reply, deliver
from dolittle.errors import (
    StoreClosed,
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

QUICK_S: Final = 0.001
"""Who commits writes by itself only while writing and syncing take less than this.

So long an event loop may stand still: no longer than a slow callback of the program's own.
"""

_QUICK_BYTES_MAX: Final = 256 * 1024


class _Token(enum.Enum):
    """What stands in the queue beside commits."""

    END = enum.auto()
    LOOK = enum.auto()


class Writer:
    """Commits for any number of threads. Its own starts when there is something for it to do."""

    def __init__(
        self,
        folder: Path,
        lock: FileLock,
        log: Log,
        lookup: Lookup,
        clock: Clock,
        on_commit: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._log = log
        self._lookup = lookup
        self._batches = Batches(folder, lock, log, lookup, clock, self._stop)
        self._on_commit = on_commit
        # A C queue and not a condition: nobody wakes the writer but to hand something over.
        self._queue: queue.SimpleQueue[Waiting | _Token] = queue.SimpleQueue()
        self._next: Waiting | _Token | None = None
        self._room = threading.Condition()
        self._entering = 0
        # Commits in the queue or taken from it, and not answered yet.
        self._under_way = 0
        # Held by whoever writes; what is in the queue is written before anything else.
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_asleep = False
        self._has_written = False
        self._is_closing = False

    @property
    def is_full(self) -> bool:
        """Whether :meth:`submit` would wait."""
        return self._queue.qsize() >= QUEUE_COMMITS_MAX

    def submit(self, commit: Commit, reply: Reply) -> None:
        """Queue a commit that was checked; waits while the queue is full.

        Raises:
            StoreClosed: Nothing is written any more.
        """
        with self._room:
            if self.is_full:
                self._wait_for_room()
            self._enqueue(_waiting(commit, reply))

    def enqueue(self, commits: Iterable[tuple[Commit, Reply]]) -> None:
        """Queue commits that were checked, without waiting for room.

        Raises:
            StoreClosed: Nothing is written any more; none of them is queued.
        """
        with self._room:
            for commit, reply in commits:
                self._enqueue(_waiting(commit, reply))

    def _enqueue(self, waiting: Waiting | _Token) -> None:
        self._raise_if_closed()
        if waiting is not _Token.LOOK:
            self._under_way += 1
        self._queue.put(waiting)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dolittle-writer", daemon=True)
            self._thread.start()

    def write_now(self, commit: Commit, reply: Reply) -> bool:
        """Write a commit that was checked in this thread, if nothing speaks against it.

        Returns:
            Whether the reply was answered, or will be when another process has finished its sync.
            Otherwise nothing was done: others are about to write, the disk is slow, or there is
            much to catch up with.
        """
        is_handed_over = False
        waiting = _waiting(commit, reply)
        if not self._may_write_now(waiting) or not self._turn.acquire(blocking=False):
            return False
        try:
            # Looked at with the turn: what was queued before goes first.
            if self._under_way or self._batches.poison or self._is_closing:
                return False
            if not self._lock.take(self._patience_s()):
                return False
            reply.set_running_or_notify_cancel()
            try:
                batch = self._batches.begin([waiting], is_locked=True)
                if batch.is_to_be_settled and not self._batches.settle_soon(
                    batch, [waiting], QUICK_S
                ):
                    # Another process is slow. This thread, an event loop's maybe, is not held up.
                    is_handed_over = self._hand_over(batch, waiting)
                    if is_handed_over:
                        return True
                    self._batches.settle(batch, [waiting])
            except Exception:  # noqa: BLE001 - every fault is told to whoever waits
                # A fault of this program, and told: the answer names it as its cause.
                return True
            self._has_written = True
            if self._is_asleep or self._lookup.is_flush_due:
                # Only the thread brings the tail into the index.
                with self._room, contextlib.suppress(StoreClosed):
                    self._enqueue(_Token.LOOK)
        finally:
            if not is_handed_over:
                self._turn.release()
        self._tell(batch)
        return True

    def _hand_over(self, batch: Batch, waiting: Waiting) -> bool:
        """Let a thread settle a batch that was begun, and give it the turn; return if it could."""
        finish = functools.partial(self._finish, batch, waiting)
        try:
            threading.Thread(target=finish, name="dolittle-settle", daemon=True).start()
        except RuntimeError:
            # The system, or an interpreter that ends, starts no thread any more.
            return False
        return True

    def _finish(self, batch: Batch, waiting: Waiting) -> None:
        """Settle a batch that another thread has begun, with its turn; then answer."""
        try:
            try:
                self._batches.settle(batch, [waiting])
            finally:
                batch.answer()
                deliver([waiting.reply])
            if batch.is_readable:
                self._on_commit()
            with self._room, contextlib.suppress(StoreClosed):
                self._enqueue(_Token.LOOK)
        finally:
            self._turn.release()

    def _tell(self, batch: Batch) -> None:
        batch.answer()
        if batch.is_readable:
            self._on_commit()

    def _may_write_now(self, waiting: Waiting) -> bool:
        return (
            self._batches.batch_s < QUICK_S
            and not self._under_way
            and waiting.size < _QUICK_BYTES_MAX
            and self._lookup.lag_bytes(self._log.mark()) < _QUICK_BYTES_MAX
        )

    def _patience_s(self) -> float:
        """Return how long to wait for others: a batch among them does not hold the lock long."""
        return QUICK_S / 2 if self._log.has_company else 0.0

    def _wait_for_room(self) -> None:
        # Counted before looking, so that whoever makes room afterwards sees it.
        self._entering += 1
        try:
            while self.is_full and not self._is_closing and not self._batches.poison:
                self._room.wait()
        finally:
            self._entering -= 1

    def _raise_if_closed(self) -> None:
        if self._batches.poison:
            raise StoreClosed(self._folder, self._batches.poison)
        if self._is_closing:
            raise StoreClosed(self._folder)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            # A fault of this program: nobody may be left waiting for a thread that has ended.
            self._stop(f"an unexpected error: {error!r}")
            raise

    def _serve(self) -> None:
        while True:
            first = self._first()
            if first is _Token.END:
                return
            taken = self._take(first) if isinstance(first, Waiting) else []
            if taken:
                self._write_queued(taken)
            with self._turn:
                is_idle = not (taken or self._has_next() or self._has_written)
                self._has_written = False
                if self._lookup.is_flush_due or (is_idle and first is None):
                    self._lookup.flush(self._log.mark())

    def _write_queued(self, taken: list[Waiting]) -> None:
        batch = None
        try:
            with self._turn:
                batch = self._batches.write(taken)
        finally:
            # Before anyone is told: who then commits again is alone.
            with self._room:
                self._under_way -= len(taken)
            if batch is not None:
                batch.answer()
            deliver(waiting.reply for waiting in taken)
        if batch.is_readable:
            self._on_commit()

    def _first(self) -> Waiting | _Token | None:
        """Wait for something in the queue; ``None``: there was nothing for a while."""
        first, self._next = self._next, None
        if first is not None:
            return first
        if self._lookup.has_tail:
            try:
                return self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                return None
        self._is_asleep = True
        try:
            # Whoever wrote by itself before it could see the thread asleep.
            return _Token.LOOK if self._lookup.has_tail else self._queue.get()
        finally:
            self._is_asleep = False

    def _take(self, first: Waiting) -> list[Waiting]:
        """Take what is queued behind the first commit, as much as goes into one batch."""
        taken: list[Waiting] = []
        size, left_out, waiting = 0, 0, first
        while True:
            size += waiting.size
            # Whoever was cancelled before its turn is left out; after it, nobody is.
            if waiting.reply.set_running_or_notify_cancel():
                taken.append(waiting)
            else:
                left_out += 1
            if self._queue.empty():
                break
            following = self._queue.get()
            if following is _Token.LOOK:
                break
            if (
                isinstance(following, _Token)
                or size + following.size > BATCH_BYTES_MAX
                or len(taken) >= BATCH_COMMITS_MAX
            ):
                self._next = following
                break
            waiting = following
        if self._entering or left_out:
            with self._room:
                self._under_way -= left_out
                self._room.notify_all()
        return taken

    def _has_next(self) -> bool:
        return self._next is not None or not self._queue.empty()

    def _stop(self, reason: str) -> None:
        """Write no more, and tell everyone who is queued."""
        with self._room:
            self._batches.poison = self._batches.poison or reason
            queued = self._drained()
            self._room.notify_all()
        for waiting in queued:
            if waiting.reply.set_running_or_notify_cancel():
                waiting.reply.set_exception(StoreClosed(self._folder, reason))
        deliver(waiting.reply for waiting in queued)

    def _drained(self) -> list[Waiting]:
        """Empty the queue, but for its end."""
        found: list[Waiting | _Token] = [self._next] if self._next is not None else []
        self._next = None
        while not self._queue.empty():
            found.append(self._queue.get())
        if _Token.END in found:
            self._queue.put(_Token.END)
        return [each for each in found if isinstance(each, Waiting)]

    def close(self) -> None:
        """Finish what is queued, bring the tail into the index, end the thread."""
        with self._room:
            if not self._is_closing:
                self._queue.put(_Token.END)
            self._is_closing = True
            self._room.notify_all()
        if self._thread is not None:
            self._thread.join()
        with self._turn:
            # Whoever is just writing by itself has finished.
            pass


def _waiting(commit: Commit, reply: Reply) -> Waiting:
    return Waiting(commit, sum([len(event.content) for event in commit.events]), reply)
