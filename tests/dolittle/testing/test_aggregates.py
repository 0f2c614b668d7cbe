"""given/when/then for aggregate roots."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle import AggregateRoot, RuleViolation, aggregate_root, event_type, on
from dolittle.errors import DeclarationErrors, PayloadDoesNotFit
from dolittle.testing import given


@event_type
class DishPrepared:
    dish: str
    chef: str


@event_type
class KitchenClosed:
    pass


@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 2
    is_open: bool = True

    def prepare_dish(self, dish: str, chef: str) -> int:
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish, chef=chef))
        return self.ingredients

    async def close(self) -> None:
        await asyncio.sleep(0)
        if self.is_open:
            self.apply(KitchenClosed())

    def take_by_hand(self) -> None:
        self.ingredients -= 1

    def prepare_then_refuse(self) -> None:
        self.apply(TACO)
        raise RuleViolation("changed my mind")

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1

    @on(KitchenClosed)
    def on_kitchen_closed(self, event: KitchenClosed) -> None:
        self.is_open = False


TACO = DishPrepared(dish="Bean Blaster Taco", chef="Mr. Taco")


def test_a_command_that_applies_the_expected_event_passes() -> None:
    given(Kitchen, "Dolittle Tacos").when(
        Kitchen.prepare_dish, dish="Bean Blaster Taco", chef="Mr. Taco"
    ).then(TACO).then_state(ingredients=1)


def test_given_events_make_the_state_that_the_command_meets() -> None:
    given(Kitchen, "Dolittle Tacos", TACO, TACO).when(
        Kitchen.prepare_dish, dish="Burrito", chef="Mr. Taco"
    ).then_refused("We have run out of ingredients, sorry!").then_refused().then_state(
        ingredients=0
    )


def test_the_result_of_a_command_is_kept() -> None:
    assert given(Kitchen, "Dolittle Tacos").when(Kitchen.prepare_dish, "Taco", "Chef").result == 1


def test_a_function_of_the_instance_is_a_command_too() -> None:
    given(Kitchen, "x").when(lambda kitchen: kitchen.prepare_dish("a", "b")).then(
        DishPrepared(dish="a", chef="b")
    )


def test_an_async_command_is_run_to_its_end() -> None:
    given(Kitchen, "x").when(Kitchen.close).then(KitchenClosed()).then_state(is_open=False)


async def test_an_async_command_is_run_to_its_end_inside_an_async_test() -> None:
    given(Kitchen, "x").when(Kitchen.close).then(KitchenClosed())


def test_then_nothing_wants_an_accepted_command_without_events() -> None:
    closed = given(Kitchen, "x", KitchenClosed())
    closed.when(Kitchen.close).then_nothing()
    with pytest.raises(AssertionError, match="DishPrepared"):
        closed.when(Kitchen.prepare_dish, dish="a", chef="b").then_nothing()


def test_other_events_fail_with_both_lists_and_the_field_that_differs() -> None:
    done = given(Kitchen, "x").when(Kitchen.prepare_dish, dish="Taco", chef="Mr. Taco")
    with pytest.raises(AssertionError) as failure:
        done.then(DishPrepared(dish="Burrito", chef="Mr. Taco"))
    assert str(failure.value).splitlines() == [
        "expected events:",
        "  DishPrepared(dish='Burrito', chef='Mr. Taco')",
        "actual events:",
        "  DishPrepared(dish='Taco', chef='Mr. Taco')",
        "first difference, event 1: dish: 'Burrito' was expected, 'Taco' came",
    ]


def test_an_event_of_another_type_fails_by_its_name() -> None:
    done = given(Kitchen, "x").when(Kitchen.prepare_dish, dish="Taco", chef="Mr. Taco")
    with pytest.raises(AssertionError, match="KitchenClosed was expected, DishPrepared came"):
        done.then(KitchenClosed())


def test_a_refusal_where_events_were_expected_is_shown() -> None:
    done = given(Kitchen, "x", TACO, TACO).when(Kitchen.prepare_dish, dish="a", chef="b")
    with pytest.raises(AssertionError, match="refused: We have run out of ingredients") as failure:
        done.then(TACO)
    assert isinstance(failure.value.__cause__, RuleViolation)
    with pytest.raises(AssertionError, match="was refused"):
        done.then_nothing()


def test_an_accepted_command_fails_then_refused() -> None:
    done = given(Kitchen, "x").when(Kitchen.prepare_dish, dish="a", chef="b")
    with pytest.raises(AssertionError, match="'no' was expected, the command was accepted"):
        done.then_refused("no")


def test_another_refusal_fails_with_both_messages() -> None:
    done = given(Kitchen, "x", TACO, TACO).when(Kitchen.prepare_dish, dish="a", chef="b")
    with pytest.raises(AssertionError, match=r"expected refusal: 'no'\nactual refusal:   'We have"):
        done.then_refused("no")


def test_a_refused_command_applies_nothing() -> None:
    given(Kitchen, "x").when(Kitchen.prepare_then_refuse).then_refused().then_state(ingredients=2)


def test_a_wrong_state_fails_with_both_values() -> None:
    done = given(Kitchen, "x").when(Kitchen.close)
    with pytest.raises(AssertionError, match="ingredients: 7 was expected, 2 came"):
        done.then_state(ingredients=7, is_open=False)


def test_a_field_changed_outside_on_is_found_since_loading_would_lose_it() -> None:
    done = given(Kitchen, "x").when(Kitchen.take_by_hand)
    with pytest.raises(AssertionError, match="left 1, which is lost"):
        done.then_state(ingredients=1)


def test_the_state_that_given_events_make_can_be_asserted_without_a_command() -> None:
    given(Kitchen, "x").then_state(ingredients=2, version=0)
    with pytest.raises(AssertionError, match="ingredients: 2 was expected, 1 came"):
        given(Kitchen, "x", TACO).then_state(ingredients=2)


def test_an_unknown_field_is_a_wrong_use() -> None:
    with pytest.raises(TypeError, match="Kitchen has no field 'forks'"):
        given(Kitchen, "x").when(Kitchen.close).then_state(forks=1)


def test_other_errors_of_a_command_pass_through() -> None:
    def broken(kitchen: Kitchen) -> None:
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        given(Kitchen, "x").when(broken)


def test_an_event_that_cannot_be_stored_fails_in_the_test() -> None:
    with pytest.raises(PayloadDoesNotFit, match="DishPrepared"):
        given(Kitchen, "x").when(
            lambda kitchen: kitchen.apply(DishPrepared(dish=1, chef="b"))  # type: ignore[arg-type]
        )
    with pytest.raises(PayloadDoesNotFit, match="DishPrepared"):
        given(Kitchen, "x", DishPrepared(dish=1, chef="b"))  # type: ignore[arg-type]


def test_problems_of_a_declaration_are_raised_each_time_and_change_nothing() -> None:
    @aggregate_root
    class Broken(AggregateRoot):
        @on(str)
        def on_text(self, event: str) -> None: ...

    for _ in range(2):
        with pytest.raises(
            DeclarationErrors, match=re.escape("@on(str) is for no event type")
        ) as e:
            given(Broken, "x")
        assert len(e.value.problems) == 1


def test_wrong_uses_say_what_is_wanted() -> None:
    class Plain(AggregateRoot):
        pass

    with pytest.raises(TypeError, match="Plain is no aggregate root"):
        given(Plain, "x")
    with pytest.raises(TypeError, match="second argument of given is the event source"):
        given(Kitchen, TACO)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'taco' is no event"):
        given(Kitchen, "x", "taco")
    with pytest.raises(TypeError, match="KitchenClosed is a class"):
        given(Kitchen, "x", KitchenClosed)


def test_type_checkers_check_the_arguments_of_a_command(tmp_path: Path) -> None:
    (tmp_path / "checked.py").write_text(
        "from dolittle import AggregateRoot, aggregate_root\n"
        "from dolittle.testing import given\n\n\n"
        "@aggregate_root\n"
        "class Kitchen(AggregateRoot):\n"
        "    def prepare(self, dish: str) -> None: ...\n\n\n"
        'given(Kitchen, "x").when(Kitchen.prepare, dish="Taco").then_nothing()\n'
        'given(Kitchen, "x").when(Kitchen.prepare, dish=1)\n'
        'given(Kitchen, "x").when(Kitchen.prepare, plate="Taco")\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "checked.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert {line.split(":")[1] for line in errors} == {"11", "12"}, done.stdout


def test_the_kit_does_not_import_pytest() -> None:
    code = "import sys, dolittle.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
