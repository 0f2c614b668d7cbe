from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import Change, Processor
from dolittle_cli.main import main

STORE = Path(".dolittle", "development", "events")


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The log file of a kitchen with four commits, of which the second is damaged."""
    for guests in range(4):
        words = ["append", "OrderTaken", "--source", "Table 1", f"guests={guests}"]
        assert main(["events", *words]) == 0
    capsys.readouterr()
    [log] = (kitchen / STORE / "log").iterdir()
    log.write_bytes(log.read_bytes().replace(b'"guests":1', b'"guests":7'))
    return log


def test_a_sound_store_needs_no_repair(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "repair"]) == 0
    assert "nothing to repair" in capsys.readouterr().err
    assert not (kitchen / ".dolittle").exists()
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1"]) == 0
    capsys.readouterr()
    assert main(["events", "repair", "--yes"]) == 0
    assert "nothing to repair" in capsys.readouterr().err


def test_the_damage_of_a_store_names_the_repair(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=4"]) == 1
    assert "dolittle events repair --dry-run" in capsys.readouterr().err


def test_a_repair_says_what_is_lost_and_changes_nothing_without_a_yes(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = log.read_bytes()
    assert main(["events", "repair", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert f"{log}:2, byte " in said.out
    assert "kept      1 event, before position 1" in said.out
    assert "lost      3 events, positions 1 to 3" in said.out
    assert "1 line that nobody can read any more" in said.out
    assert "2 intact lines behind the damage, with 2 events" in said.out
    assert "nothing was done" in said.err
    assert main(["events", "repair"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["events", "repair", "--dry-run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["line"], answer["position"], answer["last_position"]) == (2, 1, 3)
    assert log.read_bytes() == before


def test_a_repair_cuts_keeps_copies_and_the_store_goes_on(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = log.read_bytes()
    assert main(["events", "repair", "--yes"]) == 0
    assert "1 event verified" in capsys.readouterr().err
    [kept] = (log.parents[1] / "repaired").iterdir()
    assert (kept / log.name).read_bytes() == before
    assert log.read_bytes() == before.splitlines(keepends=True)[0]
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=9"]) == 0
    capsys.readouterr()
    assert main(["events", "verify"]) == 0
    assert "2 events verified" in capsys.readouterr().err


def test_a_tail_shows_what_can_be_read_and_says_that_the_rest_is_damaged(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "tail", "-n", "2", "--no-follow"]) == 1
    said = capsys.readouterr()
    assert "guests=0" in said.out
    assert "error: stored events are damaged" in said.err
    assert main(["events", "tail", "--to", "1"]) == 0


def test_verify_words_one_finding_as_one(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "verify"]) == 1
    said = capsys.readouterr().err
    assert "1 thing wrong; nothing was changed" in said
    assert "1 event can be read" in said


def test_a_handler_that_had_seen_what_is_lost_passes_over_nothing_new(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = log.parents[2] / "state.sqlite"

    async def processors(*saved: Processor) -> list[Processor]:
        opened = SqliteState(state)
        for each in saved:
            await opened.save(Change(each))
        found = await opened.processors()
        await opened.close()
        return found

    asyncio.run(
        processors(
            Processor("Behind", "handler", position=1),
            Processor("Ahead", "handler", position=4),
            Processor("Table", "projection", position=4, fingerprint="as it was"),
        )
    )
    assert main(["events", "repair", "--yes"]) == 0
    said = capsys.readouterr().err
    assert "Ahead had seen what is lost: set back to position 1" in said
    assert "Behind" not in said
    found = {each.name: each for each in asyncio.run(processors())}
    assert {name: each.position for name, each in found.items()} == {
        "Behind": 1,
        "Ahead": 1,
        "Table": 1,
    }
    # No code has this fingerprint: its read models are made anew.
    assert found["Table"].fingerprint == ""
