"""Power cuts and killed processes at every step of a workload, and again while recovering.

One course of events is made of one number: a workload on a simulated disk commits, rolls, flushes,
reopens and meets errors of the sync. Before each operation that changes the disk, the disk may be
forked: the fork loses its power (or its process), is opened again and checked, while the workload
goes on. What opens the fork again may be cut off in the same way, three deep.
"""

from __future__ import annotations

import errno
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from dolittle.engines.file import opening
from dolittle.engines.file.batches import Waiting
from dolittle.engines.file.store import Durability, FileStore
from dolittle.engines.file.verify import Verification
from dolittle.errors import (
    CommitOutcomeUnknown,
    StoreBusy,
    StoreClosed,
    StoreFull,
    WrongExpectedVersion,
)
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, CommittedEvents, EventToCommit, Selection, Stream
from tests.torture.disk import Fault, SimulatedDisk
from tests.torture.history import (
    History,
    Line,
    Parser,
    check_recovered,
    require,
)

DEPTH_MAX: Final = 3
"""A cut during the recovery from a cut during a recovery."""

KEPT: Final = 0.7
"""How often a file whose sync failed still reads as if it had been written."""

INDEX_EVERY: Final = 30
"""One course in so many has its index in a real file, which a cut may lose, keep or tear."""

NOWHERE: Final = Path("/nowhere/store")
NOBODY: Final = ExecutionContext()
SOURCES: Final = ("Dolittle Tacos", "Table 1")


