"""The contract of the event store port, as tests that every engine passes.

An engine's test module subclasses :class:`EventStoreContract` and gives it a fixture ``store``::

    class TestMemoryStore(EventStoreContract):
        @pytest.fixture
        async def store(self, clock):
            store = MemoryStore(clock=clock)
            yield store
            await store.close()

It needs pytest and pytest-asyncio (``asyncio_mode = "auto"``); nothing else imports this module.
"""

# ruff: noqa: D102 - the name of a test is what it promises

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dolittle.errors import (
    CommitIdReused,
    CommitTimeRefused,
    CommitTooLarge,
    StoreClosed,
    WrongExpectedVersion,
)
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import (
    COMMIT_BYTES_MAX,
    COMMIT_EVENTS_MAX,
    NAME_CHARACTERS_MAX,
    Commit,
    CommittedEvent,
    EventStore,
    EventToCommit,
    Selection,
    Stream,
    subscribe,
)

KITCHEN = "Kitchen"
TACOS = "Dolittle Tacos"
WAIT_S_MAX = 10.0


class MovableClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 11, 20, 0, 123456, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.time

    def move(self, seconds: float) -> None:
        """Move on, or back."""
        self.time += timedelta(seconds=seconds)


def an_event(
    type_id: str = "DishPrepared",
    source: str = TACOS,
    content: bytes = b'{"dish":"Bean Blaster Taco"}',
    aggregate: str = "",
) -> EventToCommit:
    """Return an event that is to be committed."""
    return EventToCommit(type_id, source, content, aggregate=aggregate)


def a_commit(
    *events: EventToCommit,
    id: str = "",
    expected: Mapping[Stream, int] | None = None,
    context: ExecutionContext | None = None,
) -> Commit:
    """Return a commit of some events, or of one."""
    context = context or ExecutionContext()
    return Commit(id or new_id(), events or (an_event(),), context, expected or {})


async def read_all(store: EventStore, selection: Selection | None = None) -> list[CommittedEvent]:
    """Return the selected events of a store."""
    return [event async for page in store.read(selection or Selection()) for event in page.events]


def positions(events: Sequence[CommittedEvent]) -> list[int]:
    """Return the positions of some events."""
    return [event.position for event in events]


