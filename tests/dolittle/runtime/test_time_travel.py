from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle import (
    AggregateRoot,
    Microservice,
    Outcome,
    RuleViolation,
    aggregate_root,
    event_type,
    on,
    projection,
)
from dolittle.engines.memory import MemoryStore
from dolittle.errors import NotYet, ProjectionFailed, Unknown
from dolittle.execution import ExecutionContext
from dolittle.runtime.definition import define
from dolittle.runtime.field_changes import FieldChange, fields_of
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.time_travel import (
    EventChange,
    aggregate_at,
    aggregate_changes,
    read_model_at,
)
from dolittle.store import Commit, EventToCommit
from dolittle.testing.clock import NOON, HeldClock

Open = Callable[..., AbstractAsyncContextManager[Microservice]]


@event_type
class DishPrepared:
    dish: str
    chef: str = "Ann"


@event_type
class KitchenCleaned:
    pass


@event_type
class DishForgotten:
    dish: str


@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 5
    dishes: list[str] = []  # noqa: RUF012 - a field's default, copied for each instance
    last: dict[str, str] = {}  # noqa: RUF012

    def prepare(self, dish: str) -> None:
        if not self.ingredients:
            raise RuleViolation("none left")
        self.apply(DishPrepared(dish=dish))

    def clean(self) -> None:
        self.apply(KitchenCleaned())

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1
        self.dishes.append(event.dish)
        self.last = {"dish": event.dish, "chef": event.chef}


@projection
class DishCounter:
    dish: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")
        self.dish = event.dish
        self.count += 1

    @on(DishForgotten, key="dish")
    def on_forgotten(self, event: DishForgotten) -> Outcome:
        return Outcome.DELETE


ALL = (DishPrepared, KitchenCleaned, DishForgotten, Kitchen, DishCounter)


async def cook(service: Microservice, *dishes: str, clock: HeldClock | None = None) -> None:
    """Prepare dishes, a minute apart; an empty one cleans the kitchen."""
    instance = service.aggregate(Kitchen, "Bar")
    for dish in dishes:
        if dish:
            await instance.perform(Kitchen.prepare, dish)
        else:
            await instance.perform(Kitchen.clean)
        if clock is not None:
            clock.advance(60)


