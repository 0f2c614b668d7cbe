from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main


def prepare(source: str, count: int = 1) -> None:
    for _ in range(count):
        words = ["perform", "Kitchen", source, "prepare_dish", "dish=Taco", "chef=Ann"]
        assert main(words) == 0


def test_aggregates_are_listed_with_commands_and_instances(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare("Tacos", 2)
    prepare("Bar")
    capsys.readouterr()
    assert main(["aggregates", "list"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["AGGREGATE", "ID", "INSTANCES", "COMMANDS"],
        ["Kitchen", "Kitchen", "2", "prepare_dish,", "look_around"],
    ]
    assert main(["aggregates", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "aggregates": [
            {
                "aggregate": "Kitchen",
                "id": "Kitchen",
                "commands": ["prepare_dish", "look_around"],
                "instances": 2,
            }
        ]
    }


def test_the_instances_of_an_aggregate_have_versions(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare("Tacos", 2)
    prepare("Bar")
    capsys.readouterr()
    assert main(["aggregates", "show", "Kitchen"]) == 0
    assert capsys.readouterr().out == "SOURCE  VERSION\nBar     1\nTacos   2\n"
    assert main(["aggregates", "show", "Kitchen", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["instances"] == [
        {"source": "Bar", "version": 1},
        {"source": "Tacos", "version": 2},
    ]


def test_an_instance_is_shown_as_it_is_now_with_its_events(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare("Tacos", 2)
    capsys.readouterr()
    assert main(["aggregates", "show", "Kitchen", "Tacos", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["version"] == 2
    assert shown["state"] == {"ingredients": 0}
    assert [event["version"] for event in shown["events"]] == [1, 2]
    assert main(["aggregates", "show", "Kitchen", "Tacos"]) == 0
    printed = capsys.readouterr().out
    assert "ingredients  0\n" in printed
    assert "Kitchen@2" in printed


def test_looking_makes_no_store(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aggregates", "list"]) == 0
    assert main(["aggregates", "show", "Kitchen"]) == 0
    assert "Kitchen has no instances yet" in capsys.readouterr().err
    assert not (kitchen / ".dolittle").exists()


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["Kitchn"], "there is no aggregate 'Kitchn'", "did you mean Kitchen?"),
        (["Kitchen", "Taco"], "there is no Kitchen 'Taco'", "did you mean Tacos?"),
    ],
)
def test_what_does_not_exist_gets_a_suggestion(
    kitchen: Path, capsys: pytest.CaptureFixture[str], words: list[str], error: str, hint: str
) -> None:
    prepare("Tacos")
    capsys.readouterr()
    assert main(["aggregates", "show", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: {error}\nhint: {hint}\n" in printed.err
