"""``events search``, ``stats`` and ``diff``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    for words in (
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Taco", "chef=Ann"],
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Crème", "chef=Ann"],
        ["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"],
        ["events", "append", "OrderTaken", "--source", "Table 2", "guests=2", "note=a*b"],
    ):
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("TACO", [0, 1]),
        ("crème", [1]),
        ("OrderTaken", [2, 3]),
        ("a*b", [3]),
        ("Table", [2, 3]),
        ("nothing", []),
    ],
)
def test_search_finds_a_text_in_type_source_and_content(
    log: Path, capsys: pytest.CaptureFixture[str], text: str, positions: list[int]
) -> None:
    assert main(["events", "search", text, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["position"] for line in lines] == positions


def test_search_finds_ids(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "list", "--json", "-n", "1"]) == 0
    commit = json.loads(capsys.readouterr().out)["commit"]
    assert main(["events", "search", commit, "-o", "{position}"]) == 0
    assert capsys.readouterr().out == "3\n"


def test_search_of_nothing_is_wrong_usage(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "search", ""]) == 2
    assert "the text to search for is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("type", [("DishPrepared", 2), ("OrderTaken", 2)]),
        ("source", [("Tacos", 2), ("Table 1", 1), ("Table 2", 1)]),
        ("aggregate", [("-", 2), ("Kitchen", 2)]),
    ],
)
def test_stats_counts_by_group_the_largest_first(
    log: Path, capsys: pytest.CaptureFixture[str], by: str, expected: list[tuple[str, int]]
) -> None:
    assert main(["events", "stats", "--by", by, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(item["name"], item["events"]) for item in found["tallies"]] == expected
    assert (found["by"], found["events"], found["groups"]) == (by, 4, len(expected))


def test_stats_says_how_many_groups_are_not_shown(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "stats", "--by", "source", "-n", "1"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["SOURCE", "Tacos", "all"]
    assert printed.err.endswith("2 more; for all of them: -n 3\n")


def test_stats_of_no_events_says_so(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "stats"]) == 0
    assert capsys.readouterr().err.endswith("no events\n")


def test_diff_shows_what_lies_between_and_which_fields_differ(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "diff", "0..1"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].split() == ["content.dish", "Taco", "Crème"]
    assert "DishPrepared  1 " in printed.out
    assert main(["events", "diff", "1..end", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["events"] for item in found["types"]["tallies"]] == [2, 1]
    assert found["differing"]["content.guests"] == [None, 2]
    assert found["differing"]["source"] == ["Tacos", "Table 2"]


def test_diff_of_one_place_has_nothing_between(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "diff", "1..1"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("no events\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1", "'1' is no two places"),
        ("1..", "'1..' is no two places"),
        ("x..2", "'x' is no place in an event log"),
        ("2..1", "lies before"),
    ],
)
def test_diff_of_what_is_no_range_is_wrong_usage(
    log: Path, capsys: pytest.CaptureFixture[str], text: str, error: str
) -> None:
    assert main(["events", "diff", text]) == 2
    assert error in capsys.readouterr().err


def test_what_is_looked_up_is_what_is_counted(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["--type", "Dish*"]):
        # The second one has to read: the index knows nothing of positions.
        assert main(["events", "stats", "--json", *words]) == 0
        looked_up = json.loads(capsys.readouterr().out)
        assert main(["events", "stats", "--json", "--where", "position >= 0", *words]) == 0
        assert json.loads(capsys.readouterr().out) == looked_up
