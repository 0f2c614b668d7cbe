"""What the commands on events show of all microservices of an application at once."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, EventToCommit
from dolittle_cli.main import main

WAIT_S = 20.0

Captured = pytest.CaptureFixture[str]


def lines_of(capsys: Captured, *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["events", *words]) == 0
    return capsys.readouterr().out.splitlines()


def json_of(capsys: Captured, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(capsys, *words)]


def test_list_shows_all_in_order_of_time_behind_their_names_in_one_table(
    application: Path, capsys: Captured
) -> None:
    titles, *rows = lines_of(capsys, "list")
    assert [row.split()[0] for row in rows] == ["kitchen", "bar"] * 2
    assert titles.startswith("          POSITION")
    assert {row.index("T  ") for row in rows} == {titles.index("SOURCE")}


@pytest.mark.parametrize("command", [["list"], ["search", "T"], ["tail"], ["export"]])
def test_a_line_of_json_names_its_microservice(
    application: Path, capsys: Captured, command: list[str]
) -> None:
    form = [] if command == ["export"] else ["--json"]
    found = json_of(capsys, *command, *form)
    assert [(item["microservice"], item["position"]) for item in found] == [
        ("kitchen", 0),
        ("bar", 0),
        ("kitchen", 1),
        ("bar", 1),
    ]


def test_a_line_of_json_of_one_microservice_has_no_name(
    application: Path, capsys: Captured
) -> None:
    for item in json_of(capsys, "list", "--json", "--project", "bar"):
        assert "microservice" not in item


def test_list_is_bounded_over_all_and_says_how_to_go_on(
    application: Path, capsys: Captured
) -> None:
    assert main(["events", "list", "-n", "3", "--json"]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["microservice"] for line in printed.out.splitlines()[-3:]] == [
        "bar",
        "kitchen",
        "bar",
    ]
    assert "the last 3 events; for more: -n 30" in printed.err
    assert main(["events", "list", "-n", "2", "--from", "start", "--json"]) == 0
    printed = capsys.readouterr()
    first = [json.loads(line)["position"] for line in printed.out.splitlines()]
    assert first == [0, 0]
    note = printed.err.splitlines()[-1]
    assert note.startswith("the first 2 events; go on with --from @")
    place = note.split("--from ")[1].partition(",")[0]
    rest = json_of(capsys, "list", "--from", place, "--json")
    assert [item["position"] for item in rest] == [1, 1]


def test_search_finds_in_all_of_them(application: Path, capsys: Captured) -> None:
    rows = lines_of(capsys, "search", "drinkserved")
    assert [row.split()[0] for row in rows[1:]] == ["bar", "bar"]


def test_what_only_one_of_them_knows_is_no_mistake_and_what_none_knows_is(
    application: Path, capsys: Captured
) -> None:
    for command in (["list"], ["search", "1"], ["stats"], ["export"]):
        assert main(["events", *command, "--type", "DrinkServed"]) == 0
        capsys.readouterr()
        assert main(["events", *command, "--type", "DrnkServed"]) == 1
        assert "there is no event type 'DrnkServed'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["list"], ["search", "1"], ["stats"], ["export"], ["tail"]])
def test_a_place_beyond_the_end_names_the_log(
    application: Path, capsys: Captured, command: list[str]
) -> None:
    assert main(["events", *command, "--from", "7"]) == 1
    assert "error: bar: position 7 is beyond the end" in capsys.readouterr().err


def test_stats_counts_each_on_its_own_and_all_together(application: Path, capsys: Captured) -> None:
    for by, names in (("type", ["DrinkServed", "OrderTaken"]), ("source", ["T", "T"])):
        titles, *rows = lines_of(capsys, "stats", "--by", by)
        assert titles.split()[0] == by.upper()
        assert [row.split()[2] for row in rows[:2]] == names
        assert [row.split()[0] for row in rows[:2]] == ["bar", "kitchen"]
        assert rows[2].split()[:3] == ["all", "4", "100.0%"]
        (found,) = json_of(capsys, "stats", "--by", by, "--json")
        assert (found["events"], found["groups"]) == (4, 2)
        assert [
            (item["microservice"], item["name"], item["events"]) for item in found["tallies"]
        ] == [("bar", names[0], 2), ("kitchen", names[1], 2)]


def test_stats_says_how_many_groups_are_not_shown(application: Path, capsys: Captured) -> None:
    assert main(["events", "stats", "-n", "1"]) == 0
    assert "1 more; for all of them: -n 2" in capsys.readouterr().err


def test_export_writes_one_file_in_order_of_time(application: Path, capsys: Captured) -> None:
    assert main(["events", "export", "--to-file", "all.jsonl"]) == 0
    printed = capsys.readouterr()
    assert "kitchen | from position 0" in printed.err
    assert printed.err.endswith("4 events exported to all.jsonl\n")
    found = [json.loads(line) for line in (application / "all.jsonl").read_text().splitlines()]
    assert [item["time"] for item in found] == sorted(item["time"] for item in found)


def test_export_keeps_the_events_of_a_commit_together(application: Path, capsys: Captured) -> None:
    async def commit() -> None:
        configuration = load_configuration(application / "bar")
        store = await open_store(configuration, "development")
        events = [EventToCommit("DrinkServed", "T", b'{"drink":"%d"}' % n) for n in range(3)]
        await store.commit(Commit("three", tuple(events), ExecutionContext()))
        await store.close()

    asyncio.run(commit())
    words = ["events", "append", "OrderTaken", "--source", "T", "guests=9", "--project", "kitchen"]
    assert main(words) == 0
    found = json_of(capsys, "export", "--format", "cloudevents")
    assert [item["commitid"] for item in found[4:7]] == ["three"] * 3
    assert [item["commitevents"] for item in found] == [1, 1, 1, 1, 3, 3, 3, 1]
    assert [item["source"] for item in found[-2:]] == ["/bar/development", "/kitchen/development"]


def test_on_a_terminal_each_name_has_a_colour(application: Path) -> None:
    for command in (["list"], ["stats"]):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
        environment.pop("NO_COLOR", None)
        subprocess.run(
            [sys.executable, "-m", "dolittle_cli", "events", *command],
            cwd=application, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
            env=environment, timeout=WAIT_S, check=True,
        )  # fmt: skip
        os.close(theirs)
        text = os.read(ours, 65_536).decode()
        os.close(ours)
        assert "\033[36mbar     |\033[0m" in text
        assert "\033[33mkitchen |\033[0m" in text


@pytest.fixture
def exported(application: Path, capsys: Captured) -> Path:
    """The export of an application, whose logs are gone."""
    path = application / "all.jsonl"
    assert main(["events", "export", "--to-file", str(path)]) == 0
    for name in ("bar", "kitchen"):
        shutil.rmtree(application / name / ".dolittle")
    capsys.readouterr()
    return path


def test_an_export_of_all_is_imported_into_each_what_is_of_it(
    exported: Path, capsys: Captured
) -> None:
    assert main(["events", "import", "all.jsonl", "--dry-run"]) == 0
    assert "bar     | 2 events in 2 commits: 2 commits would be" in capsys.readouterr().err
    assert json_of(capsys, "list", "--json") == []
    (told,) = json_of(capsys, "import", "all.jsonl", "--json")
    assert (told["events"], told["new_commits"], told["is_dry_run"]) == (4, 4, False)
    assert [(item["microservice"], item["events"]) for item in told["microservices"]] == [
        ("bar", 2),
        ("kitchen", 2),
    ]
    again = exported.with_name("again.jsonl")
    assert main(["events", "export", "--to-file", str(again)]) == 0
    assert again.read_text() == exported.read_text()
    (told,) = json_of(capsys, "import", "all.jsonl", "--json")
    assert (told["new_commits"], told["repeated_commits"]) == (0, 4)


def test_what_cannot_be_imported_into_one_is_imported_into_none(
    exported: Path, capsys: Captured
) -> None:
    lines = exported.read_text().splitlines()
    damaged = {
        "line 3: ": [*lines[:2], lines[2].replace('"time":"2', '"time":"9'), lines[3]],
        "line 5: the event is of the microservice 'shop', which this application has not": [
            *lines,
            lines[0].replace('"kitchen"', '"shop"'),
        ],
        "line 4: input data was truncated": [*lines[:3], lines[3][:40]],
    }
    for error, changed in damaged.items():
        exported.write_text("\n".join(changed))
        assert main(["events", "import", "all.jsonl"]) == 1
        printed = capsys.readouterr().err
        assert f"error: {error}" in printed
        assert "nothing was imported" in printed
        assert json_of(capsys, "list", "--json") == []


def test_events_of_others_go_into_one_that_is_named(exported: Path, capsys: Captured) -> None:
    assert main(["events", "import", "all.jsonl", "--foreign"]) == 2
    assert "hint: name it with --project: bar, kitchen" in capsys.readouterr().err
    assert main(["events", "import", "all.jsonl", "--project", "bar"]) == 1
    assert "an export of an application is imported in the folder of one" in (
        capsys.readouterr().err
    )
    assert main(["events", "import", "all.jsonl", "--project", "bar", "--foreign"]) == 0
    assert len(json_of(capsys, "list", "--json", "--project", "bar")) == 4


ALL = (["list"], ["search", "T"], ["stats"], ["export"], ["tail"])


@pytest.mark.parametrize("command", ALL, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--from", "soon"], 2, "error: 'soon' is no place in an event log"),
        (["--from", "2", "--to", "1"], 2, "error: bar: --to (position 1 "),
        (["--from", "@2999-01-01"], 1, "error: 2999-01-01T00:00:00.000000Z is in the future"),
        (["--to", "@-1x"], 2, "error: '@-1x' is no place"),
        (["--from", "evt:none"], 1, "error: there is no event with the id 'none'"),
        (["--from", "cursor:none"], 1, "there is no cursor none"),
        (["--tenant", "nort"], 1, "error: there is no tenant 'nort'"),
        (["--source", "x"] * 101, 2, "error: --source is given more than 100 times"),
    ],
)
def test_what_chooses_wrongly_is_one_error_and_no_data(
    application: Path,
    capsys: Captured,
    command: list[str],
    words: list[str],
    code: int,
    error: str,
) -> None:
    capsys.readouterr()
    assert main(["events", *command, *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err
    assert printed.err.count("error: ") == 1


@pytest.mark.parametrize("command", [["list"], ["stats"], ["export"], ["tail"]])
def test_a_condition_that_is_wrong_shows_where(
    application: Path, capsys: Captured, command: list[str]
) -> None:
    capsys.readouterr()
    assert main(["events", *command, "--where", "content.guests >"]) == 2
    assert "\n  content.guests >\n                  ^" in capsys.readouterr().err
    assert main(["events", *command, "--where", "content.guests > 'one'"]) == 1
    error = capsys.readouterr().err
    assert "do not compare" in error
    assert "in the event at position 0 of kitchen" in error


@pytest.mark.parametrize("command", [["list"], ["search", "T"], ["tail"]])
def test_a_template_with_an_unknown_field_is_refused(
    application: Path, capsys: Captured, command: list[str]
) -> None:
    capsys.readouterr()
    assert main(["events", *command, "-o", "{nothing}"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "there is no field 'nothing' of an event\n  {nothing}\n   ^" in printed.err


@pytest.mark.parametrize("command", [["list"], ["stats"], ["export"]])
def test_a_closed_pipe_ends_it_without_a_word(application: Path, command: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", *command],
        cwd=application, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "Traceback" not in told
    assert "error" not in told
