from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture
def cooked(kitchen: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]) -> str:
    """A kitchen in which a taco was handled and poison has failed; the first commit's id."""
    for dish in ("Taco", "poison"):
        words = ["perform", "Kitchen", dish, "prepare_dish", f"dish={dish}", "chef=Ann"]
        assert main(words) == 0
    deliver()
    capsys.readouterr()
    assert main(["events", "show", "0", "--json"]) == 0
    commit: str = json.loads(capsys.readouterr().out)["commit"]
    return commit


def test_an_event_is_explained_by_position_id_and_commit(
    cooked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("0", f"{cooked}/0", f"evt:{cooked}/0", cooked):
        assert main(["explain", what, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["event"]["position"], found["id"]) == (0, f"{cooked}/0")
        handler, counter = found["processors"]
        assert (handler["handler"], handler["gets"], handler["status"]) == (
            *("DishHandler", True, "handled"),
        )
        assert (counter["projection"], counter["key"]) == ("DishCounter", "Taco")


def test_a_failing_event_is_explained_with_its_error(
    cooked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = lines.index("yes    handler DishHandler.announce, partition 'poison': failing")
    assert "1 attempt failed: ValueError: that is poison; next try " in lines[row + 1]
    assert main(["explain", "1", "--json"]) == 0
    handler = json.loads(capsys.readouterr().out)["processors"][0]
    assert handler["failing"]["attempts"] == 1
    assert handler["failing"]["error"] == "ValueError: that is poison"


def test_an_event_type_is_explained_by_class_and_id(
    cooked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("DishPrepared", "dish-prepared"):
        assert main(["explain", what, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["type"], found["type_id"], found["events"]) == (
            *("DishPrepared", "dish-prepared", 2),
        )
        assert found["emitted_by"] == ["Kitchen.prepare_dish"]
        assert found["folded_by"] == ["Kitchen"]
        assert [item["method"] for item in found["processors"]] == ["announce", "on_dish_prepared"]


def test_who_does_not_take_an_event_type_is_told_why(
    cooked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "OrderTaken"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = lines.index("no     projection DishCounter: level")
    assert lines[row + 1].strip() == "it takes DishPrepared only"
    row = lines.index("yes    handler DishHandler.mail: failing, position 2, lag 0")
    assert lines[row + 1].endswith(", a side effect")


def test_a_public_event_is_said_to_be_in_the_public_stream(
    cooked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=2"]) == 0
    capsys.readouterr()
    streams: list[str | None] = []
    for what in ("OrderTaken", "2", "DishPrepared", "0"):
        assert main(["explain", what, "--json"]) == 0
        streams.append(json.loads(capsys.readouterr().out)["public_stream"])
    assert streams == ["kitchen", "kitchen", None, None]
    assert main(["explain", "OrderTaken"]) == 0
    assert "yes, they are in the public stream of kitchen" in capsys.readouterr().out
    assert main(["explain", "2"]) == 0
    assert "yes    public stream of kitchen\n" in capsys.readouterr().out
    assert main(["explain", "0"]) == 0
    assert "public stream" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "error", "hint"),
    [
        ("2", "there is no event at position '2'", "the last one is at position 1"),
        ("evt:none", "there is no event with the id 'none'", "its commit's id, a slash"),
        ("none/0", "there is no event with the id 'none/0'", "its commit's id, a slash"),
        ("DishPrepare", "there is no event and no event type 'DishPrepare'", "DishPrepared?"),
        ("-1", "no such option: -1", "see dolittle explain --help"),
    ],
)
def test_what_does_not_exist_cannot_be_explained(
    cooked: str, capsys: pytest.CaptureFixture[str], what: str, error: str, hint: str
) -> None:
    assert main(["explain", what]) == (2 if what == "-1" else 1)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err
    assert hint in printed.err


def test_a_microservice_that_does_not_import_cannot_be_explained(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "kitchen" / "__init__.py").write_text("import nothing_of_the_kind\n")
    assert main(["explain", "0"]) == 1
    assert "kitchen does not import: ModuleNotFoundError" in capsys.readouterr().err


def test_an_empty_log_is_explained_without_making_a_store(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "0"]) == 1
    assert "hint: there is none yet" in capsys.readouterr().err
    assert main(["explain", "DishPrepared"]) == 0
    assert "not started" in capsys.readouterr().out
    assert not (kitchen / ".dolittle").exists()
