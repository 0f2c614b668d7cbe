from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dolittle.store import CommitHeader, CommittedEvent
from dolittle_cli.aliases import Aliases
from dolittle_cli.conditions import Subject
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.line_template import parse_line_template


def subject(**content: Any) -> Subject:
    header = CommitHeader("c1", datetime(2026, 1, 31, 10, tzinfo=UTC), "c1")
    event = CommittedEvent(
        5, header, 0, "X", 1, "Table 1", "", 0, False, json.dumps(content).encode()
    )
    return Subject(event, Aliases(), "kitchen", "development")


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{position} {type} {content.dish}", "5 X Taco"),
        (r"{position}\t{source}", "5\tTable 1"),
        ("{{{position}}}", "{5}"),
        ("{content.lines[1].name}", "b"),
        ("{aggregate} {content.gone} {content.none}", "- - -"),
        ("{content.number} {public}", "1.5 false"),
        ("{content.lines}", '[{"name": "a"}, {"name": "b"}]'),
        ("{microservice}/{tenant} {id}", "kitchen/development c1/0"),
        (r"{content.two-words}\n\\", "x\n\\"),
        ("{content.escape}", r"\x1b[2J"),
    ],
)
def test_a_line_is_made_as_the_template_says(template: str, line: str) -> None:
    content = {
        "dish": "Taco",
        "lines": [{"name": "a"}, {"name": "b"}],
        "none": None,
        "number": 1.5,
        "two-words": "x",
        "escape": "\x1b[2J",
    }
    assert parse_line_template(template).line(subject(**content)) == line


@pytest.mark.parametrize(
    ("template", "column", "reason"),
    [
        ("{typ}", 1, "there is no field 'typ' of an event"),
        ("a {position", 2, "this brace is not closed"),
        ("a } b", 2, "this brace was not opened"),
        ("{}", 1, "'' is no field"),
        ("{position!r}", 1, "'position!r' is no field"),
        ("{source.name}", 1, "source has no fields of its own"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_a_caret(
    template: str, column: int, reason: str
) -> None:
    with pytest.raises(WrongUsage) as refusal:
        parse_line_template(template)
    first, shown, caret = str(refusal.value).split("\n")
    assert (first, shown, caret) == (f"-o: {reason}", f"  {template}", f"  {' ' * column}^")


def test_a_field_that_no_event_has_is_told_with_the_nearest_one() -> None:
    template = parse_line_template("{content.dihs}")
    template.check_found()
    template.line(subject(dish="Taco"))
    with pytest.raises(CommandLineError) as refusal:
        template.check_found()
    assert refusal.value.hint == "did you mean dish?"


def test_a_field_that_some_event_has_is_no_mistake() -> None:
    template = parse_line_template("{content.dish}")
    template.line(subject(guests=3))
    template.line(subject(dish="Taco"))
    template.check_found()
