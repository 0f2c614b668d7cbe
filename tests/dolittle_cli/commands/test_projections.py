from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.errors import ProjectionFailed
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


@pytest.fixture
def failing(
    kitchen: Path,
    capsys: pytest.CaptureFixture[str],
    deliver: Callable[[], None],
    forget: Callable[[], None],
) -> Path:
    """A kitchen whose projection cannot count ``poison`` the first time it comes."""
    source = kitchen / "kitchen" / "__init__.py"
    source.write_text(
        source.read_text().replace(
            "        self.dish = event.dish\n",
            '        if event.chef == "nobody":\n'
            '            raise ValueError("nobody cooks")\n'
            "        self.dish = event.dish\n",
        )
    )
    forget()
    for dish, chef in (("Taco", "nobody"), ("Taco", "Ann"), ("Burrito", "Ann")):
        words = ["DishPrepared", "--source", "Bar", f"dish={dish}", f"chef={chef}"]
        assert main(["events", "append", *words]) == 0
    with pytest.raises(ProjectionFailed, match="nobody cooks"):
        deliver()
    capsys.readouterr()
    return kitchen


def test_a_failing_key_does_not_hold_up_the_others_and_is_shown(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "show", "DishCounter", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [item["key"] for item in shown["documents"]] == ["Burrito"]
    [row] = shown["failing"]
    assert (row["partition"], row["position"]) == ("Taco", 0)
    assert row["error"] == "ValueError: nobody cooks"


def test_retry_of_a_projection_tells_when_a_key_fails_again(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "retry", "DishCounter", "--key", "Taco"]) == 1
    assert "error: key 'Taco' fails at position 0: ValueError: nobody cooks" in (
        capsys.readouterr().err
    )


def test_skip_of_a_projection_leaves_the_event_out_and_counts_what_is_behind_it(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["projections", "skip", "DishCounter", "--key", "Taco"]) == 0
    assert "key 'Taco' goes on" in capsys.readouterr().err
    assert main(["projections", "show", "DishCounter", "Taco", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["document"] == {"dish": "Taco", "count": 1}


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["retry", "DishCountr"], 1, "did you mean DishCounter?"),
        (["retry", "DishCounter", "--key", "Tacos"], 1, "there is no failing key of DishCounter"),
        (["skip", "DishCounter"], 2, "--key KEY says which event to skip"),
    ],
)
def test_a_retry_or_skip_that_names_nothing_is_refused(
    failing: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(["projections", *words]) == code
    assert error in capsys.readouterr().err