async def test_an_instance_is_as_it_was_at_each_version(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await cook(service, "Taco", "", "Burrito")
        found = [await aggregate_at(service, Kitchen, "Bar", version) for version in range(4)]
    assert [past.instance.ingredients for past in found] == [5, 4, 4, 3]
    assert [past.instance.version for past in found] == [0, 1, 2, 3]
    assert [past.event.position if past.event else None for past in found] == [None, 0, 1, 2]


async def test_an_instance_is_as_it_was_at_a_time(open_service: Open) -> None:
    clock = HeldClock()
    async with open_service(*ALL, deliver=False, clock=clock) as service:
        await cook(service, "Taco", "Burrito", clock=clock)
        for time, ingredients in (
            (NOON - timedelta(seconds=1), 5),
            (NOON, 4),
            (NOON + timedelta(seconds=59), 4),
            (NOON + timedelta(seconds=60), 3),
        ):
            past = await aggregate_at(service, Kitchen, "Bar", time, clock=clock)
            assert past.instance.ingredients == ingredients


async def test_what_is_yet_to_come_is_refused_with_what_there_is(open_service: Open) -> None:
    clock = HeldClock()
    async with open_service(*ALL, deliver=False, clock=clock) as service:
        await cook(service, "Taco")
        with pytest.raises(NotYet, match=r"version 2 of Kitchen 'Bar' .*: the last is version 1"):
            await aggregate_at(service, Kitchen, "Bar", 2)
        with pytest.raises(NotYet, match=r"version 1 of Kitchen 'Pub' .*: it has no events"):
            await aggregate_at(service, Kitchen, "Pub", 1)
        later = NOON + timedelta(seconds=1)
        with pytest.raises(NotYet, match=r"12:00:01Z .*: it is 2026-01-01T12:00:00Z now"):
            await aggregate_at(service, Kitchen, "Bar", later, clock=clock)
        with pytest.raises(NotYet, match=r"position 1 of the event log .*: the last is position 0"):
            await read_model_at(service, DishCounter, "Taco", 1)
        with pytest.raises(NotYet, match="version 7"):
            [_ async for _ in aggregate_changes(service, Kitchen, "Bar", 0, 7)]


async def test_the_past_of_an_empty_log_has_no_position(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        with pytest.raises(NotYet, match=r"position 0 .*: it has no events"):
            await read_model_at(service, DishCounter, "Taco", 0)


async def test_a_class_that_is_no_aggregate_or_projection_is_refused(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        with pytest.raises(Unknown, match="no aggregate root 'AggregateRoot'"):
            await aggregate_at(service, AggregateRoot, "Bar", 0)
        with pytest.raises(Unknown, match="no projection 'DishPrepared'"):
            await read_model_at(service, DishPrepared, "Taco", 0)


async def changes(service: Microservice, after: int, until: int) -> list[EventChange]:
    return [item async for item in aggregate_changes(service, Kitchen, "Bar", after, until)]


async def test_each_change_names_the_event_and_the_path_of_the_field(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await cook(service, "Taco", "Burrito", "")
        found = await changes(service, 1, 3)
    assert [change.event.version for change in found] == [2, 3]
    assert [(f.path, f.before, f.after) for f in found[0].fields] == [
        ("ingredients", 4, 3),
        ("dishes[1]", _unset(), "Burrito"),
        ("last.dish", "Taco", "Burrito"),
    ]
    assert found[1].fields == ()


def _unset() -> Any:
    import msgspec

    return msgspec.UNSET


async def test_no_events_between_equal_versions_and_no_way_back(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await cook(service, "Taco", "Burrito")
        assert await changes(service, 1, 1) == []
        with pytest.raises(ValueError, match="from version 2 to 1"):
            await changes(service, 2, 1)


@given(dishes=st.lists(st.sampled_from(["Taco", "Burrito", ""]), max_size=5), cut=st.integers(0, 5))
async def test_the_changes_lead_from_the_earlier_state_to_the_later(
    dishes: list[str], cut: int
) -> None:
    definition = define("kitchen", list(ALL))
    service = Microservice(definition, MemoryStore(), SqliteState(), name="kitchen")
    await cook(service, *dishes)
    after = min(cut, len(dishes))
    state = fields_of((await aggregate_at(service, Kitchen, "Bar", after)).instance)
    for change in await changes(service, after, len(dishes)):
        for field in change.fields:
            put(state, field)
    assert state == fields_of((await aggregate_at(service, Kitchen, "Bar", len(dishes))).instance)
    await service.state.close()


def put(state: dict[str, Any], field: FieldChange) -> None:
    """Write the value after a change to where its path leads."""
    name, _, rest = field.path.partition(".")
    if rest:
        state[name][rest] = field.after
    elif name.endswith("]"):
        name, _, index = name[:-1].partition("[")
        state[name][int(index) :] = [field.after]
    else:
        state[name] = field.after


async def test_a_read_model_is_as_it_was_after_each_event(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await cook(service, "Taco", "Burrito", "Taco", "")
        await service.commit(DishForgotten(dish="Taco"), source="Bar")
        found = [await read_model_at(service, DishCounter, "Taco", at) for at in range(5)]
        assert await service.projection(DishCounter).get("Taco") is None
        assert await service.state.processors() == []
    counts = [past.document.count if past.document else None for past in found]
    assert counts == [1, 1, 2, 2, None]
    assert [past.event.position if past.event else None for past in found] == [0, 0, 2, 2, 4]
    assert [past.until.position if past.until else None for past in found] == [0, 1, 2, 3, 4]
    assert found[0].keys == ()
    assert found[1].keys == ("Burrito",)


async def test_a_read_model_is_as_it_was_at_a_time(open_service: Open) -> None:
    clock = HeldClock()
    async with open_service(*ALL, deliver=False, clock=clock) as service:
        await cook(service, "Taco", "Taco", clock=clock)
        before = NOON - timedelta(seconds=1)
        for time, count in ((before, None), (NOON, 1), (clock.now(), 2)):
            past = await read_model_at(service, DishCounter, "Taco", time, clock=clock)
            assert (past.document and past.document.count) == count


async def test_an_event_that_cannot_be_folded_is_named(open_service: Open) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await cook(service, "Taco", "poison", "Taco")
        assert (await read_model_at(service, DishCounter, "Taco", 2)).document == DishCounter(
            dish="Taco", count=2
        )
        with pytest.raises(ProjectionFailed, match=r"position 1 .*ValueError: that is poison"):
            await read_model_at(service, DishCounter, "poison", 2)


async def test_an_event_whose_key_cannot_be_told_is_passed_over_and_named(
    open_service: Open,
) -> None:
    async with open_service(*ALL, deliver=False) as service:
        await service.store.commit(
            Commit("c1", (EventToCommit("DishPrepared", "Bar", b"{}"),), ExecutionContext())
        )
        await cook(service, "Taco")
        past = await read_model_at(service, DishCounter, "Taco", 1)
    assert past.document == DishCounter(dish="Taco", count=1)
    assert past.unread is not None
    assert past.unread.position == 0
