"""Names that people give, and what is derived from them."""

from __future__ import annotations

import pytest

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.names import (
    NAME_CHARACTERS_MAX,
    check_class_name,
    check_field_name,
    check_method_name,
    check_service_name,
    package_of,
    pascal,
    snake,
    words,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DishPrepared", "dish_prepared"),
        ("HTTPRequestReceived", "http_request_received"),
        ("Order2Paid", "order2_paid"),
        ("X", "x"),
        ("PaidByIBAN", "paid_by_iban"),
    ],
)
def test_a_class_name_gives_a_module_name(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_words_and_class_names_are_made_of_parts() -> None:
    assert words("DishPrepared") == words("dish_prepared") == "dish prepared"
    assert pascal("dish-prepared") == pascal("dish_prepared") == "DishPrepared"
    assert pascal("2dishes") == "dishes"
    assert pascal("…") == ""


@pytest.mark.parametrize("name", ["DishPrepared", "X", "A1", "B" * NAME_CHARACTERS_MAX])
def test_class_names_are_accepted(name: str) -> None:
    check_class_name("event", name)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("dish_prepared", "is no name for an event", "DishPrepared"),
        ("dishPrepared", "is no name for an event", "like a class: DishPrepared"),
        ("Dish-Prepared", "is no name for an event", "DishPrepared"),
        ("Dish Prepared", "is no name for an event", "DishPrepared"),
        ("3Dishes", "is no name for an event", "like a class"),
        ("Überraschung", "is no name for an event", "like a class"),
        ("", "is no name for an event", "like a class"),
        ("../Evil", "is no name for an event", "like a class: DishPrepared"),
        ("/Evil", "is no name for an event", "like a class"),
        ("Class", "'class' is a word of Python", "ClassMade"),
        ("None", "is a word of Python", "NoneMade"),
        ("ValueError", "has a meaning already", "your own domain"),
        ("AggregateRoot", "has a meaning already", "your own domain"),
        ("Decimal", "has a meaning already", "your own domain"),
        ("B" * (NAME_CHARACTERS_MAX + 1), "at most 40 characters", "shorter"),
    ],
)
def test_other_class_names_are_refused(name: str, message: str, hint: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        check_class_name("event", name)
    assert message in str(refused.value)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("name", "package"), [("kitchen", "kitchen"), ("order-desk", "order_desk"), ("a1_b2", "a1_b2")]
)
def test_a_microservice_name_gives_a_package(name: str, package: str) -> None:
    check_service_name("microservice", name)
    assert package_of(name) == package


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Kitchen", ": kitchen"),
        ("OrderDesk", ": order-desk"),
        ("order desk", "order-desk"),
        ("-x", "order-desk"),
        ("order--desk", "order-desk"),
        ("../evil", "--into"),
        ("/evil", "--into"),
        ("..", "--into"),
        ("", "order-desk"),
        ("küche", "order-desk"),
        ("a\n", ": a"),
    ],
)
def test_other_microservice_names_are_refused(name: str, hint: str) -> None:
    with pytest.raises(WrongUsage, match="is no name for a microservice") as refused:
        check_service_name("microservice", name)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json", "Python itself"),
        ("typing", "Python itself"),
        ("class", "word of Python"),
        ("dolittle", "installed distribution"),
        ("dolittle-cli", "installed distribution"),
        ("msgspec", "installed distribution"),
        ("tests", "folder 'tests'"),
        ("wheels", "folder 'wheels'"),
    ],
)
def test_a_package_name_that_is_taken_is_refused(name: str, message: str) -> None:
    with pytest.raises(WrongUsage, match=message) as refused:
        package_of(name)
    assert f"{name}-service" in refused.value.hint


@pytest.mark.parametrize("name", ["dish", "a1", "match", "type", "case", "dish_name", "event"])
def test_field_names_are_accepted_soft_keywords_too(name: str) -> None:
    check_field_name(name)
    check_method_name(name)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("orderId", "is no name for a field", "order_id"),
        ("order-id", "is no name for a field", "order_id"),
        ("_secret", "is no name for a field", "secret"),
        ("1st", "is no name for a field", "dish_name"),
        ("größe", "is no name for a field", ""),
        ("", "is no name for a field", "dish_name"),
        ("class", "it is a word of Python", "class_name"),
        ("date", "would hide", "due_date"),
        ("str", "would hide", "say more"),
        ("self", "would hide", "say more"),
        ("taken", "is taken", "another"),
        ("x" * 41, "at most 40 characters", "shorter"),
    ],
)
def test_other_field_names_are_refused(name: str, message: str, hint: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        check_field_name(name, taken=["taken"])
    assert message in str(refused.value)
    assert hint in refused.value.hint
