from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle.errors import DolittleError
from dolittle.store import CommitHeader, CommittedEvent
from dolittle_cli.aliases import Aliases
from dolittle_cli.conditions import Subject, parse_condition
from dolittle_cli.conditions.grammar import CHARACTERS_MAX, ConditionError
from dolittle_cli.errors import CommandLineError, WrongUsage

CONTENT = {
    "amount": 120,
    "in": 3,
    "text": "12",
    "lines": [{"dish": "Taco"}, {"dish": "Burrito"}],
    "note": None,
    "is_paid": True,
    "two words": "ü",
}


def subject(content: dict[str, Any] = CONTENT, position: int = 5) -> Subject:
    header = CommitHeader("c1", datetime(2026, 1, 31, 10, tzinfo=UTC), "c1")
    event = CommittedEvent(
        position, header, 0, "X", 1, "Table 1", "", 0, False, json.dumps(content).encode()
    )
    return Subject(event, Aliases(), "kitchen", "development")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('content.amount > 100 and type == "X"', True),
        ('content.amount > 100 and type == "Y"', False),
        ('type == "Y" or content.amount >= 120', True),
        ("not content.amount < 100", True),
        ("1 == 1 or 1 == 2 and 1 == 2", True),
        ("(1 == 1 or 1 == 2) and 1 == 2", False),
        ("content.in == 3", True),
        ("content['two words'] == 'ü'", True),
        ('content.lines[1].dish == "Burrito"', True),
        ('content.lines[-1].dish == "Burrito"', True),
        ("content.lines[2].dish == null", True),
        ("content.note == null and content.gone == null", True),
        ("content.gone > 1 or content.note < 1", False),
        ("content.gone != 1", True),
        ("content.is_paid", True),
        ("not content.gone", True),
        ("content.is_paid == 1", False),
        ('content.text == 12', False),
        ('source like "Table *"', True),
        ('source like "table *"', False),
        ('content.amount like "1*"', False),
        ('type in ["X", "Y"]', True),
        ('type not in ["X", "Y"]', False),
        ('"able" in source and source contains "1"', True),
        ("3 in content.gone", False),
        ('"amount" in content', True),
        ('time >= "2026-01-31" and time < "2026-02"', True),
        ("position == 5 and id == 'c1/0' and tenant == 'development'", True),
        ("(content.amount > 100) == true", True),
        ("aggregate == null and version == null and public == false", True),
        ("content.amount == 1.2e2 and content.amount > -1", True),
        (r'"a\"b" == "a\"b"', True),
    ],
)  # fmt: skip
def test_a_condition_says_of_an_event_whether_it_meets_it(text: str, expected: bool) -> None:
    assert parse_condition(text).matches(subject()) is expected


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 0, "there is nothing here"),
        ("content.amount >", 16, "the text ends here"),
        ("content.amount > > 100", 17, "'>' cannot stand here"),
        ("content.amount = 100", 15, "'=' means nothing here"),
        ("1 < 2 < 3", 6, "'<' cannot stand here"),
        ('type == "X', 8, "'\"' means nothing here"),
        ("position == 1 && public", 14, "'&' means nothing here"),
        ("amount > 100", 0, "there is no field 'amount' of an event"),
        ("position == 1 and typ == 'X'", 18, "there is no field 'typ' of an event"),
        ("source.name == 'X'", 6, "source has no fields of its own"),
        ('1 > "x"', 4, '1 (a number) and "x" (a text) do not compare'),
        ("content.amount > null", 17, "null is neither less nor more than anything"),
        ("true < content.amount", 0, "true is neither less nor more than anything"),
        ("'x'", 0, "'x' is neither true nor false"),
        ("source in 5", 10, "5 is neither a list nor a text"),
        ("source like content.text", 12, "`like` takes a text in quotes"),
        ("content.lines[1.5] == 1", 14, "a place in a list is a whole number"),
        (r"type == '\x'", 8, "an escape in this text means nothing"),
        ("(" * 40, 40, "the text ends here"),
        ("__import__('os')", 10, "'(' cannot stand here"),
    ],
)
def test_a_text_that_is_no_condition_is_refused_with_a_caret_under_the_place(
    text: str, column: int, reason: str
) -> None:
    with pytest.raises(ConditionError) as refusal:
        parse_condition(text)
    first, shown, caret = str(refusal.value).split("\n")
    assert first == f"--where: {reason}"
    assert shown == f"  {text}"
    assert caret == f"  {' ' * column}^"
    assert refusal.value.exit_code == 2


def test_a_condition_that_is_too_long_is_refused() -> None:
    with pytest.raises(WrongUsage, match="at most 1,000"):
        parse_condition("not " * (CHARACTERS_MAX // 4) + "public")


def test_the_deepest_condition_is_understood_and_asked() -> None:
    text = "not " * 248 + "public"
    assert parse_condition(text).matches(subject()) is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("content.text > 5", "content.text, which is '12' (a text), and 5 do not compare"),
        ("content.lines < 5", "do not compare (a list and a number)"),
        ("content.is_paid >= 1", "do not compare (true or false and a number)"),
        ("content.amount", "content.amount is 120 (a number) in the event at position 5"),
        ("1 in content.amount", "nothing can be in it"),
    ],
)
def test_things_that_do_not_compare_are_named_with_the_event(text: str, reason: str) -> None:
    with pytest.raises(CommandLineError) as refusal:
        parse_condition(text).matches(subject())
    assert reason in str(refusal.value)
    assert "position 5" in str(refusal.value)


def test_what_stands_behind_a_false_part_is_not_asked() -> None:
    assert not parse_condition('type == "Y" and content.text > 5').matches(subject())


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ('type == "X" and content.amount > 1', {"type": {"X"}}),
        ('"X" == type', {"type": {"X"}}),
        ('(source == "a" and (type in ["X", "Y"] and type == "X"))',
         {"source": {"a"}, "type": {"X"}}),
        ('correlation == "c"', {"correlation": {"c"}}),
        ('type == "X" or source == "a"', {}),
        ('not type == "X"', {}),
        ('type != "X"', {}),
        ('type in [content.a]', {}),
        ('type == source', {}),
    ],
)  # fmt: skip
def test_what_a_store_can_select_by_is_told(text: str, required: dict[str, set[str]]) -> None:
    assert parse_condition(text).required == required


@given(st.text(alphabet="()[]\"'.=<> andornt1x,\\", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with contextlib.suppress(DolittleError):
        parse_condition(text).matches(subject())
