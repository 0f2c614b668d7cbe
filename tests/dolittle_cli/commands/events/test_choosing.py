"""How events are chosen and shown by ``tail`` and ``list``."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle_cli.main import main

WAIT_S = 20.0


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen with five events: dishes at 0, 1 and 4, orders at 2 and 3."""
    for words in (
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Taco", "chef=Ann"],
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Burrito", "chef=Ann"],
        ["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"],
        ["events", "append", "OrderTaken", "--source", "Table 2", "guests=2", "note=allergic"],
        ["perform", "Kitchen", "Bar", "prepare_dish", "dish=Nachos", "chef=Bob"],
    ):
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


def shown(capsys: pytest.CaptureFixture[str], command: str, *words: str) -> list[int]:
    assert main(["events", command, "--json", *words]) == 0
    return [json.loads(line)["position"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("command", ["tail", "list"])
@pytest.mark.parametrize(
    ("words", "positions"),
    [
        (["--type", "Dish*"], [0, 1, 4]),
        (["--type", "dish-*"], [0, 1, 4]),
        (["--type", "OrderTaken", "--type", "Dish*"], [0, 1, 2, 3, 4]),
        (["--source", "Tacos", "--source", "Table 2"], [0, 1, 3]),
        (["--source", "Table ?"], [2, 3]),
        (["--source", "Bar", "--source", "*1"], [2, 4]),
        (["--where", 'content.guests > 2'], [2]),
        (["--where", 'type == "DishPrepared" and content.chef == "Ann"'], [0, 1]),
        (["--where", 'source in ["Bar", "Table 1"]', "--type", "OrderTaken"], [2]),
        (["--where", 'type == "Nothing"'], []),
        (["--where", 'type == "OrderTaken"', "--type", "DishPrepared"], []),
        (["--where", 'correlation == "x"', "--correlation", "y"], []),
        (["--grep", "burr"], [1]),
        (["--grep", "Burr"], [1]),
        (["--grep", "BURR"], []),
        (["--grep", "^table [12]$"], [2, 3]),
        (["--grep", "allergic|nachos"], [3, 4]),
        (["--from", "1", "--to", "+2"], [1, 2]),
        (["--from", "-2"], [3, 4]),
        (["--from", "start", "--to", "-3"], [0, 1]),
        (["--where", "content.guests > 1", "-n", "1"], [3]),
        (["--from", "@-1h", "--type", "OrderTaken"], [2, 3]),
    ],
)  # fmt: skip
def test_events_are_chosen(
    log: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[str],
    positions: list[int],
) -> None:
    assert shown(capsys, command, *words) == positions


@pytest.mark.parametrize("command", ["tail", "list"])
@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--type", "Dsh*"], 1, "there is no event type like 'Dsh*'"),
        (["--from", "2", "--to", "1"], 2, "lies before --from"),
        (["--from", "@2999-01-01"], 1, "is in the future"),
        (["--to", "@2999-01-01"], 1, "is in the future"),
        (["--from", "tomorrow"], 2, "'tomorrow' is no place in an event log"),
        (["--from", "cursor:gone"], 1, "there is no cursor gone"),
        (["--where", "content.guests >"], 2, "--where: the text ends here"),
        (["--where", "guests > 2"], 2, "there is no field 'guests' of an event"),
        (["--where", "content.dish > 2"], 1, "do not compare (a text and a number)"),
        (["--grep", "("], 2, "--grep: missing )"),
        (["-o", "shrt"], 2, "-o 'shrt' is no form of output"),
        (["-o", "{typ}"], 2, "there is no field 'typ' of an event"),
        (["-o", "{content.dihs}"], 1, "none of these events has the field {content.dihs}"),
        (["-o", "wide", "--json"], 2, "--json and -o wide do not go together"),
        (["--source", "x", *["--source", "y"] * 100], 2, "--source is given more than 100 times"),
    ],
)
def test_what_cannot_be_understood_is_said(
    log: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: list[str],
    code: int,
    error: str,
) -> None:
    assert main(["events", command, *words]) == code
    printed = capsys.readouterr()
    assert error in printed.err
    assert printed.err.splitlines()[0].startswith(("error: ", "from "))


