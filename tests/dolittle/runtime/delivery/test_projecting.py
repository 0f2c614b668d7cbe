from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import date
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dolittle import (
    EventContext,
    Outcome,
    by_function,
    by_property,
    by_property_and_time,
    by_source,
    by_static,
    event_type,
    on,
    projection,
)
from dolittle.engines.memory import MemoryStore
from dolittle.errors import PayloadDoesNotFit, ProjectionFailed, WaitTimedOut
from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.definition import define
from dolittle.runtime.delivery.projecting import ProjectionLoop
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Change, Processor, Request
from dolittle.serialization import encode
from dolittle.store import Commit, EventToCommit
from dolittle.testing import HeldClock


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@event_type
class DishPrepared:
    dish: str
    size: Size = Size.SMALL
    amount: int = 1
    day: date = date(2026, 1, 1)


@event_type
class DishRemoved:
    dish: str


@event_type
class GuestLeft:
    name: str = ""


class Mood:
    """What a projection's methods refuse, so that a test can fail an event and mend it."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.calls = 0


def counter_for(mood: Mood) -> Any:
    @projection("DishCounter")
    class DishCounter:
        dish: str
        count: int = 0

        @on(DishPrepared, key="dish")
        def on_prepared(self, event: DishPrepared) -> Outcome | None:
            mood.calls += 1
            self.dish = event.dish
            self.count += event.amount
            if event.dish in mood.refused:
                raise ValueError(f"{event.dish} is off")
            return Outcome.KEEP if event.amount < 0 else None

        @on(DishRemoved, key="dish")
        def on_removed(self, event: DishRemoved) -> Outcome:
            return Outcome.DELETE

    return DishCounter


async def prepare(service: Any, dishes: str, source: str = "Tacos") -> Any:
    return await service.commit(*(DishPrepared(dish=d) for d in dishes), source=source)


KEYS = [
    (by_source(), "Tacos"),
    (by_property("dish"), "a"),
    ("dish", "a"),
    (by_property("size"), "large"),
    (by_property("day"), "2026-01-01"),
    (by_property_and_time("dish", "%Y-%m-%d"), "a_2026-01-01"),
    (by_static("all"), "all"),
    (by_function(lambda event, context: f"{event.dish}@{context.source}"), "a@Tacos"),
    (lambda event, context: event.amount, "1"),
]


@pytest.mark.parametrize(("key", "expected"), KEYS, ids=[str(n) for n in range(len(KEYS))])
async def test_each_kind_of_key_names_the_document(open_service, key, expected) -> None:
    @projection
    class Seen:
        count: int = 0

        @on(DishPrepared, key=key)
        def on_prepared(self, event: DishPrepared) -> None:
            self.count += 1

    async with open_service(Seen, DishPrepared, clock=HeldClock()) as service:
        for _ in range(2):
            committed = await service.commit(
                DishPrepared(dish="a", size=Size.LARGE), source="Tacos"
            )
        documents = await service.projection(Seen).all(after=committed)
    assert documents == {expected: Seen(count=2)}


async def test_a_document_is_there_as_soon_as_its_commit_is_waited_for(open_service) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved) as service:
        for number in range(1, 50):
            committed = await prepare(service, "a")
            found = await service.projection(counter).get("a", after=committed, timeout_s=5)
            assert found == counter(dish="a", count=number)


async def test_a_deleted_document_is_gone_and_begins_anew(open_service) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved) as service:
        await prepare(service, "aa")
        committed = await service.commit(DishRemoved(dish="a"), source="Tacos")
        assert await service.projection(counter).get("a", after=committed) is None
        committed = await service.commit(
            DishPrepared(dish="b"),
            DishRemoved(dish="b"),
            DishPrepared(dish="a"),
            DishPrepared(dish="b", amount=5),
            source="Tacos",
        )
        documents = await service.projection(counter).all(after=committed)
    assert documents == {"a": counter(dish="a", count=1), "b": counter(dish="b", count=5)}


async def test_a_kept_document_stays_as_it_was(open_service) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved) as service:
        committed = await service.commit(
            DishPrepared(dish="a", amount=2),
            DishPrepared(dish="a", amount=-1),
            DishPrepared(dish="b", amount=-1),
            source="Tacos",
        )
        documents = await service.projection(counter).all(after=committed)
    assert documents == {"a": counter(dish="a", count=2)}


async def test_a_new_document_without_a_required_field_says_which(open_service) -> None:
    @projection
    class Nameless:
        dish: str
        count: int = 0

        @on(DishPrepared)
        def on_prepared(self, event: DishPrepared) -> None:
            self.count += 1

    async with open_service(Nameless, DishPrepared, clock=HeldClock()) as service:
        committed = await prepare(service, "a")
        with pytest.raises(ProjectionFailed, match="has no value for dish: set it in the @on"):
            await service.projection(Nameless).get("Tacos", after=committed)


async def test_a_field_of_the_wrong_type_fails_its_key(open_service) -> None:
    @projection
    class Wrong:
        count: int = 0

        @on(DishPrepared)
        def on_prepared(self, event: DishPrepared) -> None:
            self.count = event.dish  # type: ignore[assignment]

    async with open_service(Wrong, DishPrepared, clock=HeldClock()) as service:
        committed = await prepare(service, "a")
        with pytest.raises(ProjectionFailed, match="Expected `int`, got `str`"):
            await service.projection(Wrong).get("Tacos", after=committed)
        assert await service.projection(Wrong).get("Tacos") is None


async def test_a_failing_key_waits_and_catches_up_while_the_others_go_on(
    open_service, until
) -> None:
    mood, clock = Mood(), HeldClock()
    counter = counter_for(mood)
    async with open_service(counter, DishPrepared, DishRemoved, clock=clock) as service:
        models = service.projection(counter)
        await models.all(after=await prepare(service, "ab"))
        mood.refused = {"a"}
        committed = await prepare(service, "abab")
        assert await models.get("b", after=committed) == counter(dish="b", count=3)
        assert await models.get("a") == counter(dish="a", count=1)
        with pytest.raises(ProjectionFailed) as caught:
            await models.get("a", after=committed)
        assert (caught.value.partition, caught.value.position) == ("a", 2)
        with pytest.raises(ProjectionFailed):
            await models.all(after=committed)
        mood.refused = set()
        clock.advance(60)
        await until(lambda: no_failures(service))
        assert await models.get("a", after=committed) == counter(dish="a", count=3)
        committed = await prepare(service, "a")
        assert await models.get("a", after=committed) == counter(dish="a", count=4)


async def no_failures(service: Any, name: str = "DishCounter") -> bool:
    return not (await service.processor_status(name)).failing


async def test_a_parked_key_goes_on_after_a_retry_or_a_skip(open_service, until) -> None:
    mood = Mood()
    counter = counter_for(mood)
    mood.refused = {"a", "b"}
    retry = RetryPolicy(attempts_max=1)
    async with open_service(counter, DishPrepared, DishRemoved, retry=retry) as service:
        await prepare(service, "ab")
        committed = await service.commit(DishRemoved(dish="c"), source="Tacos")
        await service.wait_until_seen("DishCounter", committed.position, key="c")
        await service.request(Request("skip", "DishCounter", "a"))

        async def only_b_fails() -> bool:
            rows = (await service.processor_status("DishCounter")).failing
            return [row.partition for row in rows] == ["b"]

        await until(only_b_fails)
        mood.refused = set()
        committed = await prepare(service, "ab")
        await service.request(Request("retry", "DishCounter"))
        await until(lambda: no_failures(service))
        documents = await service.projection(counter).all(after=committed)
    assert {key: item.count for key, item in documents.items()} == {"a": 1, "b": 2}


async def test_documents_come_in_pages_sorted_by_key(open_service) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved) as service:
        models = service.projection(counter)
        committed = await prepare(service, "eadcb")
        assert list(await models.all(after=committed)) == ["a", "b", "c", "d", "e"]
        assert list(await models.page(limit=2)) == ["a", "b"]
        assert list(await models.page(after_key="b", limit=2)) == ["c", "d"]
        assert list(await models.page(after_key="e")) == []
        assert await models.count() == 5


async def test_an_empty_key_fails_and_makes_no_document(open_service) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved, clock=HeldClock()) as service:
        committed = await service.commit(DishPrepared(dish=""), source="Tacos")
        with pytest.raises(ProjectionFailed, match="is empty"):
            await service.projection(counter).get("a", after=committed)
        [row] = (await service.processor_status("DishCounter")).failing
        assert row.error.startswith("ValueError: the key of DishCounter.on_prepared")
        assert await service.projection(counter).all() == {}


async def test_an_event_whose_key_is_unknown_is_projected_once_it_is_known(
    open_service, until
) -> None:
    known, clock = False, HeldClock()

    def key(event: DishPrepared, context: EventContext) -> str:
        if event.dish == "b" and not known:
            raise LookupError("no key yet")
        return "all"

    @projection
    class Dishes:
        names: str = ""

        @on(DishPrepared, key=key)
        def on_prepared(self, event: DishPrepared) -> None:
            self.names += event.dish

    async with open_service(Dishes, DishPrepared, clock=clock) as service:
        models = service.projection(Dishes)
        committed = await prepare(service, "abc")
        await service.wait_until_seen("Dishes", committed.position, key="all")
        assert await models.all() == {"all": Dishes(names="ac")}
        known = True
        clock.advance(60)

        async def is_whole() -> bool:
            return await models.all() == {"all": Dishes(names="abc")}

        await until(is_whole)
        assert await no_failures(service, "Dishes")


# Exactly once


class FailingState(SqliteState):
    """A state whose save fails at one call, before or after it is written."""

    def __init__(self, fails_at: int, after_writing: bool) -> None:
        super().__init__()
        self.fails_at, self.after_writing, self.saves = fails_at, after_writing, 0

    def rows_failing(self) -> int:
        return int(self._db.execute("select count(*) from failing").fetchone()[0])

    async def save(self, change: Change) -> None:
        self.saves += 1
        fails = self.saves == self.fails_at
        if fails and not self.after_writing:
            raise OSError("the disk hung up")
        await super().save(change)
        if fails:
            raise OSError("the disk hung up, after all was written")


async def committed_log(dishes: str, page: int = 0) -> MemoryStore:
    store = MemoryStore()
    for number, dish in enumerate(dishes):
        event = EventToCommit("DishPrepared", "Tacos", encode(DishPrepared(dish=dish)))
        await store.commit(Commit(f"commit {number}", (event,), ExecutionContext()))
    return store


async def run_until(loop: ProjectionLoop, condition: Callable[[], bool]) -> None:
    """Run a loop, again after each error, until a condition holds; bounded."""
    for _ in range(100):
        task = asyncio.create_task(loop.run())
        while not task.done() and not condition():
            await asyncio.sleep(0.0005)
        if not task.done():
            loop.stop()
        try:
            await task
        except OSError:
            continue
        return
    raise AssertionError("the loop did not get there in 100 runs")


@pytest.mark.parametrize("after_writing", [False, True])
@pytest.mark.parametrize("fails_at", range(1, 8))
async def test_each_event_is_projected_once_whichever_save_fails(
    surroundings, monkeypatch, fails_at, after_writing
) -> None:
    monkeypatch.setattr("dolittle.engines.memory.PAGE_EVENTS", 1)
    monkeypatch.setattr("dolittle.runtime.delivery.projecting._GATHERED_PAGES_MAX", 2)
    mood = Mood()
    mood.refused = {"c"}
    counter = counter_for(mood)
    definition = define("kitchen", [counter, DishPrepared, DishRemoved])
    store = await committed_log("abacabcb")
    state, clock = FailingState(fails_at, after_writing), HeldClock()
    around = surroundings(definition, store=store, state=state, clock=clock)
    declaration = definition.projection("DishCounter")
    first = Processor("DishCounter", "projection", fingerprint=declaration.fingerprint)
    state.saves = -1_000
    await state.save(Change(first))
    state.saves = 0
    loop = ProjectionLoop(declaration, first, around)
    await run_until(loop, lambda: loop.processor.position == 8)
    mood.refused = set()
    clock.advance(60)
    again = ProjectionLoop(declaration, (await state.processors())[0], around)
    await run_until(again, lambda: not state.rows_failing())
    documents = await state.documents("DishCounter", 1)
    assert [(document.key, document.content) for document in documents] == [
        ("a", b'{"dish":"a","count":3}'),
        ("b", b'{"dish":"b","count":3}'),
        ("c", b'{"dish":"c","count":2}'),
    ]
    assert await state.failing() == []
    assert state.saves >= fails_at


Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([1, 2, -1, 0])), max_size=30
)


def folded(events: list[Step]) -> dict[str, str]:
    """Fold the events as a person would by hand."""
    totals: dict[str, str] = {}
    for dish, amount in events:
        if amount == 0:
            totals.pop(dish, None)
        elif amount > 0:
            totals[dish] = totals.get(dish, "") + str(amount)
    return totals


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(events=steps, failures=st.lists(st.booleans(), max_size=30), page=st.integers(1, 5))
def test_a_projection_is_the_fold_of_its_events_whatever_fails_meanwhile(
    events: list[Step], failures: list[bool], page: int
) -> None:
    fails = itertools.chain(failures, itertools.repeat(False))

    @projection("Folded")
    class Folded:
        total: str = ""

        @on(DishPrepared, key="dish")
        def on_prepared(self, event: DishPrepared) -> Outcome | None:
            self.total += str(event.amount)
            if next(fails):
                raise ValueError("now and then")
            if event.amount == 0:
                return Outcome.DELETE
            return Outcome.KEEP if event.amount < 0 else None

    async def project() -> dict[str, str]:
        definition = define("kitchen", [Folded, DishPrepared])
        store, state, clock = MemoryStore(), SqliteState(), HeldClock()
        for first in range(0, len(events), page):
            some = tuple(
                EventToCommit("DishPrepared", "Tacos", encode(DishPrepared(dish=d, amount=n)))
                for d, n in events[first : first + page]
            )
            await store.commit(Commit(f"commit {first}", some, ExecutionContext()))
        around = surroundings_of(definition, store, state, clock)
        processor = Processor("Folded", "projection")
        loop = ProjectionLoop(definition.projection("Folded"), processor, around)
        task = asyncio.create_task(loop.run())
        for _ in range(10_000):
            clock.advance(10)
            await asyncio.sleep(0)
            if loop.processor.position == len(events) and not loop._failing:
                break
        else:
            raise AssertionError("the projection did not get there")
        loop.stop()
        await task
        documents = await state.documents("Folded", 1)
        await state.close()
        return {item.key: item.content.decode() for item in documents}

    found = asyncio.run(project())
    assert found == {key: f'{{"total":"{total}"}}' for key, total in folded(events).items()}


def surroundings_of(definition: Any, store: Any, state: Any, clock: Any) -> Any:
    from dolittle.runtime.delivery.surroundings import Signal, Surroundings

    return Surroundings(
        microservice="kitchen",
        tenant="development",
        version="",
        environment="",
        store=store,
        state=state,
        event_types=definition.event_types,
        clock=clock,
        retry=RetryPolicy(attempts_max=1_000),
        random=lambda: 0.0,
        progressed=Signal(),
    )


# Rebuilds


@projection
class Counted:
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 1


@projection("Counted")
class CountedAnew:
    last: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 10
        self.last = event.dish


CountedAnew.__name__ = "Counted"


async def test_a_changed_projection_is_rebuilt_beside_the_old_one(open_service, until) -> None:
    async with open_service(Counted, DishPrepared, ephemeral=False) as service:
        await service.projection(Counted).all(after=await prepare(service, "aab"))
    only = ("somebody else",)
    async with open_service(CountedAnew, DishPrepared, ephemeral=False, only=only) as service:
        models = service.projection(CountedAnew)
        assert await models.raw("a") == b'{"count":2}'
        assert [key for key, _ in await models.raw_page()] == ["a", "b"]
        with pytest.raises(PayloadDoesNotFit, match=r"read model Counted 'a': .*last"):
            await models.get("a")
        with pytest.raises(WaitTimedOut):
            await service.wait_until_seen("Counted", 0, timeout_s=0.05)
    async with open_service(CountedAnew, DishPrepared, ephemeral=False) as service:
        committed = await prepare(service, "b")
        documents = await service.projection(CountedAnew).all(after=committed)
        assert {key: item.count for key, item in documents.items()} == {"a": 20, "b": 20}
        [build] = await service.state.processors("Counted")
        assert (build.build, build.is_active) == (2, True)


async def test_a_projection_that_did_not_change_is_not_rebuilt(open_service) -> None:
    for _ in range(2):
        async with open_service(Counted, DishPrepared, ephemeral=False) as service:
            await service.projection(Counted).all(after=await prepare(service, "a"))
            [build] = await service.state.processors("Counted")
            assert build.build == 1


async def test_a_projection_that_changed_back_ends_as_it_was(open_service, until) -> None:
    async with open_service(Counted, DishPrepared, ephemeral=False) as service:
        await service.projection(Counted).all(after=await prepare(service, "aab"))
        # A rebuild by other code that did not get to its end.
        await service.state.save(
            Change(Processor("Counted", "projection", 2, is_active=False, fingerprint="other"))
        )
    async with open_service(Counted, DishPrepared, ephemeral=False) as service:
        found = await service.projection(Counted).all(after=await prepare(service, "b"))
        assert found == {"a": Counted(count=2), "b": Counted(count=2)}

        async def is_alone() -> bool:
            return len(await service.state.processors("Counted")) == 1

        await until(is_alone)
        assert await service.projection(Counted).all() == found


async def test_a_rebuild_goes_on_after_a_restart(open_service, until) -> None:
    async with open_service(Counted, DishPrepared, ephemeral=False) as service:
        await service.projection(Counted).all(after=await prepare(service, "aab"))
        [build] = await service.state.processors("Counted")
        half = Processor(
            "Counted", "projection", 2, is_active=False, position=1, fingerprint=build.fingerprint
        )
        await service.deliverer.stop()
        await service.state.save(Change(half, documents={"a": b'{"count":1}'}))
    async with open_service(Counted, DishPrepared, ephemeral=False) as service:

        async def is_swapped() -> bool:
            return [item.build for item in await service.state.processors("Counted")] == [2]

        await until(is_swapped)
        found = await service.projection(Counted).all()
        assert found == {"a": Counted(count=2), "b": Counted(count=1)}


async def test_a_replay_gives_the_same_read_model_while_new_events_come(
    open_service, until
) -> None:
    counter = counter_for(Mood())
    async with open_service(counter, DishPrepared, DishRemoved) as service:
        models = service.projection(counter)
        committed = await prepare(service, "ab" * 200)
        before = await models.all(after=committed)
        await service.request(Request("replay", "DishCounter"))
        seen = []
        for _ in range(50):
            committed = await prepare(service, "c")
            seen.append((await models.get("c", after=committed)).count)

        async def is_rebuilt() -> bool:
            [*builds] = await service.state.processors("DishCounter")
            return [build.build for build in builds] == [2]

        await until(is_rebuilt)
        after = await models.all(after=committed)
    assert seen == list(range(1, 51))
    assert after == {**before, "c": counter(dish="c", count=50)}
