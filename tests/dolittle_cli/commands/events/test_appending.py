from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main


def test_append_commits_one_event_without_an_aggregate(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"]) == 0
    titles, row = capsys.readouterr().out.splitlines()
    assert titles.startswith("POSITION")
    assert row.endswith('OrderTaken  Table 1  -          guests=4 note=""')


def test_append_takes_the_stored_id_and_values_after_options(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dish-prepared", "dish=Taco", "--source", "Tacos", "--json", "chef=Mr. Taco = Bob"]
    assert main(["events", "append", *words]) == 0
    answer = json.loads(capsys.readouterr().out)
    [event] = answer["events"]
    assert event["content"] == {"dish": "Taco", "chef": "Mr. Taco = Bob"}
    assert event["commit"] == answer["commit"]


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["OrderTken", "--source", "T"], 1, "no event type 'OrderTken'", "mean OrderTaken?"),
        (["OrderTaken", "--source", "T"], 1, "missing field `guests`", "guests, note"),
        (["OrderTaken", "--source", "T", "guest=4"], 1, "no field 'guest'", "mean guests?"),
        (["OrderTaken", "--source", "T", "guests=four"], 1, "guests", "guests, note"),
        (["OrderTaken", "--source", "T", "guests"], 2, "'guests' is no name=value", "write it"),
        (["OrderTaken", "guests=4"], 2, "missing option '--source'", "append --help"),
        (["OrderTaken", "--source", "", "guests=4"], 2, "--source is empty", "name it"),
    ],
)
def test_what_does_not_fit_is_one_error_and_nothing_is_written(
    kitchen: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    error: str,
    hint: str,
) -> None:
    assert main(["events", "append", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err
    assert hint in printed.err
    assert main(["events", "list"]) == 0
    assert capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_to_is_one_error(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / ".dolittle").write_text("in the way")
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=4"]) == 1
    error = capsys.readouterr().err.partition("error: ")[2]
    assert len(error.splitlines()) == 2