def test_the_bounds_as_understood_go_to_stderr(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "tail", "--from", "-2", "--to", "end", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("from position 3 (2")
    assert printed.err.endswith("up to the end (position 5), exclusive\n")
    assert len(printed.out.splitlines()) == 2


def test_wide_shows_ids_and_columns_show_fields(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list", "-o", "wide", "-n", "1"]) == 0
    titles, row = capsys.readouterr().out.splitlines()
    assert titles.split()[-4:] == ["CORRELATION", "CAUSATION", "ID", "CONTENT"]
    correlation, causation, event_id = row.split()[-5:-2]
    assert (causation, event_id) == ("-", f"{correlation}/0")
    assert main(["events", "tail", "-o", "columns"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][2:] == ["DishPrepared", "DISH", "CHEF"]
    assert lines[3][2:] == ["OrderTaken", "GUESTS", "NOTE"]
    assert lines[5][2:] == ["Table", "2", "2", "allergic"]
    assert lines[6] == lines[0]


def test_json_is_indented_and_jsonl_is_not(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "list", "-o", "json", "-n", "1"]) == 0
    indented = capsys.readouterr().out
    assert main(["events", "list", "-o", "jsonl", "-n", "1"]) == 0
    flat = capsys.readouterr().out
    assert json.loads(indented) == json.loads(flat)
    assert (len(indented.splitlines()) > 5, len(flat.splitlines())) == (True, 1)


def test_a_cloud_event_has_what_the_specification_requires(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list", "-o", "cloudevents", "-n", "1"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert (event["specversion"], event["type"]) == ("1.0", "dish-prepared")
    assert (event["source"], event["subject"]) == ("/kitchen/development", "Bar")
    assert event["id"] == f"{event['correlationid']}/0"
    assert event["data"] == {"dish": "Nachos", "chef": "Bob"}
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in event)


def test_a_template_makes_the_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "tail", "-n", "2", "-o", r"{position}\t{content.dish}"]) == 0
    assert capsys.readouterr().out == "3\t-\n4\tNachos\n"


def test_events_are_shown_by_group(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "tail", "--group-by", "source", "--type", "Dish*"]) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["source", "Tacos"]
    assert lines[3] == ["source", "Bar"]
    assert [line[0] for line in lines[1:3] + lines[4:]] == ["0", "1", "4"]
    assert main(["events", "tail", "--group-by", "correlation"]) == 0
    assert capsys.readouterr().out.count("correlation ") == 5


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 5),
        (["--type", "OrderTaken"], 2),
        (["--from", "1"], 4),
        (["--source", "Tacos", "--source", "Bar"], 3),
        (["--where", "content.guests > 3"], 1),
    ],
)
def test_count_writes_how_many_there_are(
    log: Path, capsys: pytest.CaptureFixture[str], words: list[str], count: int
) -> None:
    assert main(["events", "tail", "--count", *words]) == 0
    assert capsys.readouterr().out == f"{count}\n"
    assert main(["events", "tail", "--count", "--json", *words]) == 0
    assert json.loads(capsys.readouterr().out) == {"count": count}


def test_count_by_group(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "tail", "--count", "--group-by", "source", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "count": 5,
        "by": "source",
        "groups": {"Tacos": 2, "Table 1": 1, "Table 2": 1, "Bar": 1},
    }


def test_stats_writes_each_type_with_its_rate(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "tail", "--stats"]) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    assert titles.split() == ["TYPE", "EVENTS", "SHARE", "PER", "SECOND", "FIRST", "LAST"]
    assert [row.split()[:3] for row in rows] == [
        ["DishPrepared", "3", "60.0%"],
        ["OrderTaken", "2", "40.0%"],
        ["all", "5", "100.0%"],
    ]
    assert float(rows[2].split()[3]) > 0


