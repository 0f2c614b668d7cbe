"""The engine equals a list: any run of commits, reopenings, flushes and reads, by hypothesis."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dolittle.engines.file import FileStore
from dolittle.engines.memory import MemoryStore
from dolittle.errors import StoreError
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, CommittedEvent, EventStore, EventToCommit, Selection, Stream
from dolittle.testing.contract import MovableClock, read_all
from dolittle.testing.faulty_files import FaultyFiles

TYPES = st.sampled_from(["A", "B", "C"])
SOURCES = st.sampled_from(["s", "t", "ü"])
AGGREGATES = st.sampled_from(["", "K", "L"])
CONTENT = st.sampled_from([b"{}", b'{"a":1}', b'{"a":"%b"}' % (b"x" * 3_000)])
EVENTS = st.lists(
    st.builds(EventToCommit, TYPES, SOURCES, CONTENT, aggregate=AGGREGATES),
    min_size=1,
    max_size=4,
)
SELECTIONS = st.builds(
    Selection,
    start=st.integers(0, 60),
    stop=st.integers(0, 80),
    types=st.frozensets(TYPES, max_size=2),
    source=st.one_of(st.just(""), SOURCES),
    aggregate=AGGREGATES,
    correlation=st.sampled_from(["", "", "id1", "shared"]),
)


class Engine(RuleBasedStateMachine):
    """Two store objects of one folder, and the memory engine as the list that they equal."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = MovableClock()
        self.model = MemoryStore(clock=self.clock)
        self.stores = [self._open(), self._open()]
        self.commits = 0

    def _run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def _open(self) -> FileStore:
        opening = FileStore.open(
            self.folder / "store", clock=self.clock, files=FaultyFiles(), segment_bytes=4_000
        )
        return self._run(opening)

    @rule(
        which=st.integers(0, 1),
        events=EVENTS,
        number=st.integers(0, 12),
        correlation=st.sampled_from(["", "shared"]),
        expected=st.dictionaries(
            st.builds(Stream, st.sampled_from(["K", "L"]), SOURCES), st.integers(0, 3), max_size=1
        ),
        seconds=st.integers(-2, 3),
    )
    def commit(self, which, events, number, correlation, expected, seconds) -> None:
        self.clock.move(seconds)
        context = ExecutionContext(correlation=correlation)
        commit = Commit(f"id{number}", tuple(events), context, expected)
        answers = [
            self._run(self._answer(store, commit)) for store in (self.model, self.stores[which])
        ]
        assert answers[0] == answers[1]

    async def _answer(self, store: EventStore, commit: Commit) -> object:
        try:
            return await store.commit(commit)
        except StoreError as error:
            return type(error), str(error)

    @rule(which=st.integers(0, 1))
    def reopen(self, which) -> None:
        self._run(self.stores[which].close())
        self.stores[which] = self._open()

    @rule(which=st.integers(0, 1))
    def flush(self, which) -> None:
        store = self.stores[which]
        store._lookup.flush(store._log.mark())

    @rule()
    def lose_the_index_and_the_mark(self) -> None:
        for store in self.stores:
            self._run(store.close())
        for name in ("index.sqlite", "synced", "written"):
            (self.folder / "store" / name).unlink()
        self.stores = [self._open(), self._open()]

    @rule(which=st.integers(0, 1), selection=SELECTIONS, count=st.integers(0, 5))
    def read(self, which, selection, count) -> None:
        found = [
            (
                self._run(read_all(store, selection)),
                self._run(store.read_last(selection, count)),
                self._run(self._end(store, selection)),
            )
            for store in (self.model, self.stores[which])
        ]
        assert found[0] == found[1]

    async def _end(self, store: EventStore, selection: Selection) -> int:
        return [page.next_position async for page in store.read(selection)][-1]

    @invariant()
    def both_say_what_the_list_says(self) -> None:
        said = [
            (
                self._run(store.head()),
                self._run(store.streams()),
                self._run(store.type_counts()),
                self._run(store.find_commit("id3")),
                self._run(store.version(Stream("K", "s"))),
            )
            for store in (self.model, *self.stores)
        ]
        assert said[0] == said[1] == said[2]

    def teardown(self) -> None:
        everything: list[CommittedEvent] = self._run(read_all(self.model))
        for store in self.stores:
            assert self._run(read_all(store)) == everything
            assert self._run(store.verify()) == []
            self._run(store.close())
        self._run(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)


Engine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
TestEngineEqualsAList = Engine.TestCase
