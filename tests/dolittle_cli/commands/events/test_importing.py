from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, CommittedEvent, EventToCommit, Selection
from dolittle_cli.main import main


async def commit_two(project: Path) -> None:
    store = await open_store(load_configuration(project), "development")
    context = ExecutionContext(
        correlation="together", causation="because/0", version="1.2", environment="test",
        claims={"sub": "Ann"},
    )  # fmt: skip
    events = (
        EventToCommit("OrderTaken", "Table 1", b'{ "guests": 1.0, "note": "\xc3\xbc" }',
                      public=True),
        EventToCommit("dish-prepared", "Bar", b'{"dish":"Nachos","chef":"Bob"}',
                      aggregate="Kitchen"),
    )  # fmt: skip
    await store.commit(Commit("both", events, context))
    await store.close()


async def read(project: Path, tenant: str) -> list[CommittedEvent]:
    store = await open_store(load_configuration(project), tenant)
    found = [event async for page in store.read(Selection()) for event in page.events]
    await store.close()
    return found


@pytest.fixture
def lines(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """An export of four events in three commits, as ``out.jsonl`` and by line."""
    for dish in ("Taco", "Burrito"):
        words = ["perform", "Kitchen", "Tacos", "prepare_dish", f"dish={dish}", "chef=Ann"]
        assert main(words) == 0
    asyncio.run(commit_two(kitchen))
    assert main(["events", "export", "--to-file", "out.jsonl"]) == 0
    capsys.readouterr()
    return Path("out.jsonl").read_text().splitlines()


def take(*words: str) -> int:
    return main(["events", "import", "--tenant", "north", *words])


def written(lines: list[str]) -> str:
    Path("in.jsonl").write_text("\n".join(lines) + "\n")
    return "in.jsonl"


def changed(line: str, **values: Any) -> str:
    return json.dumps({**json.loads(line), **values})


@pytest.mark.parametrize("form", ["jsonl", "cloudevents"])
def test_what_is_imported_is_what_was_exported(
    kitchen: Path, lines: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--format", form, "--to-file", "out.jsonl", "--overwrite"]
    assert main(["events", "export", *words]) == 0
    assert take("out.jsonl") == 0
    assert asyncio.run(read(kitchen, "north")) == asyncio.run(read(kitchen, "development"))
    assert "4 events in 3 commits: 3 commits imported" in capsys.readouterr().err


def test_importing_again_changes_nothing(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert take("out.jsonl") == 0
    before = asyncio.run(read(kitchen, "north"))
    capsys.readouterr()
    assert take("out.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "commits": 3, "events": 4, "new_commits": 0, "repeated_commits": 3, "is_dry_run": False,
    }  # fmt: skip
    assert asyncio.run(read(kitchen, "north")) == before


def test_an_import_that_was_cut_short_goes_on(kitchen: Path, lines: list[str]) -> None:
    assert take(written(lines[:1])) == 0
    assert take("out.jsonl") == 0
    assert asyncio.run(read(kitchen, "north")) == asyncio.run(read(kitchen, "development"))


def test_later_commits_get_later_times(kitchen: Path, lines: list[str]) -> None:
    assert take("out.jsonl") == 0
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1",
                 "--tenant", "north"]) == 0  # fmt: skip
    *old, new = asyncio.run(read(kitchen, "north"))
    assert new.commit.time > old[-1].commit.time


def test_a_dry_run_imports_nothing(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert take("out.jsonl", "--dry-run") == 0
    assert "3 commits would be imported" in capsys.readouterr().err
    assert not (kitchen / ".dolittle" / "north").exists()


@pytest.mark.parametrize(
    ("number", "change", "error"),
    [
        (2, "{", "line 2: input data was truncated"),
        (2, "[]", "line 2: expected `object`, got `array`"),
        (2, '{"position": 1}', "line 2: object missing required field"),
        (3, {"microservice": "bar"}, "line 3: the event is of the microservice 'bar'"),
        (3, {"commit_events": 3}, "line 3: commit both lacks 1 of its 3 events"),
        (4, {"index": 5}, "line 3: the events of commit both are not in their order"),
        (4, {"correlation": "x"}, "line 3: the events of commit both do not belong together"),
        (2, {"time": "2999-01-01T00:00:00Z"}, "line 2: the commit is of 2999-01-01"),
        (2, {"time": "2001-01-01T00:00:00Z"}, "line 2: the commit is of 2001-01-01"),
        (2, {"time": "yesterday"}, "line 2: invalid isoformat string"),
        (2, {"time": "2026-01-01T00:00:00"}, "line 2: the time '2026-01-01T00:00:00' has no"),
        (2, {"version": 3}, "line 2: Kitchen 'Tacos' is at version 1 by then"),
        (2, {"content": [1]}, "line 2: the content is no object"),
        (2, {"source": ""}, "line 2: an event has a type and a source"),
        (2, {"position": "one"}, "line 2: expected `int`, got `str`"),
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_imported(
    kitchen: Path,
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
    number: int,
    change: str | dict[str, Any],
    error: str,
) -> None:
    old = lines[number - 1]
    lines[number - 1] = change if isinstance(change, str) else changed(old, **change)
    assert take(written(lines)) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {error}")
    assert "nothing was imported" in printed
    assert not (kitchen / ".dolittle" / "north").exists()


def test_a_commit_that_is_apart_is_refused(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert take(written([*lines, lines[0]])) == 1
    assert "line 5: commit" in capsys.readouterr().err


def test_events_of_another_microservice_are_taken_when_asked(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [changed(line, microservice="bar", type_id="x") for line in lines]
    assert take(written(lines)) == 1
    capsys.readouterr()
    assert take(written(lines), "--foreign") == 0
    assert "warning: no class of kitchen reads: x" in capsys.readouterr().err
    assert len(asyncio.run(read(kitchen, "north"))) == 4


def test_events_that_the_log_has_otherwise_are_refused(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "export", "--redact", "chef", "--to-file", "red.jsonl"]) == 0
    assert main(["events", "import", "red.jsonl"]) == 1
    assert "is in the log already, with other events" in capsys.readouterr().err
    assert take("red.jsonl") == 0


def test_older_events_do_not_go_behind_newer_ones(
    kitchen: Path, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1",
                 "--tenant", "north"]) == 0  # fmt: skip
    capsys.readouterr()
    assert take("out.jsonl") == 1
    printed = capsys.readouterr().err
    assert "line 1: the commit is of" in printed
    assert "time never goes back within a log" in printed
    assert len(asyncio.run(read(kitchen, "north"))) == 1


def test_stdin_is_imported(
    kitchen: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(Path("out.jsonl").read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin())
    assert take("-") == 0
    assert len(asyncio.run(read(kitchen, "north"))) == 4


def test_a_file_that_is_not_there_is_an_error(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert take("gone.jsonl") == 1
    assert "gone.jsonl cannot be read" in capsys.readouterr().err


def test_a_great_many_commits_keep_their_order(kitchen: Path, lines: list[str]) -> None:
    many = [
        changed(lines[3], commit=f"c{n}", correlation=f"c{n}", index=0, commit_events=1,
                aggregate=None, version=None, position=n)
        for n in range(1_700)
    ]  # fmt: skip
    assert take(written(many)) == 0
    found = asyncio.run(read(kitchen, "north"))
    assert [event.commit.id for event in found] == [f"c{n}" for n in range(1_700)]
