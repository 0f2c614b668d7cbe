from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture
def counted(kitchen: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]) -> Path:
    """A kitchen in which two tacos and a burrito are counted."""
    for dish in ("Taco", "Burrito", "Taco"):
        words = ["DishPrepared", "--source", "Bar", f"dish={dish}", "chef=Ann"]
        assert main(["events", "append", *words]) == 0
    deliver()
    capsys.readouterr()
    return kitchen


def test_projections_are_listed_with_how_many_read_models_they_have(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "list"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["PROJECTION", "ID", "STATUS", "POSITION", "LAG", "FAILING", "READ", "MODELS"],
        ["DishCounter", "DishCounter", "level", "3", "0", "0", "2"],
    ]
    assert main(["projections", "list", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["projections"]
    assert (found["projection"], found["lag"], found["read_models"]) == ("DishCounter", 0, 2)


def test_the_read_models_of_a_projection_are_shown(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "show", "DishCounter"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "KEY      DOCUMENT",
        'Burrito  {"dish": "Burrito", "count": 1}',
        'Taco     {"dish": "Taco", "count": 2}',
    ]
    assert main(["projections", "show", "DishCounter", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["read_models"] == 2
    assert shown["documents"][1] == {"key": "Taco", "document": {"dish": "Taco", "count": 2}}


def test_more_read_models_than_asked_for_are_said(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "show", "DishCounter", "-n", "1"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert "the first 1 of 2 read models" in printed.err


def test_one_read_model_is_shown(counted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["projections", "show", "DishCounter", "Taco"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dish": "Taco", "count": 2}
    assert main(["projections", "show", "DishCounter", "Taco", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"key": "Taco", "document": {"dish": "Taco", "count": 2}}


def test_a_lag_is_said_beside_what_is_shown(
    counted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["DishPrepared", "--source", "Bar", "dish=Taco", "chef=Ann"]
    assert main(["events", "append", *words]) == 0
    capsys.readouterr()
    assert main(["projections", "show", "DishCounter", "Taco"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["count"] == 2
    assert "DishCounter lags: events still to come: 1." in printed.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["DishCountr"], "did you mean DishCounter?"), (["DishCounter", "Tako"], "mean Taco?")],
)
def test_what_does_not_exist_gets_a_suggestion(
    counted: Path, capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    assert main(["projections", "show", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert hint in printed.err
