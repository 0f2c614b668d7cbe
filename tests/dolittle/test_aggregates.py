from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

import pytest

from dolittle import AggregateRoot, aggregate_root, event_type, on
from dolittle.aggregates import (
    arguments_for,
    check_aggregate_root,
    command_of,
    declaration_of,
    rehydrate,
)
from dolittle.errors import PayloadDoesNotFit, Unknown


@event_type
class DishPrepared:
    dish: str


@event_type
class GuestLeft:
    pass


class Opaque:
    pass


class Place(AggregateRoot):
    names: list[str] = []  # noqa: RUF012 - copied for each instance
    seats: int = 10
    limit: ClassVar[int] = 7

    def open(self) -> None: ...

    @on(GuestLeft)
    def on_left(self, event: GuestLeft) -> None:
        self.seats += 1


@aggregate_root
class Kitchen(Place):
    ingredients: int = 2

    def prepare_dish(self, dish: str, day: date = date(2026, 1, 1)) -> None:
        self.apply(DishPrepared(dish=dish))

    def _not_a_command(self, *anything: object) -> None: ...

    @property
    def is_empty(self) -> bool:
        return self.ingredients == 0

    @staticmethod
    def words() -> str:
        return ""

    @on(DishPrepared)
    def on_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1
        self.names.append(event.dish)


def test_each_instance_has_its_own_copy_of_the_defaults() -> None:
    one, two = Kitchen("one"), Kitchen("two")
    one.prepare_dish("Taco")
    assert (one.names, two.names, Kitchen.names) == (["Taco"], [], [])
    assert (one.ingredients, two.ingredients) == (1, 2)


def test_applying_folds_counts_and_remembers() -> None:
    kitchen = Kitchen("Tacos")
    kitchen.prepare_dish("Taco")
    kitchen.apply(GuestLeft())
    assert (kitchen.version, kitchen.event_source, kitchen.seats) == (2, "Tacos", 11)
    assert kitchen.applied_events == (DishPrepared(dish="Taco"), GuestLeft())


def test_applying_what_is_no_event_is_refused() -> None:
    with pytest.raises(TypeError, match="str is no event type"):
        Kitchen("Tacos").apply("DishPrepared")


def test_folding_stored_events_gives_the_instance_back() -> None:
    kitchen = rehydrate(Kitchen, "Tacos", [DishPrepared(dish="a"), DishPrepared(dish="b")])
    assert (kitchen.version, kitchen.ingredients, kitchen.applied_events) == (2, 0, ())
    assert kitchen.is_empty


def checked(cls: type) -> Any:
    declaration = declaration_of(cls)
    assert declaration is not None
    check_aggregate_root(declaration)
    return declaration


def test_public_methods_are_commands_and_nothing_else_is() -> None:
    assert sorted(checked(Kitchen).commands) == ["open", "prepare_dish"]


def test_a_class_that_only_derives_from_an_aggregate_root_is_none() -> None:
    class Derived(Kitchen):
        pass

    assert declaration_of(Derived) is None


def test_arguments_are_checked_against_the_signature() -> None:
    command = command_of(checked(Kitchen), "prepare_dish")
    values = {"dish": "Taco", "day": "2026-02-03"}
    arguments = arguments_for(command, values, what="Kitchen.prepare_dish")
    assert arguments == {"dish": "Taco", "day": date(2026, 2, 3)}
    with pytest.raises(PayloadDoesNotFit, match="missing argument `dish`"):
        arguments_for(command, {}, what="Kitchen.prepare_dish")
    with pytest.raises(PayloadDoesNotFit, match="there is no argument 'dihs'") as caught:
        arguments_for(command, {"dihs": "Taco"}, what="Kitchen.prepare_dish")
    assert caught.value.hint == "did you mean dish?"


def test_a_command_that_does_not_exist_is_unknown_with_a_suggestion() -> None:
    with pytest.raises(Unknown) as caught:
        command_of(checked(Kitchen), "prepare_dihs")
    assert caught.value.hint == "did you mean prepare_dish?"


def test_every_problem_of_an_aggregate_root_is_told() -> None:
    @aggregate_root
    class Broken(AggregateRoot):
        stock: int

        def one(self, opaque: Opaque) -> None: ...

        def two(self, *dishes: str) -> None: ...

        def three(self, dish: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        @on(Opaque)
        def on_opaque(self, event: Opaque) -> None: ...

        @on([DishPrepared])  # type: ignore[arg-type]
        def on_list(self, event: DishPrepared) -> None: ...

        @on(DishPrepared, key="dish")
        async def on_prepared(self, event: DishPrepared, context: object) -> None: ...

        @on(DishPrepared)
        def on_prepared_too(self, event: DishPrepared) -> None: ...

    declaration = checked(Broken)
    assert {problem.message for problem in declaration.problems} == {
        "aggregate root Broken: field 'stock' has no default",
        "Broken.one: argument 'opaque': Opaque cannot be stored as JSON",
        "Broken.two: *dishes cannot be checked: name each argument",
        "Broken.three: name 'Missing' is not defined",
        "Broken.on_opaque: @on(Opaque) is for no event type",
        f"Broken.on_list: @on({[DishPrepared]!r}) is for no event type",
        "Broken.on_prepared: key= is for projections, an aggregate has none",
        "Broken.on_prepared: an @on method cannot be async: it only changes fields",
        "Broken.on_prepared must take (self, event), it takes "
        "(self, event: 'DishPrepared', context: 'object')",
        "Broken: two methods are marked @on(DishPrepared)",
    }
    assert all(problem.path == __file__ and problem.line for problem in declaration.problems)


def test_a_class_that_is_no_aggregate_root_is_a_problem() -> None:
    @aggregate_root
    class Kiosk:
        pass

    [problem] = checked(Kiosk).problems
    assert problem.message == "aggregate root Kiosk does not derive from AggregateRoot"
    assert problem.hint == "write: class Kiosk(AggregateRoot):"
