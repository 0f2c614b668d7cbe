from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import duckdb
import jq
import pytest

from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, EventToCommit
from dolittle_cli.main import main


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen with four events, the last two in one commit."""
    for words in (
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Taco", "chef=Ann"],
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Crème", "chef=Ann"],
        ["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"],
    ):
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


def exported(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["events", "export", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_the_keys_of_an_event_and_what_an_import_needs(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = exported(capsys)
    assert main(["events", "list", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{key: line[key] for key in event} for line, event in zip(lines, events, strict=True)]
    for line, event in zip(lines, events, strict=True):
        assert line == {
            **event,
            "microservice": "kitchen",
            "commit_events": 1,
            "microservice_version": "",
            "environment": "",
            "claims": {},
            "handler": "",
        }


def test_a_file_is_written_and_not_overwritten_without_a_word(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "export", "--to-file", "out.jsonl"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("3 events exported to out.jsonl\n")
    text = Path("out.jsonl").read_text()
    assert len(text.splitlines()) == 3
    assert main(["events", "export", "--to-file", "out.jsonl", "--from", "1"]) == 1
    assert "out.jsonl exists already" in capsys.readouterr().err
    assert Path("out.jsonl").read_text() == text
    assert main(["events", "export", "--to-file", "out.jsonl", "--from", "1", "--overwrite"]) == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 2
    assert main(["events", "export", "--to-file", "no folder/out.jsonl"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_redacted_fields_are_blank_and_of_their_kind(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = exported(capsys, "--redact", "chef", "--redact", "content.guests")
    assert [line["content"] for line in lines] == [
        {"dish": "Taco", "chef": "[redacted]"},
        {"dish": "Crème", "chef": "[redacted]"},
        {"guests": 0, "note": ""},
    ]


@pytest.mark.parametrize("to_file", [True, False])
def test_a_field_that_no_event_has_is_an_error_and_leaves_no_file(
    log: Path, capsys: pytest.CaptureFixture[str], to_file: bool
) -> None:
    words = ["--to-file", "out.jsonl"] if to_file else []
    assert main(["events", "export", "--redact", "chf", *words]) == 1
    assert "no exported event has a field 'chf' to redact" in capsys.readouterr().err
    assert not list(log.glob("*.jsonl*")) + list(log.glob(".out*"))


def test_a_part_of_the_log_is_exported_as_asked(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = exported(capsys, "--type", "Dish*", "--where", 'content.dish != "Taco"')
    assert [line["position"] for line in lines] == [1]
    assert [line["position"] for line in exported(capsys, "--from", "1", "--to", "2")] == [1]


def test_cloudevents_have_the_required_attributes(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in exported(capsys, "--format", "cloudevents"):
        assert {"specversion", "id", "source", "type", "subject", "time", "data"} <= line.keys()
        assert line["commitevents"] == 1


def test_an_empty_log_exports_nothing(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "export"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("0 events exported\n")
    assert not (kitchen / ".dolittle").exists()


@pytest.mark.parametrize("form", ["jsonl", "cloudevents"])
def test_duckdb_reads_an_export(log: Path, form: str) -> None:
    assert main(["events", "export", "--format", form, "--to-file", "out.jsonl"]) == 0
    content = "content" if form == "jsonl" else "data"
    with duckdb.connect() as database:
        rows = database.execute(
            f"SELECT {content}.dish, time::TIMESTAMP FROM read_json('out.jsonl') "
            f"WHERE type LIKE 'dish%' OR type = 'DishPrepared' ORDER BY time"
        ).fetchall()
    assert [row[0] for row in rows] == ["Taco", "Crème"]
    assert rows[0][1].year >= 2026


def test_jq_reads_an_export(log: Path) -> None:
    assert main(["events", "export", "--to-file", "out.jsonl"]) == 0
    program = jq.compile('select(.type == "DishPrepared") | .content.dish')
    assert program.input_text(Path("out.jsonl").read_text()).all() == ["Taco", "Crème"]


@pytest.fixture
def whole(log: Path) -> Path:
    """A log whose last commit has a dish for each of two chefs, with an order between them."""

    async def commit() -> None:
        store = await open_store(load_configuration(log), "development")
        events = (
            EventToCommit("dish-prepared", "Bar", b'{"dish":"Nachos","chef":"Bob"}'),
            EventToCommit("OrderTaken", "Bar", b'{"guests":1,"note":""}'),
            EventToCommit("dish-prepared", "Bar", b'{"dish":"Olives","chef":"Eve"}'),
        )
        await store.commit(Commit("three", events, ExecutionContext()))
        await store.close()

    asyncio.run(commit())
    return log


def test_what_a_choice_cuts_out_of_commits_is_counted(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "export", "--where", 'content.chef == "Bob"', "--to-file", "b"]) == 0
    note = capsys.readouterr().err.splitlines()[-1]
    assert note.startswith("1 commit without 2 events that nothing chose")
    assert "--whole-commits" in note
    assert main(["events", "import", "b", "--tenant", "north"]) == 1
    printed = capsys.readouterr().err
    assert "line 1: commit three lacks 2 of its 3 events" in printed
    assert "hint: export the same again with --whole-commits" in printed
    assert main(["events", "export", "--from", "4"]) == 0
    assert "1 commit without 1 event that" in capsys.readouterr().err
    assert main(["events", "export"]) == 0
    assert "without" not in capsys.readouterr().err


def test_whole_commits_come_whole_once_and_can_be_imported(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--type", "DishPrepared", "--source", "Bar", "--whole-commits"]
    lines = exported(capsys, *words)
    assert [line["position"] for line in lines] == [3, 4, 5]
    assert [line["position"] for line in exported(capsys, "--from", "4", "--whole-commits")] == [
        3,
        4,
        5,
    ]
    assert main(["events", "export", *words, "--to-file", "bar.jsonl"]) == 0
    assert "without" not in capsys.readouterr().err
    assert main(["events", "import", "bar.jsonl", "--tenant", "north"]) == 0
    assert "3 events in 1 commit: 1 commit imported" in capsys.readouterr().err