@pytest.mark.parametrize(
    "words",
    [
        ["--count", "--follow"],
        ["--to", "3", "--follow"],
        ["--count", "--stats"],
        ["--count", "-n", "3"],
        ["--count", "--cursor-file", "c"],
        ["--stats", "--group-by", "source"],
        ["--json", "--group-by", "source"],
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    log: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["events", "tail", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")


def test_a_cursor_file_goes_on_where_the_last_one_stopped(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, "tail", "--cursor-file", "seen", "-n", "2") == [3, 4]
    assert shown(capsys, "tail", "--cursor-file", "seen") == []
    assert main(["events", "append", "OrderTaken", "--source", "Table 3", "guests=1"]) == 0
    capsys.readouterr()
    assert shown(capsys, "list", "--from", "cursor:seen") == [5]
    assert shown(capsys, "tail", "--cursor-file", "seen") == [5]
    assert shown(capsys, "tail", "--cursor-file", "seen") == []


def test_a_cursor_of_another_store_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(capsys, "tail", "--cursor-file", "seen")
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1",
                 "--tenant", "north"]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["events", "tail", "--cursor-file", "seen", "--tenant", "north"]) == 1
    assert "is of another event log" in capsys.readouterr().err


def test_tail_shows_all_microservices_of_an_application_in_order_of_time(
    application: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for words in ([], ["--from", "start"], ["-n", "4"]):
        assert main(["events", "tail", *words]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert [line[0] for line in lines] == ["kitchen", "bar"] * 2
        assert [line[2] for line in lines] == ["0", "0", "1", "1"]
    assert main(["events", "tail", "--json", "-n", "1"]) == 0
    event = json.loads(capsys.readouterr().out)
    assert (event["microservice"], event["type"]) == ("bar", "DrinkServed")


def test_an_event_type_that_one_of_them_knows_is_no_mistake(
    application: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["events", "tail", "--type", "DrinkServed", "--count"]) == 0
    assert capsys.readouterr().out == "2\n"
    assert main(["events", "tail", "--type", "DrnkServed"]) == 1
    assert "there is no event type 'DrnkServed'" in capsys.readouterr().err


def test_a_cursor_file_holds_the_places_of_all_of_them(
    application: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["events", "tail", "--cursor-file", "seen", "--count"]) == 2
    capsys.readouterr()
    assert len(shown(capsys, "tail", "--cursor-file", "seen")) == 4
    assert shown(capsys, "tail", "--cursor-file", "seen") == []


def test_on_40_columns_an_event_takes_three_lines_and_no_id_is_cut(log: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dolittle_cli", "events", "list", "-n", "1", "-o", "wide"]
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm"}
    done = subprocess.run(
        command, cwd=log, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment,
        timeout=WAIT_S,
    )  # fmt: skip
    os.close(theirs)
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == 0
    first, second, third = text.splitlines()
    assert first.split()[0] == "4"
    assert first.endswith("DishPrepared")
    assert second.split()[-1].endswith("/0")
    assert third == "  dish=Nachos chef=Bob"


def test_on_40_columns_each_field_has_a_line(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["events", "list", "-n", "2", "--type", "DishPrepared", "-o", "columns"]) == 0
    first, second = terminal.getvalue().split("\n\n")
    assert [line.split()[0] for line in second.splitlines()] == [
        *("POSITION", "TIME", "TYPE", "SOURCE", "DISH", "CHEF")
    ]
    assert second.splitlines()[2:] == [
        "TYPE      DishPrepared",
        "SOURCE    Bar",
        "DISH      Nachos",
        "CHEF      Bob",
    ]
    assert len(first.splitlines()) == 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read a follower's lines until one has a text; the test's own limit ends a wait in vain."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"{text!r} did not come")


def test_following_an_application_shows_what_comes_to_each(application: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", "tail", "-f", "--where",
         'type == "DrinkServed" or content.guests > 5'],
        cwd=application, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert read_until(process, "drink=1").startswith("bar     | 1  ")
        for guests in (1, 9):
            assert main(["events", "append", "OrderTaken", "--source", "T", f"guests={guests}",
                         "--project", "kitchen"]) == 0  # fmt: skip
        assert main(["events", "append", "DrinkServed", "--source", "T", "drink=tea",
                     "--project", "bar"]) == 0  # fmt: skip
        assert read_until(process, "guests=").startswith("kitchen | 3  ")
        assert read_until(process, "drink=tea").startswith("bar     | 2  ")
    finally:
        process.kill()
        process.communicate()


def test_following_statistics_are_shown_again_when_something_came(log: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", "tail", "-f", "--stats", "--json"],
        cwd=log, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert json.loads(read_until(process, "{"))["events"] == 5
        assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1"]) == 0
        assert json.loads(read_until(process, "{"))["events"] == 6
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("columns", [60, 70, 75])
def test_where_the_columns_do_not_fit_an_event_takes_three_lines(
    log: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    long = "a kitchen with a long name"
    assert main(["perform", "Kitchen", long, "prepare_dish", "dish=Taco", "chef=Bob"]) == 0
    terminal.seek(0)
    terminal.truncate()

    assert main(["events", "list", "-n", "1"]) == 0

    first, second, third = terminal.getvalue().splitlines()
    assert first.endswith("DishPrepared")
    assert second == f"  {long} Kitchen@1"
    assert third == "  dish=Taco chef=Bob"
