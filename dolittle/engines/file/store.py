"""FileStore: the event store of one tenant in one folder; any number of processes may use it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Final, Literal

from dolittle.engines.file.files import FULL, READ_ONLY, Files, OsFiles
from dolittle.engines.file.identity import read_identity
from dolittle.engines.file.line import events_of, storable
from dolittle.engines.file.lock import WAIT_S_MAX, FileLock
from dolittle.engines.file.log import SEGMENT_BYTES, Log, SyncFailed
from dolittle.engines.file.lookup import Lookup
from dolittle.engines.file.opening import check_sealed, identified, take_folder
from dolittle.engines.file.reading import Reader
from dolittle.engines.file.replies import LoopReply, ThreadReply
from dolittle.engines.file.turns import TurnOfLoop
from dolittle.engines.file.verify import Finding, Progress, Verification
from dolittle.engines.file.wake import Sender, Waiters
from dolittle.engines.file.writer import Writer
from dolittle.errors import (
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from dolittle.execution import Clock, SystemClock, new_id
from dolittle.store import (
    Commit,
    CommittedEvent,
    CommittedEvents,
    Page,
    Position,
    Selection,
    StoreFacts,
    Stream,
    check_size,
)

Durability = Literal["fsync", "os"]
"""``fsync``: an answered commit survives a power cut. ``os``: only the end of the process."""

_INLINE_BYTES_MAX: Final = 256 * 1024
"""Catching up with more than this happens in a thread, so that the event loop goes on."""


class FileStore:
    """The event log of one tenant as files.

    Make one with :meth:`open`. All methods may be called from any event loop, :meth:`submit`
    from any thread.
    """

    def __init__(
        self,
        folder: Path,
        store_id: str,
        *,
        files: Files,
        clock: Clock,
        durability: Durability,
        segment_bytes: int,
        lock: FileLock | None,
        read_only_reason: str,
    ) -> None:
        """Do not call this; see :meth:`open`."""
        self._folder = folder
        self._id = store_id
        self._files = files
        self._durability = durability
        self._lock = lock
        self._read_only_reason = read_only_reason
        self._is_closed = False
        self._damage: StoreDamaged | None = None
        with ExitStack() as undo:
            self._log = Log(
                files,
                folder,
                store_id,
                clock=clock,
                is_writable=lock is not None,
                is_synced=durability == "fsync",
                segment_bytes=segment_bytes,
                lock_wait_s=lock.wait_s_max if lock is not None else WAIT_S_MAX,
            )
            undo.callback(self._log.close)
            with lock.held() if lock is not None else nullcontext():
                if lock is None:
                    self._log.find_end()
                else:
                    with suppress(StoreDamaged):
                        # Kept as ``damage``: reading goes on up to there.
                        self._log.bring_to_disk()
            self._lookup = Lookup(files, folder, store_id, self._log, is_writable=lock is not None)
            undo.callback(self._lookup.close)
            self._damage = check_sealed(self._log, self._lookup)
            self._reader = Reader(self._log, self._lookup)
            self._waiters = Waiters(folder, lambda: self._log.mark().position, new_id())
            self._sender: Sender | None = None
            self._waking = threading.Lock()
            self._writer: Writer | None = None
            self._turn_of_loop: TurnOfLoop
            if lock is not None:
                self._writer = Writer(folder, lock, self._log, self._lookup, clock, self._on_commit)
                self._turn_of_loop = TurnOfLoop(self._writer)
            undo.pop_all()

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        durability: Durability = "fsync",
        clock: Clock | None = None,
        read_only: bool = False,
        files: Files | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        lock_wait_s: float = WAIT_S_MAX,
    ) -> FileStore:
        """Open the store in a folder, or make one there.

        A folder that cannot be written to is opened for reading. A store whose end is torn is
        mended, with a copy kept in ``torn``; one with damaged events is opened for reading, and
        :attr:`damage` says so.

        Args:
            folder: Of one tenant.
            durability: What an answered commit survives.
            clock: Tells the time of commits.
            read_only: Change nothing in the folder, whatever is there. (Whoever waits still binds
                a socket in ``readers``, if that is possible.)
            files: Through what the disk is touched.
            segment_bytes: When a new segment is begun.
            lock_wait_s: How long to wait for another process that writes.

        Raises:
            FileNotFoundError: There is no store, and ``read_only``.
            UnsupportedStoreFormat: Another version of dolittle wrote it; nothing was changed.
            StoreDamaged: ``store.json`` is damaged.
            StoreBusy: Another process holds the lock.
            StoreReadOnly: There is no store, and none can be made; or a part of the store
                cannot be written to.
            StoreFull: The disk is full, and the store needs mending or making.
            StoreUnavailable: Something else stands where the store should be, or the disk fails.
        """
        opened = functools.partial(
            cls._open_now,
            folder,
            files or OsFiles(),
            clock or SystemClock(),
            durability=durability,
            read_only=read_only,
            segment_bytes=segment_bytes,
            lock_wait_s=lock_wait_s,
        )
        return await asyncio.to_thread(opened)

    @classmethod
    def _open_now(
        cls,
        folder: Path,
        files: Files,
        clock: Clock,
        *,
        durability: Durability,
        read_only: bool,
        segment_bytes: int,
        lock_wait_s: float,
    ) -> FileStore:
        lock, reason = None, "it was opened for reading only"
        try:
            store_id = read_identity(files, folder)
            if not read_only:
                lock, reason = take_folder(files, folder, lock_wait_s, is_new=store_id is None)
            if lock is not None:
                with lock.held():
                    store_id = identified(files, folder, clock)
            if store_id is None:
                raise FileNotFoundError(f"there is no event store in {folder}")
            return cls(
                folder,
                store_id,
                files=files,
                clock=clock,
                durability=durability,
                segment_bytes=segment_bytes,
                lock=lock,
                read_only_reason=reason,
            )
        except BaseException as error:
            if lock is not None:
                lock.close()
            if isinstance(error, SyncFailed):
                raise StoreUnavailable(folder, f"the sync failed: {error}") from error
            if isinstance(error, OSError) and error.errno is not None:
                raise _refusal(folder, error, error.errno) from error
            raise

    @property
    def id(self) -> str:
        """An id that this log got when it was made."""
        return self._id

    @property
    def damage(self) -> StoreDamaged | None:
        """What is wrong with stored events, as far as it is known; nothing is written then."""
        return self._damage or self._log.damage or self._lookup.damage

    @property
    def is_read_only(self) -> bool:
        """Whether commits are refused because the folder cannot be written to."""
        return self._writer is None

    # Committing -----------------------------------------------------------------------------

    def submit(self, commit: Commit) -> Future[CommittedEvents]:
        """Commit from any thread; the future answers as :meth:`commit` does.

        Waits while the queue is full. In a thread that asks for each answer before it commits
        again, the commit may be written at once, and its future be done already.

        Raises:
            CommitTooLarge: Over a limit.
            PayloadDoesNotFit: An event's content is not one JSON object.
            StoreReadOnly: The folder cannot be written to.
            StoreDamaged: Stored events are damaged.
            StoreClosed: The store was closed.
        """
        writer, commit = self._checked(commit)
        reply = ThreadReply()
        if not (ThreadReply.is_awaited_here() and writer.write_now(commit, reply)):
            writer.submit(commit, reply)
        return reply

    def _checked(self, commit: Commit) -> tuple[Writer, Commit]:
        if self._is_closed:
            raise StoreClosed(self._folder)
        check_size(commit)
        commit = storable(commit)
        if self._writer is None:
            raise StoreReadOnly(self._folder, self._read_only_reason)
        if self.damage is not None:
            raise self.damage
        return self._writer, commit

    async def commit(self, commit: Commit) -> CommittedEvents:
        """Append a commit, atomically; return when it is durable. See the port for what it raises.

        A task that commits alone writes in its event loop's thread while the disk is quick, less
        than a millisecond a batch. A commit whose task is cancelled may have been made all the
        same.
        """
        writer, commit = self._checked(commit)
        if writer.is_full:
            reply = LoopReply()
            await asyncio.to_thread(writer.submit, commit, reply)
            return await reply.future
        return await self._turn_of_loop.commit(commit)

    def _on_commit(self) -> None:
        """Wake who waits; called after each batch by whoever wrote it."""
        self._waiters.look()
        # Waking is a courtesy: who is not woken looks by itself.
        with self._waking, suppress(OSError):
            if self._sender is None:
                self._sender = Sender(self._folder)
            self._sender.send(self._waiters.name)

    # Reading --------------------------------------------------------------------------------

    async def read(self, selection: Selection) -> AsyncIterator[Page]:
        """Read the selected events in order, in pages; see the port."""
        await self._catch_up(
            is_needed=bool(
                selection.source or selection.aggregate or selection.types or selection.correlation
            )
        )
        for page in self._reader.pages(selection):
            yield page
            await asyncio.sleep(0)

    async def read_last(self, selection: Selection, count: int) -> list[CommittedEvent]:
        """Return the last ``count`` selected events, in log order."""
        await self._catch_up(
            is_needed=bool(
                selection.source or selection.aggregate or selection.types or selection.correlation
            )
        )
        return self._reader.last(selection, count)

    async def _catch_up(self, *, is_needed: bool = True) -> None:
        """Let the lookup catch up in a thread, where that takes long."""
        if not is_needed:
            return
        mark = self._log.mark()
        if self._lookup.lag_bytes(mark) > _INLINE_BYTES_MAX:
            with suppress(StoreDamaged):
                # Raised again where a reader gets there.
                await asyncio.to_thread(self._lookup.catch_up, mark)

    async def find_commit(self, commit_id: str) -> CommittedEvents | None:
        """Return a commit by its id, whole, or ``None``."""
        await self._catch_up()
        mark = self._log.mark()
        self._lookup.catch_up(mark)
        address = self._lookup.commit_address(commit_id)
        if address is None:
            return None
        stored = self._log.segments.line_at(address, mark.address)
        return CommittedEvents(tuple(events_of(stored)), stored.next_position)

    async def head(self) -> Position:
        """Return where the next event will stand."""
        return self._log.mark().position

    async def version(self, stream: Stream) -> int:
        """Return how many events an aggregate instance has."""
        await self._catch_up()
        self._lookup.catch_up(self._log.mark())
        return self._lookup.version(stream)

    async def streams(self, aggregate: str = "") -> list[tuple[Stream, int]]:
        """Return the aggregate instances with their versions, sorted."""
        await self._catch_up()
        self._lookup.catch_up(self._log.mark())
        return sorted(self._lookup.streams(aggregate).items())

    async def type_counts(self) -> dict[str, int]:
        """Return how many events there are of each event type id."""
        await self._catch_up()
        mark = self._log.mark()
        self._lookup.catch_up(mark)
        return self._lookup.type_counts(mark)

    async def wait(self, position: Position) -> None:
        """Return once there is an event at or behind ``position``."""
        await self._waiters.wait(position)

    async def verify(self, progress: Progress | None = None) -> list[Finding]:
        """Check the whole store: checksums, positions, versions, times, and the index.

        Reads everything once and keeps every commit's id in memory meanwhile.

        Args:
            progress: Called now and then with the bytes done and the bytes there are.
        """
        found: list[Finding] = []
        for findings in Verification(self._files, self._log, self._lookup).steps(progress):
            found.extend(findings)
            await asyncio.sleep(0)
        return found

    async def facts(self) -> StoreFacts:
        """Return what a person wants to know."""
        mark = self._log.mark()
        durability: str = self._durability
        return StoreFacts("file", str(self._folder), durability, mark.position, mark.address)

    # Ending ---------------------------------------------------------------------------------

    async def close(self) -> None:
        """Finish the commits under way and let go of everything. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is not None:
            self._turn_of_loop.hand_over()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._waiters.close()
        if self._sender is not None:
            self._sender.close()
        if self._lock is not None:
            # Nobody was told that it is on disk; it is only better if it is.
            with suppress(OSError, SyncFailed, StoreDamaged, StoreBusy), self._lock.held():
                self._log.sync()
            self._lookup.flush(self._log.mark())
            self._lock.close()
        self._lookup.close()
        self._log.close()


def _refusal(folder: Path, error: OSError, code: int) -> StoreError:
    """Return what a failure of the disk means to who opens a store."""
    reason = error.strerror or str(error)
    if code in FULL:
        return StoreFull(folder)
    if code in READ_ONLY:
        return StoreReadOnly(folder, reason)
    return StoreUnavailable(folder, reason)
