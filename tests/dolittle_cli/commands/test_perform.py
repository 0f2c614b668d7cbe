from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main

TACO = ["perform", "Kitchen", "Dolittle Tacos", "prepare_dish", "dish=Bean Blaster Taco"]


def stored(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["events", "list", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_perform_shows_the_events_that_it_committed(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TACO, "chef=Mr. Taco"]) == 0
    titles, row = capsys.readouterr().out.splitlines()
    assert titles.split() == ["POSITION", "TIME", "TYPE", "SOURCE", "AGGREGATE", "CONTENT"]
    assert "DishPrepared  Dolittle Tacos  Kitchen@1" in row
    assert row.endswith('dish="Bean Blaster Taco" chef="Mr. Taco"')


def test_perform_answers_one_json_object(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TACO, "chef=Mr. Taco", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 1
    assert answer["is_repeat"] is False
    [event] = answer["events"]
    assert event["commit"] == answer["commit"]
    assert (event["type"], event["type_id"]) == ("DishPrepared", "dish-prepared")
    assert event["content"] == {"dish": "Bean Blaster Taco", "chef": "Mr. Taco"}


def test_what_the_service_prints_does_not_mix_with_the_data(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TACO, "chef=Mr. Taco", "--json"]) == 0
    printed = capsys.readouterr()
    assert "the kitchen is imported" in printed.err
    assert "imported" not in printed.out


def test_a_refused_rule_fails_and_commits_nothing(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main([*TACO, "chef=Mr. Taco"]) == 0
    capsys.readouterr()
    assert main([*TACO, "chef=Mr. Taco"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: We have run out of ingredients, sorry!\n"
    assert len(stored(capsys)) == 2


def test_a_command_without_events_says_so(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["perform", "Kitchen", "Tacos", "look_around"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nothing was committed" in printed.err
    assert main(["perform", "Kitchen", "Tacos", "look_around", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"commit": None, "is_repeat": False, "events": [], "version": 0}


def test_perform_keeps_tenants_apart(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TACO, "chef=Ann", "--tenant", "north"]) == 0
    assert stored(capsys) == []
    assert main(["events", "list", "--json", "--tenant", "north"]) == 0
    assert json.loads(capsys.readouterr().out)["tenant"] == "north"


def test_perform_works_from_elsewhere_with_project(
    kitchen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TACO, "chef=Ann", "--project", "kitchen"]) == 0
    assert "Kitchen@1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["Kitchn", "T", "prepare_dish"], 1, "no aggregate 'Kitchn'", "did you mean Kitchen?"),
        (["Kitchen", "T", "prepare"], 1, "no command of Kitchen", "did you mean prepare_dish?"),
        (
            ["Kitchen", "T", "prepare_dish", "dish=x"],
            1,
            "Kitchen.prepare_dish: missing argument `chef`",
            "its arguments are: dish, chef",
        ),
        (
            ["Kitchen", "T", "prepare_dish", "dish=x", "chf=y"],
            1,
            "there is no argument 'chf'",
            "did you mean chef?",
        ),
        (["Kitchen", "T", "prepare_dish", "taco"], 2, "'taco' is no name=value", "write it like"),
        (["Kitchen", "", "prepare_dish"], 2, "SOURCE is empty", "name it"),
        (["Kitchen", "T"], 2, "missing argument 'COMMAND'", "see dolittle perform --help"),
        (["Kitchen", "T", "x", "--tenant", "nort"], 1, "no tenant 'nort'", "did you mean north?"),
        (["Kitchen", "T", "x", "--project", "nowhere"], 2, "there is no such folder", ""),
    ],
)
def test_wrong_input_is_one_error_and_writes_nothing(
    kitchen: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    error: str,
    hint: str,
) -> None:
    assert main(["perform", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err
    assert hint in printed.err
    assert stored(capsys) == []


def test_a_service_that_does_not_import_is_an_error_with_file_and_line(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "kitchen" / "broken.py").write_text("import nothing_like_this\n")
    assert main([*TACO, "chef=Ann"]) == 1
    printed = capsys.readouterr().err
    assert "error: 'kitchen' cannot be loaded: 1 problem" in printed
    assert f"{kitchen / 'kitchen' / 'broken.py'}:1:" in printed


def test_a_broken_configuration_is_an_error_with_line_and_column(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "dolittle.toml").write_text('[microservice]\nname = "kitchen\n')
    assert main([*TACO, "chef=Ann"]) == 1
    assert f"error: {kitchen / 'dolittle.toml'}:2:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["perform", "Kitchen", "Bar", "nope"],
        ["perform", "Kitchen", "Bar", "prepare_dish", "dish=Taco"],
        ["events", "append", "DishPrepard", "--source", "Bar"],
        ["events", "append", "DishPrepared", "--source", "Bar", "dihs=Taco"],
    ],
)
def test_what_is_refused_makes_no_store(kitchen: Path, words: list[str]) -> None:
    assert main(words) == 1
    assert not (kitchen / ".dolittle").exists()


def test_a_torn_tail_is_said_cut_and_kept_as_a_copy(
    kitchen: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main([*TACO, "chef=Ann"]) == 0
    events = kitchen / ".dolittle" / "development" / "events"
    [segment] = (events / "log").iterdir()
    with segment.open("ab") as log:
        log.write(b'{"sum":"12')
    capsys.readouterr()

    assert main(["events", "list", "--json"]) == 0

    [copy] = (events / "torn").iterdir()
    assert copy.read_bytes() == b'{"sum":"12'
    assert f"it was cut off, a copy is in {copy}" in caplog.text


def test_numbers_of_a_damaged_store_are_not_shown(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for dish in ("Taco", "Burrito"):
        assert main(["perform", "Kitchen", "Bar", "prepare_dish", f"dish={dish}", "chef=Ann"]) == 0
    [segment] = (kitchen / ".dolittle" / "development" / "events" / "log").iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"Taco", b"Tacs"))
    capsys.readouterr()

    assert main(["aggregates", "list"]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: stored events are damaged at" in printed.err
