"""Given events, then read models or handled events."""

from datetime import UTC, datetime

import pytest

from dolittle import (
    EventContext,
    Outcome,
    by_property_and_time,
    by_static,
    event_handler,
    event_type,
    handles,
    on,
    projection,
)
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.testing import event_context, given_events


@event_type(public=True)
class DishPrepared:
    dish: str
    chef: str


@event_type("d-1")
class DishRemoved:
    dish: str


@event_type
class KitchenClosed:
    pass


@projection
class DishCounter:
    dish: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_dish_prepared(self, event: DishPrepared, context: EventContext) -> None:
        self.dish = event.dish
        self.count += 1

    @on(DishRemoved, key="dish")
    def on_dish_removed(self, event: DishRemoved) -> Outcome:
        self.dish = "changed, and not kept"
        return Outcome.KEEP if self.count > 1 else Outcome.DELETE


TACO = DishPrepared(dish="Taco", chef="Mr. Taco")
NO_TACO = DishRemoved(dish="Taco")


def test_events_are_folded_into_the_read_model_of_their_key() -> None:
    given_events(TACO, TACO, DishPrepared(dish="Burrito", chef="Mr. Taco")).then_read_model(
        DishCounter, "Taco", DishCounter(dish="Taco", count=2)
    ).then_read_model(DishCounter, "Burrito", DishCounter(dish="Burrito", count=1))


def test_keep_leaves_the_read_model_as_it_was() -> None:
    given_events(TACO, TACO, NO_TACO).then_read_model(
        DishCounter, "Taco", DishCounter(dish="Taco", count=2)
    )


def test_delete_removes_the_read_model() -> None:
    given_events(TACO, NO_TACO).then_no_read_model(DishCounter, "Taco")


def test_events_that_a_projection_does_not_take_are_left_out() -> None:
    given_events(KitchenClosed()).then_no_read_model(DishCounter, "Taco")


def test_another_read_model_fails_with_both_and_the_field_that_differs() -> None:
    with pytest.raises(AssertionError) as failure:
        given_events(TACO).then_read_model(DishCounter, "Taco", DishCounter(dish="Taco", count=2))
    assert str(failure.value).splitlines() == [
        "expected read model DishCounter 'Taco':",
        "  DishCounter(dish='Taco', count=2)",
        "actual read model:",
        "  DishCounter(dish='Taco', count=1)",
        "difference: count: 2 was expected, 1 came",
    ]


def test_a_missing_read_model_fails_with_the_keys_there_are() -> None:
    with pytest.raises(AssertionError, match="DishCounter has the keys: 'Taco'"):
        given_events(TACO).then_read_model(DishCounter, "taco", DishCounter(dish="taco"))
    with pytest.raises(AssertionError, match="made nothing of these events"):
        given_events().then_read_model(DishCounter, "taco", DishCounter(dish="taco"))


def test_an_unexpected_read_model_fails_then_no_read_model() -> None:
    with pytest.raises(AssertionError, match=r"DishCounter\(dish='Taco', count=1\)"):
        given_events(TACO).then_no_read_model(DishCounter, "Taco")


def test_source_and_time_reach_keys_and_methods() -> None:
    @projection
    class PerDay:
        source: str
        time: datetime

        @on(DishPrepared, key=by_property_and_time("dish", "%Y-%m-%d"))
        def on_dish_prepared(self, event: DishPrepared, context: EventContext) -> None:
            self.source, self.time = context.source, context.time

    at = datetime(2026, 5, 6, 7, tzinfo=UTC)
    given_events(TACO, source="Dolittle Tacos", at=at).then_read_model(
        PerDay, "Taco_2026-05-06", PerDay(source="Dolittle Tacos", time=at)
    )


def test_events_of_several_sources_keep_one_order() -> None:
    @projection
    class Log:
        seen: list[str] = []  # noqa: RUF012 - each document gets its own

        @on(DishPrepared, key=by_static("all"))
        def on_dish_prepared(self, event: DishPrepared, context: EventContext) -> None:
            self.seen = [*self.seen, f"{context.position} {context.source}"]

    given_events(TACO, source="A").and_events(TACO, source="B").and_events(
        TACO, source="A"
    ).then_read_model(Log, "all", Log(seen=["0 A", "1 B", "2 A"]))


def test_a_field_that_no_method_set_fails() -> None:
    @projection
    class Forgetful:
        dish: str

        @on(DishPrepared)
        def on_dish_prepared(self, event: DishPrepared) -> None: ...

    with pytest.raises(AssertionError, match=r"without dish: set it there"):
        given_events(TACO).then_no_read_model(Forgetful, "x")


def test_a_read_model_that_cannot_be_stored_fails() -> None:
    @projection
    class Wrong:
        dish: int

        @on(DishPrepared)
        def on_dish_prepared(self, event: DishPrepared) -> None:
            self.dish = event.dish  # type: ignore[assignment]

    with pytest.raises(PayloadDoesNotFit, match="projection Wrong"):
        given_events(TACO).then_no_read_model(Wrong, "x")


def test_a_handler_gets_its_events_in_order_and_the_methods_are_named() -> None:
    seen: list[str] = []

    @event_handler
    class Handler:
        @handles(DishPrepared)
        def announce(self, event: DishPrepared, context: EventContext) -> None:
            seen.append(f"{context.position} {context.source} {event.dish} {context.public}")

        @handles(DishRemoved)
        async def forget(self, event: DishRemoved) -> None:
            seen.append(f"no {event.dish}")

    called = given_events(TACO, KitchenClosed(), NO_TACO, TACO, source="D").handled_by(Handler())
    assert called == ["announce", "forget", "announce"]
    assert seen == ["0 D Taco True", "no Taco", "3 D Taco True"]


def test_what_a_handler_raises_passes_through() -> None:
    @event_handler
    class Failing:
        @handles(DishPrepared)
        def announce(self, event: DishPrepared) -> None:
            raise ConnectionError("the printer is off")

    with pytest.raises(ConnectionError, match="printer"):
        given_events(TACO).handled_by(Failing())


def test_problems_of_declarations_are_raised() -> None:
    @projection
    class NoSuchKey:
        count: int = 0

        @on(DishPrepared, key="cook")
        def on_dish_prepared(self, event: DishPrepared) -> None: ...

    @event_handler
    class HandlesNothing:
        pass

    with pytest.raises(DeclarationErrors, match="no field 'cook' to key by"):
        given_events(TACO).then_no_read_model(NoSuchKey, "x")
    with pytest.raises(DeclarationErrors, match="handles nothing"):
        given_events(TACO).handled_by(HandlesNothing())


def test_wrong_uses_say_what_is_wanted() -> None:
    with pytest.raises(TypeError, match="'taco' is no event"):
        given_events("taco")
    with pytest.raises(TypeError, match="DishPrepared is no projection"):
        given_events(TACO).then_no_read_model(DishPrepared, "x")
    with pytest.raises(TypeError, match="DishPrepared is no event handler"):
        given_events(TACO).handled_by(DishPrepared)


def test_an_event_context_takes_overrides_and_refuses_unknown_ones() -> None:
    context = event_context(position=7, source="Dolittle Tacos", is_replay=True)
    assert (context.position, context.source, context.is_replay) == (7, "Dolittle Tacos", True)
    assert context.event_id == "commit-7/0"
    with pytest.raises(TypeError, match="sauce"):
        event_context(sauce="hot")  # type: ignore[call-arg]
