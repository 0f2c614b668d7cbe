from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from dolittle import AggregateRoot, RuleViolation, aggregate_root, event_type, on
from dolittle.errors import CommitIdReused, LostRace, WrongExpectedVersion
from dolittle.runtime.instances import ATTEMPTS_MAX
from dolittle.store import Selection


@event_type
class DishPrepared:
    dish: str
    number: int = 0


@event_type
class Cleaned:
    pass


@aggregate_root("a-kitchen")
class Kitchen(AggregateRoot):
    ingredients: int = 2
    prepared: int = 0
    calls: list[str] = []  # noqa: RUF012 - copied for each instance

    def prepare_dish(self, dish: str) -> int:
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish))
        return self.ingredients

    def prepare_many(self, dishes: list[str]) -> None:
        for dish in dishes:
            self.apply(DishPrepared(dish=dish, number=self.prepared))
        if len(dishes) > 5:
            raise RuleViolation("too many")

    async def prepare_slowly(self, dish: str) -> str:
        await asyncio.sleep(0)
        self.apply(DishPrepared(dish=dish))
        return dish.upper()

    def look(self) -> int:
        return self.prepared

    def clean(self) -> None:
        self.apply(Cleaned())

    @on(DishPrepared)
    def on_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1
        self.prepared += 1


CLASSES = (Kitchen, DishPrepared, Cleaned)


async def test_a_command_commits_what_it_applied_and_returns_its_value(open_service) -> None:
    async with open_service(*CLASSES) as service:
        performed = await service.aggregate(Kitchen, "Tacos").perform(Kitchen.prepare_dish, "Taco")
        assert (performed.value, performed.version) == (1, 1)
        [event] = performed.events.events
    assert (event.type_id, event.source, event.aggregate, event.version) == (
        "DishPrepared",
        "Tacos",
        "a-kitchen",
        1,
    )
    assert event.commit.correlation == event.commit.id


async def test_an_async_command_is_awaited(open_service) -> None:
    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        performed = await tacos.perform(Kitchen.prepare_slowly, dish="taco")
        also = await tacos.perform(lambda kitchen: kitchen.prepare_slowly("nacho"))
    assert (performed.value, also.value, also.version) == ("TACO", "NACHO", 2)


async def test_several_events_of_one_command_are_one_commit(open_service) -> None:
    async with open_service(*CLASSES) as service:
        performed = await service.aggregate(Kitchen, "Tacos").perform(
            Kitchen.prepare_many, ["a", "b", "c"]
        )
    events = performed.events.events
    assert {event.commit.id for event in events} == {performed.events.id}
    assert [(event.index, event.version) for event in events] == [(0, 1), (1, 2), (2, 3)]


async def test_a_refused_rule_commits_nothing(open_service) -> None:
    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        with pytest.raises(RuleViolation, match="too many"):
            await tacos.perform(Kitchen.prepare_many, list("abcdef"))
        assert await service.store.head() == 0
        await tacos.perform(Kitchen.prepare_many, ["a", "b"])
        with pytest.raises(RuleViolation, match="run out of ingredients"):
            await tacos.perform(Kitchen.prepare_dish, "c")
        assert await service.store.head() == 2


async def test_a_command_that_applies_nothing_commits_nothing(open_service) -> None:
    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        await tacos.perform(Kitchen.prepare_dish, "a")
        performed = await tacos.perform(Kitchen.look)
        assert (performed.value, performed.events, performed.version) == (1, None, 1)
        assert await service.store.head() == 1


async def test_an_instance_is_what_its_events_say(open_service) -> None:
    async with open_service(*CLASSES) as service:
        await service.aggregate(Kitchen, "Tacos").perform(Kitchen.prepare_many, ["a", "b"])
        await service.aggregate(Kitchen, "Tacos").perform(Kitchen.clean)
        await service.aggregate(Kitchen, "Burritos").perform(Kitchen.prepare_dish, "c")
        await service.commit(DishPrepared(dish="d"), source="Tacos")
        found = await service.load_many(Kitchen, ["Tacos", "Burritos", "Nachos"])
        told = {source: (item.version, item.prepared) for source, item in found.items()}
        by_name = await service.aggregate_state("a-kitchen", "Tacos")
    assert told == {"Tacos": (3, 2), "Burritos": (1, 1), "Nachos": (0, 0)}
    assert by_name.version == 3


@aggregate_root
class Counting(AggregateRoot):
    versions: list[int] = []  # noqa: RUF012 - copied for each instance

    def count(self, events: int) -> None:
        for _ in range(events):
            self.apply(Cleaned())

    @on(Cleaned)
    def on_cleaned(self, event: Cleaned) -> None:
        self.versions.append(self.version)


async def test_a_method_that_folds_sees_how_many_events_came_before(open_service) -> None:
    async with open_service(Counting, Cleaned) as service:
        await service.aggregate(Counting, "Tacos").perform(Counting.count, 3)
        await service.aggregate(Counting, "Tacos").perform(Counting.count, 2)
        loaded = await service.aggregate(Counting, "Tacos").load()
    assert loaded.versions == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ephemeral", [True, False])
