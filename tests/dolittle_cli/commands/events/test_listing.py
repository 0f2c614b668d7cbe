from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.main import main

KEYS = [
    "position", "time", "type", "type_id", "generation", "source", "aggregate", "version",
    "commit", "index", "correlation", "causation", "public", "tenant", "content",
]  # fmt: skip


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen with five events: dishes at 0, 1 and 4, orders at 2 and 3."""
    for words in (
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Taco", "chef=Ann"],
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Burrito", "chef=Ann"],
        ["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"],
        ["events", "append", "OrderTaken", "--source", "Table 2", "guests=2"],
        ["perform", "Kitchen", "Bar", "prepare_dish", "dish=Nachos", "chef=Bob"],
    ):
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["events", "list", "--json", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list_writes_a_line_for_each_event_in_order(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list"]) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    assert titles.split()[0] == "POSITION"
    assert [row.split()[0] for row in rows] == ["0", "1", "2", "3", "4"]
    assert rows[2].endswith('OrderTaken    Table 1  -          guests=4 note=""')
    assert rows[4].endswith("DishPrepared  Bar      Kitchen@1  dish=Nachos chef=Bob")


def test_an_event_as_json_has_every_key_in_order(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = listed(capsys)
    assert [list(event) for event in events] == [KEYS] * 5
    assert events[2]["public"] is True
    assert (events[2]["aggregate"], events[2]["version"]) == (None, None)
    assert (events[1]["aggregate"], events[1]["version"]) == ("Kitchen", 2)


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["--type", "OrderTaken"], [2, 3]),
        (["--type", "OrderTaken", "--type", "dish-prepared"], [0, 1, 2, 3, 4]),
        (["--source", "Tacos"], [0, 1]),
        (["--from", "3"], [3, 4]),
        (["--from", "-1"], [4]),
        (["--from", "1", "--to", "3"], [1, 2]),
        (["--from", "1", "--to", "+1"], [1]),
        (["--from", "@-1h", "--type", "DishPrepared"], [0, 1, 4]),
        (["--from", "@2020-01-01", "--to", "@2020-01-02"], []),
        (["-n", "2"], [3, 4]),
        (["-n", "2", "--from", "start"], [0, 1]),
    ],
)
def test_list_selects(
    log: Path, capsys: pytest.CaptureFixture[str], words: list[str], positions: list[int]
) -> None:
    assert [event["position"] for event in listed(capsys, *words)] == positions


def test_list_selects_by_correlation(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correlation = listed(capsys)[2]["correlation"]
    found = listed(capsys, "--correlation", correlation)
    assert [event["position"] for event in found] == [2]


def test_list_says_on_stderr_that_there_is_more(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list", "-n", "2"]) == 0
    assert capsys.readouterr().err == "the last 2 events; for more: -n 20, or --from start\n"
    assert main(["events", "list", "-n", "2", "--from", "1"]) == 0
    _, more = capsys.readouterr().err.splitlines()
    assert more == "the first 2 events; go on with --from 3, or -n 20"
    assert main(["events", "list"]) == 0
    assert capsys.readouterr().err == ""


def test_list_of_a_log_that_was_not_made_says_so_and_makes_none(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "no events: nothing was committed yet\n"
    assert not (kitchen / ".dolittle").exists()


def test_list_does_not_import_the_service(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (log / "kitchen" / "broken.py").write_text("@event_type\nclass :\n")
    assert main(["events", "list"]) == 0
    printed = capsys.readouterr()
    assert "DishPrepared" in printed.out
    assert printed.err.count("broken.py:2") == 1


def test_a_position_beyond_the_end_is_an_error(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["list", "--from", "17"], ["show", "17"], ["tail", "--from", "17"]):
        assert main(["events", *words]) == 1
        error, hint = capsys.readouterr().err.splitlines()
        assert error == (
            "error: position 17 is beyond the end of the event log: the last event is at position 4"
        )
        assert hint.startswith("hint: ")


def test_what_is_no_range_is_wrong_usage(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["list", "--from", "yesterday"], ["list", "--to", "x"], ["show", "x"]):
        assert main(["events", *words]) == 2
        assert "is no place in an event log" in capsys.readouterr().err


def test_an_event_type_that_does_not_exist_gets_a_suggestion(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list", "--type", "OrdrTaken"]) == 1
    assert capsys.readouterr().err == (
        "error: there is no event type 'OrdrTaken'\nhint: did you mean OrderTaken?\n"
    )


def test_show_writes_one_event_whole(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "show", "1"]) == 0
    printed = capsys.readouterr().out
    assert "type         DishPrepared (id dish-prepared)\n" in printed
    assert "aggregate    Kitchen@2\n" in printed
    assert json.loads(printed[printed.index("{") :]) == {"dish": "Burrito", "chef": "Ann"}


def test_show_finds_an_event_by_its_id(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = listed(capsys)[3]
    assert main(["events", "show", f"evt:{event['commit']}/0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == event
    assert main(["events", "show", f"evt:{event['commit']}/1"]) == 1
    assert "there is no event with the id" in capsys.readouterr().err


def test_show_the_end_is_an_error(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("end", "5"):
        assert main(["events", "show", place]) == 1
        assert "the last event is at position 4" in capsys.readouterr().err


def test_output_is_neither_wrapped_nor_cut(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    assert main(["events", "append", "OrderTaken", "--source", long, "guests=1"]) == 0
    printed = capsys.readouterr().out
    assert long in printed
    assert len(printed.splitlines()) == 2