class EventStoreContract:
    """What every engine promises."""

    @pytest.fixture
    def clock(self) -> MovableClock:
        """The clock that the store is given."""
        return MovableClock()

    # Committing -----------------------------------------------------------------------------

    async def test_a_commit_answers_with_what_was_stored(
        self, store: EventStore, clock: MovableClock
    ) -> None:
        context = ExecutionContext(
            correlation="c" * 32,
            causation="because/0",
            version="1.2.0",
            environment="test",
            claims={"sub": "Mr. Taco"},
            handler="Waiter",
        )
        event = EventToCommit(
            "DishPrepared", TACOS, b'{"dish":"T"}', generation=2, public=True, aggregate=KITCHEN
        )
        answer = await store.commit(a_commit(event, an_event("Paid"), id="one", context=context))
        assert not answer.is_repeat
        assert answer.id == "one"
        first, second = answer.events
        assert answer.position == second.position
        assert first.position < second.position < answer.next_position
        assert (first.type_id, first.generation, first.source) == ("DishPrepared", 2, TACOS)
        assert (first.aggregate, first.version, first.public) == (KITCHEN, 1, True)
        assert (second.aggregate, second.version, second.public) == ("", 0, False)
        assert (first.index, second.index, second.id) == (0, 1, "one/1")
        assert first.content == b'{"dish":"T"}'
        assert first.commit.time == clock.time
        assert first.commit.correlation == "c" * 32
        assert first.commit.causation == "because/0"
        assert (first.commit.version, first.commit.environment) == ("1.2.0", "test")
        assert dict(first.commit.claims) == {"sub": "Mr. Taco"}
        assert first.commit.handler == "Waiter"
        assert await read_all(store) == list(answer.events)

    async def test_a_commit_without_correlation_takes_its_own_id(self, store: EventStore) -> None:
        answer = await store.commit(a_commit(id="mine"))
        assert answer.events[0].commit.correlation == "mine"

    async def test_positions_grow_over_commits(self, store: EventStore) -> None:
        found = [(await store.commit(a_commit(an_event(), an_event()))).events for _ in range(5)]
        flat = positions([event for events in found for event in events])
        assert flat == sorted(set(flat))
        assert await store.head() > flat[-1]

    @pytest.mark.parametrize(
        "text", ["", "ü", "日本", "\u2028", '"\\/', "\x00\x1f", "\U0001f32e", "a\nb"]
    )
    async def test_every_text_comes_back_as_it_went_in(self, store: EventStore, text: str) -> None:
        content = msgspec.json.encode({text: text})
        name = f"x{text}"
        context = ExecutionContext(correlation=name, causation=text, claims={text: text})
        answer = await store.commit(
            a_commit(an_event(name, name, content, name), id=name, context=context)
        )
        (event,) = await read_all(store)
        assert event == answer.events[0]
        assert (event.type_id, event.source, event.aggregate, event.content) == (
            name,
            name,
            name,
            content,
        )
        assert (event.commit.id, event.commit.causation) == (name, text)
        assert positions(await read_all(store, Selection(source=name, types=frozenset([name]))))
        assert await store.version(Stream(name, name)) == 1

    async def test_a_commit_keeps_the_time_that_it_brings(
        self, store: EventStore, clock: MovableClock
    ) -> None:
        before = clock.time - timedelta(days=400)
        first = await store.commit(msgspec.structs.replace(a_commit(id="one"), time=before))
        again = await store.commit(msgspec.structs.replace(a_commit(id="two"), time=before))
        now = await store.commit(a_commit())
        times = [answer.events[0].commit.time for answer in (first, again, now)]
        assert times == [before, before, clock.time]
        assert [event.commit.time for event in await read_all(store)] == times

    @pytest.mark.parametrize("seconds", [-1.0, 1.0], ids=["before the last event", "after now"])
    async def test_a_commit_cannot_bring_a_time_that_the_log_cannot_give_it(
        self, store: EventStore, clock: MovableClock, seconds: float
    ) -> None:
        await store.commit(a_commit())
        other = clock.time + timedelta(seconds=seconds)
        with pytest.raises(CommitTimeRefused) as refusal:
            await store.commit(msgspec.structs.replace(a_commit(id="new"), time=other))
        assert refusal.value.time == other
        assert await store.find_commit("new") is None

    async def test_a_repeated_commit_is_answered_whatever_time_it_brings(
        self, store: EventStore, clock: MovableClock
    ) -> None:
        commit = msgspec.structs.replace(a_commit(id="one"), time=clock.time)
        first = await store.commit(commit)
        clock.move(5)
        await store.commit(a_commit())
        again = await store.commit(commit)
        assert again.is_repeat
        assert again.events == first.events

    async def test_time_never_goes_back(self, store: EventStore, clock: MovableClock) -> None:
        await store.commit(a_commit())
        latest = clock.time
        clock.move(-3600)
        answer = await store.commit(a_commit())
        assert answer.events[0].commit.time == latest

    async def test_versions_count_the_events_of_an_instance(self, store: EventStore) -> None:
        kitchen, other = Stream(KITCHEN, TACOS), Stream(KITCHEN, "Other")
        await store.commit(
            a_commit(
                an_event(aggregate=KITCHEN),
                an_event(source="Other", aggregate=KITCHEN),
                an_event(),
                an_event(aggregate=KITCHEN),
            )
        )
        answer = await store.commit(a_commit(an_event(aggregate=KITCHEN)))
        assert answer.events[0].version == 3
        assert [event.version for event in await read_all(store)] == [1, 1, 0, 2, 3]
        assert await store.version(kitchen) == 3
        assert await store.version(other) == 1
        assert await store.version(Stream("Nothing", TACOS)) == 0
        assert await store.streams() == [(kitchen, 3), (other, 1)]
        assert await store.streams("Nothing") == []
        assert await store.streams(KITCHEN) == [(kitchen, 3), (other, 1)]

    async def test_commit_rejects_a_stale_version(self, store: EventStore) -> None:
        stream = Stream(KITCHEN, TACOS)
        await store.commit(a_commit(an_event(aggregate=KITCHEN), expected={stream: 0}))
        for expected in (0, 2):
            with pytest.raises(WrongExpectedVersion) as caught:
                await store.commit(
                    a_commit(an_event(aggregate=KITCHEN), expected={stream: expected})
                )
            assert (caught.value.expected, caught.value.actual) == (expected, 1)
            assert (caught.value.aggregate, caught.value.source) == stream
        assert len(await read_all(store)) == 1
        await store.commit(a_commit(an_event(aggregate=KITCHEN), expected={stream: 1}))
        assert await store.version(stream) == 2

    async def test_an_expected_version_may_be_of_a_stream_that_gets_no_event(
        self, store: EventStore
    ) -> None:
        await store.commit(a_commit(an_event(aggregate=KITCHEN)))
        with pytest.raises(WrongExpectedVersion):
            await store.commit(a_commit(an_event("Other"), expected={Stream(KITCHEN, TACOS): 0}))
        await store.commit(a_commit(an_event("Other"), expected={Stream(KITCHEN, TACOS): 1}))

    async def test_one_of_many_racing_commits_wins(self, store: EventStore) -> None:
        stream = Stream(KITCHEN, TACOS)
        for version in range(5):
            tries = [
                store.commit(a_commit(an_event(aggregate=KITCHEN), expected={stream: version}))
                for _ in range(8)
            ]
            answers = await asyncio.gather(*tries, return_exceptions=True)
            won = [answer for answer in answers if not isinstance(answer, BaseException)]
            lost = [answer for answer in answers if isinstance(answer, WrongExpectedVersion)]
            assert (len(won), len(lost)) == (1, 7)
        assert await store.version(stream) == 5

    async def test_concurrent_commits_are_all_there_once(self, store: EventStore) -> None:
        commits = [a_commit(an_event(), an_event("Paid")) for _ in range(50)]
        answers = await asyncio.gather(*(store.commit(commit) for commit in commits))
        events = await read_all(store)
        assert len(events) == 100
        assert [event.commit.id for event in events[::2]] == [e.commit.id for e in events[1::2]]
        assert {answer.id for answer in answers} == {commit.id for commit in commits}

    # Commit ids -----------------------------------------------------------------------------

    async def test_a_repeated_commit_gets_the_first_answer(
        self, store: EventStore, clock: MovableClock
    ) -> None:
        stream = Stream(KITCHEN, TACOS)
        commit = a_commit(an_event(aggregate=KITCHEN), expected={stream: 0})
        first = await store.commit(commit)
        await store.commit(a_commit(an_event(aggregate=KITCHEN)))
        clock.move(60)
        # The expected version is stale by now: the id comes first.
        again = await store.commit(commit)
        assert again.is_repeat
        assert (again.events, again.next_position) == (first.events, first.next_position)
        assert len(await read_all(store)) == 2

    async def test_a_commit_repeated_at_the_same_time_is_made_once(self, store: EventStore) -> None:
        commit = a_commit()
        answers = await asyncio.gather(*(store.commit(commit) for _ in range(10)))
        assert sorted(answer.is_repeat for answer in answers) == [False] + [True] * 9
        assert all(answer.events == answers[0].events for answer in answers)
        assert len(await read_all(store)) == 1

    async def test_commit_rejects_a_known_id_with_other_events(self, store: EventStore) -> None:
        await store.commit(a_commit(id="taken"))
        for events in ([an_event("Other")], [an_event(), an_event()], [an_event(source="Other")]):
            with pytest.raises(CommitIdReused):
                await store.commit(a_commit(*events, id="taken"))
        assert len(await read_all(store)) == 1

    async def test_find_commit_returns_the_whole_commit(self, store: EventStore) -> None:
        answer = await store.commit(a_commit(an_event(), an_event("Paid"), id="known"))
        await store.commit(a_commit())
        found = await store.find_commit("known")
        assert found is not None
        assert (found.events, found.next_position) == (answer.events, answer.next_position)
        assert await store.find_commit("unknown") is None

    # Limits ---------------------------------------------------------------------------------

    async def test_commit_rejects_what_is_over_a_limit(self, store: EventStore) -> None:
        too_many = [an_event(content=b"{}")] * (COMMIT_EVENTS_MAX + 1)
        too_large = an_event(content=b'{"a":"%b"}' % (b"a" * COMMIT_BYTES_MAX))
        too_long = an_event(source="a" * (NAME_CHARACTERS_MAX + 1))
        for events in (too_many, [too_large], [too_long]):
            with pytest.raises(CommitTooLarge):
                await store.commit(a_commit(*events))
        with pytest.raises(ValueError, match="at least one event"):
            await store.commit(Commit("empty", (), ExecutionContext()))
        with pytest.raises(ValueError, match="a type and a source"):
            await store.commit(a_commit(an_event(source="")))
        assert await read_all(store) == []

    async def test_the_largest_commit_is_stored_whole(self, store: EventStore) -> None:
        content = b'{"a":"%b"}' % (b"a" * (COMMIT_BYTES_MAX // 4 - 8))
        await store.commit(a_commit(*[an_event(content=content)] * 4))
        await store.commit(a_commit(*[an_event(content=b"{}")] * COMMIT_EVENTS_MAX))
        await store.commit(a_commit(an_event("Last")))
        events = await read_all(store)
        assert [event.content for event in events[:4]] == [content] * 4
        assert len(events) == 4 + COMMIT_EVENTS_MAX + 1
        assert (await store.read_last(Selection(), 1))[0].type_id == "Last"
        last = await store.read_last(Selection(types=frozenset(["DishPrepared"])), 10_001)
        assert len(last) == COMMIT_EVENTS_MAX + 1

    # Reading --------------------------------------------------------------------------------

    async def test_an_empty_log_reads_as_one_empty_page(self, store: EventStore) -> None:
        head = await store.head()
        pages = [page async for page in store.read(Selection())]
        assert [(list(page.events), page.next_position) for page in pages] == [([], head)]
        assert await store.read_last(Selection(), 10) == []
        assert await store.type_counts() == {}
        assert await store.streams() == []

    async def test_pages_are_bounded_and_join_up(self, store: EventStore) -> None:
        for _ in range(5):
            await store.commit(a_commit(*[an_event()] * 1_500))
        found: list[CommittedEvent] = []
        position = 0
        async for page in store.read(Selection()):
            assert len(page.events) <= 5_000
            assert all(position <= event.position < page.next_position for event in page.events)
            position = page.next_position
            found.extend(page.events)
        assert len(found) == 7_500
        assert position == await store.head()

    async def test_reading_goes_on_from_any_page(self, store: EventStore) -> None:
        for size in (1, 3, 2_500, 2):
            await store.commit(a_commit(*[an_event()] * size))
        everything = await read_all(store)
        async for page in store.read(Selection()):
            rest = await read_all(store, Selection(start=page.next_position))
            assert rest == [e for e in everything if e.position >= page.next_position]

    async def test_selections_return_exactly_what_they_match(
        self, store: EventStore, clock: MovableClock
    ) -> None:
        await _fill(store, clock)
        everything = await read_all(store)
        head = await store.head()
        for selection in _selections(everything, head):
            expected = [event for event in everything if selection.matches(event)]
            assert await read_all(store, selection) == expected, selection
            end = None
            async for page in store.read(selection):
                end = page.next_position
            assert end == max(selection.start, min(selection.stop, head)), selection
            for count in (0, 1, 7, 10_000):
                last = await store.read_last(selection, count)
                assert last == (expected[-count:] if count else []), (selection, count)

    async def test_reading_from_beyond_the_end_returns_nothing(self, store: EventStore) -> None:
        await store.commit(a_commit())
        beyond = await store.head() + 100
        pages = [page async for page in store.read(Selection(start=beyond))]
        assert [(list(page.events), page.next_position) for page in pages] == [([], beyond)]
        assert await store.read_last(Selection(start=beyond), 3) == []

    async def test_type_counts_count_events(self, store: EventStore) -> None:
        await store.commit(a_commit(an_event("A"), an_event("B"), an_event("A")))
        await store.commit(a_commit(an_event("A")))
        assert await store.type_counts() == {"A": 3, "B": 1}

    async def test_facts_tell_the_number_of_events(self, store: EventStore) -> None:
        await store.commit(a_commit(an_event(), an_event()))
        facts = await store.facts()
        assert facts.events == 2
        assert facts.engine
        assert facts.location
        assert facts.durability

    async def test_a_store_has_an_id(self, store: EventStore) -> None:
        assert store.id == store.id
        assert store.id

    # Waiting --------------------------------------------------------------------------------

    async def test_wait_returns_at_once_where_there_is_an_event(self, store: EventStore) -> None:
        answer = await store.commit(a_commit())
        await asyncio.wait_for(store.wait(answer.position), WAIT_S_MAX)

    async def test_wait_returns_when_the_log_reaches_the_position(self, store: EventStore) -> None:
        head = await store.head()
        near = [asyncio.create_task(store.wait(head)) for _ in range(3)]
        far = asyncio.create_task(store.wait(head + 1))
        await asyncio.sleep(0)
        assert not any(task.done() for task in near)
        await store.commit(a_commit())
        await asyncio.wait_for(asyncio.gather(*near), WAIT_S_MAX)
        assert not far.done()
        await store.commit(a_commit())
        await asyncio.wait_for(far, WAIT_S_MAX)

    async def test_waiting_can_be_cancelled(self, store: EventStore) -> None:
        head = await store.head()
        task = asyncio.create_task(store.wait(head))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other = asyncio.create_task(store.wait(head))
        await store.commit(a_commit())
        await asyncio.wait_for(other, WAIT_S_MAX)

    async def test_a_subscription_gets_everything_in_order(self, store: EventStore) -> None:
        await store.commit(a_commit(an_event("Before")))
        found: list[CommittedEvent] = []

        async def follow() -> None:
            async for page in subscribe(store, Selection()):
                found.extend(page.events)
                if len(found) >= 21:
                    return

        following = asyncio.create_task(follow())
        for number in range(20):
            await store.commit(a_commit(an_event(f"After{number}")))
        await asyncio.wait_for(following, WAIT_S_MAX)
        assert [e.type_id for e in found] == ["Before", *(f"After{n}" for n in range(20))]

    # Ending ---------------------------------------------------------------------------------

    async def test_a_closed_store_takes_no_commits(self, store: EventStore) -> None:
        await store.close()
        await store.close()
        with pytest.raises(StoreClosed):
            await store.commit(a_commit())


async def _fill(store: EventStore, clock: MovableClock) -> None:
    for number in range(120):
        clock.move(number % 3)
        context = ExecutionContext(correlation=f"corr{number % 7}" if number % 2 else "")
        events = [
            EventToCommit(
                "Rare" if (number, index) == (60, 0) else f"T{(number + index) % 3}",
                f"source{(number * index) % 5}",
                b'{"n":%d}' % number,
                aggregate=KITCHEN if index % 2 else "",
            )
            for index in range(1 + number % 4)
        ]
        await store.commit(a_commit(*events, context=context))


def _selections(everything: Sequence[CommittedEvent], head: int) -> list[Selection]:
    """Return selections of every kind, and some of two kinds at once."""
    middle = everything[len(everything) // 2]
    first_alone = everything[0].commit.id
    time = middle.commit.time
    second = timedelta(seconds=1)
    rare = frozenset(["Rare"])
    return [
        Selection(),
        Selection(start=middle.position),
        Selection(stop=middle.position),
        Selection(start=3, stop=4),
        Selection(start=4, stop=3),
        Selection(start=head, stop=head + 5),
        Selection(start=-5, stop=2),
        Selection(types=rare),
        Selection(types=frozenset(["T1"])),
        Selection(types=frozenset(["Rare", "T2", "Unknown"])),
        Selection(types=frozenset(["Unknown"])),
        Selection(types=frozenset(["Rare", "Unknown"])),
        Selection(source="source3"),
        Selection(source="unknown"),
        Selection(source="source3", start=middle.position),
        Selection(source="source3", stop=middle.position),
        Selection(source="source3", types=frozenset(["T0"])),
        Selection(aggregate=KITCHEN),
        Selection(aggregate=KITCHEN, source="source2"),
        Selection(aggregate=KITCHEN, start=10, stop=60),
        Selection(aggregate="Unknown"),
        Selection(correlation="corr3"),
        Selection(correlation="corr3", start=middle.position),
        Selection(correlation="corr3", types=frozenset(["T1"])),
        Selection(correlation=first_alone),
        Selection(correlation="unknown"),
        Selection(since=time),
        Selection(until=time),
        Selection(since=time - 5 * second, until=time + 5 * second),
        Selection(since=time, until=time),
        Selection(since=time - 5 * second, source="source1"),
        Selection(until=time + 5 * second, source="source1"),
        Selection(until=time, types=rare),
        Selection(since=time + timedelta(days=1)),
        Selection(until=time - timedelta(days=1)),
        Selection(until=time - timedelta(days=1), source="source1"),
        Selection(since=time - second, start=middle.position - 20, stop=middle.position + 20),
    ]