class StandingClock:
    """A clock that a course of events moves, forwards and back."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 11, 20, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.time


Answers = list[CommittedEvents | BaseException]


def commit_together(store: FileStore, commits: Sequence[Commit]) -> Answers:
    """Let the writer decide, write and sync some commits as one batch, in this thread."""
    return begin_together(store, commits)()


def begin_together(store: FileStore, commits: Sequence[Commit]) -> Callable[[], Answers]:
    """Let the writer decide and write some commits as one batch; return how it goes on.

    Where others write too it is synced, and answered, only then.
    """
    writer = store._writer
    assert writer is not None
    waiting = [
        Waiting(commit, sum(len(event.content) for event in commit.events), Future())
        for commit in commits
    ]
    futures: list[Future[CommittedEvents]] = [each.reply for each in waiting]  # type: ignore[misc]
    for future in futures:
        future.set_running_or_notify_cancel()
    batch = writer._batches.begin(waiting)

    def finish() -> Answers:
        if batch.is_to_be_settled:
            writer._batches.settle(batch, waiting)
        batch.answer()
        return [future.exception(0) or future.result(0) for future in futures]

    return finish


class Course:
    """One course of events.

    Args:
        seed: What makes it.
        is_verified: Whether ``verify`` is run after every cut; otherwise after some.
        durability: Of the store; ``None``: what the seed says.

    Attributes:
        tried: What was tried, counted.
    """

    def __init__(
        self, seed: int, *, is_verified: bool = False, durability: Durability | None = None
    ) -> None:
        self.seed = seed
        self.tried: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._is_verified = is_verified
        self._clock = StandingClock()
        self._history = History()
        self._parsers: dict[str, Parser] = {}
        self._ids = 0
        self._segment_bytes = self._chance.choice((300, 700, 1_500, 4_000, 10_000))
        self._content_bytes = self._chance.choice((0, 40, 300, 1_500, 5_000))
        often: Durability = "os" if self._chance.random() < 0.08 else "fsync"
        self._durability = durability or often
        self._fork_share = self._chance.choice((0.2, 0.5, 1.0))
        self._has_index = self._chance.randrange(INDEX_EVERY) == 0
        self._folders: list[Path] = []
        self._commits = 0
        self._watcher: FileStore | None = None
        self._during_sync: Callable[[], None] | None = None

    # The workload ---------------------------------------------------------------------------

    def run(self) -> int:
        """Go through it; return how many crashes were tried.

        Raises:
            BrokenPromiseError: Something that was promised did not hold.
        """
        made = vars(opening)["new_id"]
        vars(opening)["new_id"] = self._new_id
        try:
            disk = SimulatedDisk(self._folder(), self._chance.choice((512, 4096)))
            disk.before = lambda kind: self._at_step(disk, kind)
            self._work(disk)
            return self.tried["cuts"] + self.tried["kills"]
        finally:
            vars(opening)["new_id"] = made
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self) -> Path:
        if not self._has_index:
            return NOWHERE
        base = Path("/dev/shm")
        folder = Path(tempfile.mkdtemp(dir=base if base.is_dir() else None, prefix="torture-"))
        self._folders.append(folder)
        return folder

    def _open(self, disk: SimulatedDisk) -> FileStore:
        store = FileStore._open_now(
            disk.root_path,
            disk,
            self._clock,
            durability=self._durability,
            read_only=False,
            segment_bytes=self._segment_bytes,
            lock_wait_s=0,
        )
        assert store._writer is not None
        # Waking others needs sockets, which are no part of what is tried here.
        store._writer._on_commit = _wake_nobody
        return store

    def _new_id(self) -> str:
        """Return an id that the same seed makes again."""
        self._ids += 1
        return f"{self.seed & (1 << 64) - 1:016x}{self._ids:016x}"

    def _parser(self, store: FileStore) -> Parser:
        return self._parsers.setdefault(store.id, Parser(store.id))

    def _work(self, disk: SimulatedDisk) -> None:
        chance = self._chance
        stores = [self._open(disk) for _ in range(chance.choice((1, 1, 2, 3)))]
        self._watcher = self._open(disk)
        for _ in range(chance.randint(3, 14)):
            self._clock.time += timedelta(seconds=chance.choice((0, 1, 60, -5)))
            which = chance.randrange(len(stores))
            action = chance.random()
            if action < 0.35:
                self._commit(stores[which])
            elif action < 0.6:
                self._commit_overlapping(disk, stores)
            elif action < 0.68:
                stores[which]._lookup.flush(stores[which]._log.mark())
            elif action < 0.78:
                stores[which]._close()
                stores[which] = self._open(disk)
            else:
                self._commit_with_fault(disk, stores, which)
        self._watch(self._history)
        for store in (*stores, self._watcher):
            store._close()
        self._watcher = None
        disk.before = None
        self._crash(disk, "end", 1)

    def _new_commit(self) -> Commit:
        chance = self._chance
        self._commits += 1
        events = tuple(
            EventToCommit(
                chance.choice(("DishPrepared", "Paid")),
                chance.choice(SOURCES),
                b'{"a":"%b"}' % (b"x" * chance.randint(0, self._content_bytes)),
                aggregate=chance.choice(("", "Kitchen", "Table")),
            )
            for _ in range(chance.choice((1, 1, 1, 2, 4)))
        )
        expected = {}
        if chance.random() < 0.2:
            expected[Stream("Kitchen", SOURCES[0])] = chance.randint(0, 5)
        return Commit(f"c{self._commits}", events, NOBODY, expected)

    def _commits_to_try(self) -> list[Commit]:
        commits = [self._new_commit() for _ in range(self._chance.choice((1, 1, 2, 3, 6)))]
        if self._history.tried and self._chance.random() < 0.2:
            commits.append(self._chance.choice(list(self._history.tried.values())))
        return commits

    def _commit(self, store: FileStore) -> bool:
        """Commit some; return whether the store takes more."""
        return tell(self._history, store, self._commits_to_try())

    def _commit_overlapping(self, disk: SimulatedDisk, stores: list[FileStore]) -> None:
        """Let several write before any syncs; afterwards none that was poisoned is left.

        Some begin while another one syncs, and some die before they can.
        """
        chance = self._chance
        turns = chance.sample(range(len(stores)), len(stores))
        begun: list[tuple[int, Callable[[], bool]]] = []

        def begin() -> None:
            which = turns.pop()
            # As if it had noticed the others already.
            stores[which]._log._company = 2
            commits = self._commits_to_try()
            begun.append((which, begin_telling(self._history, stores[which], commits)))

        begin()
        gone: set[int] = set()
        while begun:
            self._fail_again(disk)
            while turns and chance.random() < 0.7:
                begin()
            which, finish = begun.pop(chance.randrange(len(begun)))
            if chance.random() < 0.06:
                self.tried["died before its sync"] += 1
                gone.add(which)
                continue
            if chance.random() < 0.06:
                self._during_sync = _die
            elif turns and chance.random() < 0.5:
                self._during_sync = begin
            self.tried["overlapping"] += bool(begun)
            if not self._survives(finish):
                gone.add(which)
        self._end_fault(disk)
        for which in gone:
            _end(stores[which])
            stores[which] = self._open(disk)
        if gone:
            settle(self._history, stores[gone.pop()])

    def _fail_again(self, disk: SimulatedDisk) -> None:
        """Let something else fail before anybody has mended what the first one left."""
        if disk.failed and self._chance.random() < 0.5:
            self._begin_fault(disk)

    def _survives(self, finish: Callable[[], bool]) -> bool:
        try:
            return finish()
        except _DiedError:
            self.tried["died during its sync"] += 1
            return False
        finally:
            self._during_sync = None

    def _commit_with_fault(self, disk: SimulatedDisk, stores: list[FileStore], which: int) -> None:
        """Let one operation of a commit fail; then open again, and settle what is unknown."""
        chance = self._chance
        self._begin_fault(disk)
        takes_more = True
        if chance.random() < 0.4:
            takes_more = self._commit(stores[which])
        else:
            self._commit_overlapping(disk, stores)
        self._end_fault(disk)
        if not takes_more:
            if chance.random() < 0.5 and len(stores) > 1:
                # Another process goes on while this one is still poisoned.
                self._commit(stores[which - 1])
            stores[which]._close()
            stores[which] = self._open(disk)
        settle(self._history, stores[which])

    def _begin_fault(self, disk: SimulatedDisk) -> None:
        chance = self._chance
        disk._counted = 0
        disk.fault = Fault(
            chance.randint(1, 4),
            chance.choice((errno.EIO, errno.ENOSPC, errno.EDQUOT, 0)),
            # Where the system forgets what it could not write, durability "os" promises nothing.
            is_cache_kept=self._durability == "os" or chance.random() < KEPT,
            kinds=chance.choice((frozenset(("fdatasync",)), frozenset(("pwrite",)), frozenset())),
        )
        if disk.fault.code == 0:
            disk.fault = disk.fault._replace(kinds=frozenset(("pwrite",)))

    def _end_fault(self, disk: SimulatedDisk) -> None:
        self.tried["faults"] += len(disk.failed)
        disk.failed.clear()
        disk.fault = None

    # A reader at every step -----------------------------------------------------------------

    def _watch(self, history: History) -> None:
        """Read what has become readable; it may never go away again."""
        if self._watcher is None:
            return
        seen = history.seen
        head = self._watcher._log.mark().position
        require(head >= len(seen), "the end of the log went back before a reader")
        if head > len(seen):
            for page in self._watcher._reader.pages(Selection(start=len(seen))):
                seen.extend(page.events)
            require(
                [event.position for event in seen] == list(range(len(seen))),
                "a reader skipped a position",
            )

    # Crashes --------------------------------------------------------------------------------

    def _at_step(self, disk: SimulatedDisk, kind: str) -> None:
        before, disk.before = disk.before, None
        if self._durability == "fsync":
            self._watch(self._history)
        if self._chance.random() < self._fork_share:
            self._crash(disk, kind, 1)
        disk.before = before
        if self._during_sync is not None and kind == "fdatasync":
            happen, self._during_sync = self._during_sync, None
            self.tried["written during a sync"] += happen is not _die
            happen()

    def _crash(self, disk: SimulatedDisk, kind: str, depth: int) -> None:
        watcher, self._watcher = self._watcher, None
        history = self._history
        try:
            self._history = history.copy()
            self._crash_once(disk, kind, depth)
        finally:
            self._history, self._watcher = history, watcher

    def _crash_once(self, disk: SimulatedDisk, kind: str, depth: int) -> None:
        chance = self._chance
        is_kill = chance.random() < 0.15
        other = disk.after_kill() if is_kill else disk.after_power_cut(chance)
        self.tried["kills" if is_kill else "cuts"] += 1
        self.tried[f"before {kind}"] += 1
        if depth > 1:
            self.tried[f"{depth} deep"] += 1
        self._move(disk, other, is_kill=is_kill)
        if depth < DEPTH_MAX:
            other.before = lambda inner: self._at_recovery_step(other, inner, depth + 1)
        other.was_cut = disk.was_cut or not is_kill
        if self._durability == "os" and other.was_cut:
            self._check_weakly(other)
            return
        # Someone opens it again, works, and goes away; what holds then holds for ever.
        with _Named(f"{kind}, {depth} deep"):
            self._check(other)

    def _at_recovery_step(self, disk: SimulatedDisk, kind: str, depth: int) -> None:
        if self._chance.random() < 0.05:
            before, disk.before = disk.before, None
            self._crash(disk, kind, depth)
            disk.before = before

    def _move(self, disk: SimulatedDisk, other: SimulatedDisk, *, is_kill: bool) -> None:
        """Give the fork a folder of its own for its index, with what is left of it."""
        if not self._has_index:
            return
        folder = self._folder()
        other.move(folder)
        way = (
            "kept" if is_kill else self._chance.choice(("kept", "kept", "lost", "torn", "garbage"))
        )
        self.tried[f"index {way}"] += 1
        if way == "lost":
            return
        for path in disk.root_path.glob("index.sqlite*"):
            data = path.read_bytes()
            if way == "torn":
                data = data[: self._chance.randint(0, len(data))]
            elif way == "garbage" and data:
                at = self._chance.randrange(len(data))
                data = data[:at] + self._chance.randbytes(min(64, len(data) - at)) + data[at + 64 :]
            (folder / path.name).write_bytes(data)

    def _check(self, disk: SimulatedDisk) -> None:
        history = self._history
        store = self._open(disk)
        try:
            require(store.damage is None, f"a false alarm: {store.damage}")
            self._check_contents(disk, store)
            # A cut may come again from here on: what is answered now must hold then.
            settle(history, store)
            require(tell(history, store, [self._new_commit()]), "it takes no more commits")
            require(not history.unknown, "an outcome is still unknown")
            if self._is_verified or self._chance.random() < 0.3:
                ids = {line.commit for line in self._check_contents(disk, store)}
                require(ids == set(history.answered), "there are commits that were not answered")
            if self._is_verified or self._chance.random() < 0.05:
                steps = Verification(disk, store._log, store._lookup).steps(None)
                found = [each for step in steps for each in step]
                require(not found, f"verify found {found}")
        finally:
            disk.before = None
            _end(store)

    def _check_contents(self, disk: SimulatedDisk, store: FileStore) -> list[Line]:
        before, disk.before = disk.before, None
        lines = self._parser(store).check(disk.content("log"))
        events = [e for page in store._reader.pages(Selection()) for e in page.events]
        check_recovered(self._history, lines, events)
        disk.before = before
        return lines

    def _check_weakly(self, disk: SimulatedDisk) -> None:
        """With durability ``os`` a cut may take commits away, from the end only."""
        history = self._history
        store = self._open(disk)
        require(store.damage is None, f"a false alarm: {store.damage}")
        disk.before = None
        lines = self._parser(store).check(disk.content("log"))
        history.seen.clear()
        there = {line.commit for line in lines}
        order = sorted(history.answered.values(), key=lambda answer: answer.events[0].position)
        kept = [answer.events[0].commit.id in there for answer in order]
        require(kept == sorted(kept, reverse=True), "a commit is gone from the middle")
        history.answered = {i: a for i, a in history.answered.items() if i in there}
        self._check_contents(disk, store)
        require(tell(history, store, [self._new_commit()]), "it takes no more commits")
        _end(store)


def _wake_nobody() -> None:
    """Do nothing: no other process waits for a simulated disk."""


def _end(store: FileStore) -> None:
    """Let a process end without a word: nothing is flushed, the disk is thrown away."""
    store._lookup.close()


class _DiedError(Exception):
    """A process ends in the middle of what it does; others go on."""


def _die() -> None:
    raise _DiedError


class _Named:
    """Says at which step a promise was broken."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"cut before {self._step}")