async def test_concurrent_commands_take_turns_and_none_is_lost(open_service, ephemeral) -> None:
    count = 40
    async with open_service(*CLASSES, ephemeral=ephemeral) as service:
        tacos = service.aggregate(Kitchen, "Tacos")

        async def one(number: int) -> Any:
            return await tacos.perform(Kitchen.prepare_many, [f"dish {number}"])

        performed = await asyncio.gather(*(one(number) for number in range(count)))
        assert sorted(item.version for item in performed) == list(range(1, count + 1))
        async for page in service.store.read(Selection(aggregate="a-kitchen")):
            stored = [event.content for event in page.events]
    # Each saw all those before it.
    assert [f'"number":{n}}}'.encode() in content for n, content in enumerate(stored)] == (
        [True] * count
    )


class LosingStore:
    """A store whose commits are always a moment too late."""

    def __init__(self, store: Any, times: int) -> None:
        self.store, self.times, self.commits = store, times, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def commit(self, commit: Any) -> Any:
        self.commits += 1
        if self.commits <= self.times:
            [stream] = commit.expected
            raise WrongExpectedVersion(stream.aggregate, stream.source, 0, 1)
        return await self.store.commit(commit)


async def test_a_command_that_always_loses_is_given_up(open_service) -> None:
    async with open_service(*CLASSES, deliver=False) as service:
        service.store = losing = LosingStore(service.store, ATTEMPTS_MAX)
        with pytest.raises(LostRace) as caught:
            await service.aggregate(Kitchen, "Tacos").perform(Kitchen.prepare_dish, "a")
        assert (caught.value.aggregate, caught.value.source) == ("Kitchen", "Tacos")
        assert losing.commits == caught.value.attempts == ATTEMPTS_MAX
        assert await service.store.head() == 0


async def test_a_command_that_loses_now_and_then_is_tried_again(open_service) -> None:
    async with open_service(*CLASSES, deliver=False) as service:
        service.store = LosingStore(service.store, 3)
        performed = await service.aggregate(Kitchen, "Tacos").perform(Kitchen.prepare_dish, "a")
        assert performed.version == 1
        assert await service.store.head() == 1


async def test_the_same_commit_id_answers_the_same_without_calling_again(open_service) -> None:
    calls = []

    def prepare(kitchen: Kitchen) -> str:
        calls.append(1)
        kitchen.prepare_dish("a")
        return "done"

    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        first = await tacos.perform_once(prepare, "order 1")
        await tacos.perform(Kitchen.clean)
        again = await tacos.perform_once(prepare, "order 1")
        assert (first.value, first.version, first.events.is_repeat) == ("done", 1, False)
        assert (again.value, again.version, again.events.is_repeat) == (None, 1, True)
        assert again.events.events == first.events.events
        assert calls == [1]
        assert await service.store.head() == 2


async def test_the_same_commit_id_at_the_same_time_is_one_commit(open_service) -> None:
    numbers = iter(range(100))

    def prepare(kitchen: Kitchen) -> None:
        if kitchen.prepared:
            raise RuleViolation("once only")
        kitchen.apply(DishPrepared(dish="a", number=next(numbers)))

    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        performed = await asyncio.gather(
            *(tacos.perform_once(prepare, "order 1") for _ in range(10))
        )
        assert all(item.events.events == performed[0].events.events for item in performed)
        assert {item.version for item in performed} == {1}
        assert await service.store.head() == 1


async def test_a_commit_id_of_another_instance_is_refused(open_service) -> None:
    async with open_service(*CLASSES) as service:
        await service.aggregate(Kitchen, "Tacos").perform_once(Kitchen.prepare_dish, "order 1", "a")
        with pytest.raises(CommitIdReused):
            await service.aggregate(Kitchen, "Burritos").perform_once(
                Kitchen.prepare_dish, "order 1", "a"
            )


async def test_a_blocking_command_does_not_stall_the_event_loop(open_service) -> None:
    release = threading.Event()

    def wait(kitchen: Kitchen) -> bool:
        return release.wait(10)

    async with open_service(*CLASSES) as service:
        task = asyncio.create_task(service.aggregate(Kitchen, "Tacos").perform(wait))
        longest, before = 0.0, time.monotonic()
        for _ in range(30):
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        assert not task.done()
        release.set()
        assert (await task).value is True
    assert longest < 0.5


async def test_whatever_a_command_raises_comes_out(open_service) -> None:
    def stop(kitchen: Kitchen) -> None:
        kitchen.prepare_dish("a")
        raise StopIteration(3)

    def fail(kitchen: Kitchen) -> None:
        raise LookupError("nothing there")

    async with open_service(*CLASSES) as service:
        tacos = service.aggregate(Kitchen, "Tacos")
        with pytest.raises(LookupError, match="nothing there"):
            await asyncio.wait_for(tacos.perform(fail), 5)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(tacos.perform(stop), 5)
        assert await service.store.head() == 0