def tell(history: History, store: FileStore, commits: Sequence[Commit]) -> bool:
    """Commit some together and note what is answered; return whether the store takes more."""
    return begin_telling(history, store, commits)()


def begin_telling(
    history: History, store: FileStore, commits: Sequence[Commit]
) -> Callable[[], bool]:
    """Write some commits; return how they are synced and answered, see :func:`tell`."""
    new = [commit for commit in commits if commit.id not in history.tried]
    for commit in commits:
        history.tried[commit.id] = commit
        history.tries[commit.id] += 1
        # It is tried anew: this time it may be stored.
        history.refused.discard(commit.id)
    tries = {commit.id: history.tries[commit.id] for commit in commits}
    finish = begin_together(store, commits)

    def note() -> bool:
        answers = finish()
        takes_more = True
        for commit, answer in zip(commits, answers, strict=True):
            # A refusal says nothing where the same commit was tried again before it was told.
            is_latest = history.tries[commit.id] == tries[commit.id]
            if isinstance(answer, CommittedEvents):
                history.answer(commit, answer)
            elif isinstance(answer, WrongExpectedVersion | StoreFull):
                if is_latest:
                    is_there = commit.id in history.answered
                    require(not is_there, f"{commit.id} was there and is refused")
                    history.refused.add(commit.id)
            elif isinstance(answer, CommitOutcomeUnknown | StoreClosed | StoreBusy):
                takes_more = takes_more and isinstance(answer, StoreBusy)
                # Of an earlier try the last two say nothing.
                if not isinstance(answer, CommitOutcomeUnknown) and is_latest and commit in new:
                    history.refused.add(commit.id)
            else:
                raise answer
        return takes_more

    return note


def settle(history: History, store: FileStore) -> None:
    """Commit once more what is unknown: each is stored once, whatever happened."""
    for commit in history.unknown:
        require(tell(history, store, [commit]), "it takes no more commits after it was opened")
