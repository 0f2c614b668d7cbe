from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle.runtime.microservice import Microservice
from dolittle_cli.main import main

WAIT_S = 20.0

WAITER = """

from dolittle import Microservice


@event_type
class DishServed:
    dish: str


@event_handler
class Waiter:
    def __init__(self, microservice: Microservice) -> None:
        self.microservice = microservice

    @handles(DishPrepared)
    async def serve(self, event: DishPrepared) -> None:
        await self.microservice.commit(DishServed(dish=event.dish), source="Table 1")
"""


async def wait_for_the_waiter(kitchen: Path) -> None:
    async with Microservice.open(kitchen) as microservice:
        last = await microservice.store.head() - 1
        await microservice.wait_until_seen("Waiter", last, timeout_s=WAIT_S)


@pytest.fixture
def served(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen whose waiter has served two dishes, and an order."""
    source = kitchen / "kitchen" / "__init__.py"
    source.write_text(source.read_text() + WAITER)
    for dish in ("Taco", "Burrito"):
        words = ["perform", "Kitchen", "Tacos", "prepare_dish", f"dish={dish}", "chef=Ann"]
        assert main(words) == 0
    assert main(["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"]) == 0
    asyncio.run(wait_for_the_waiter(kitchen))
    capsys.readouterr()
    return kitchen


def lines(name: str = "lunch") -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(f"scenarios/{name}.jsonl").read_text().splitlines()]


def positions(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[str, object]]:
    capsys.readouterr()
    assert main(["events", "list", "--json", *words]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(event["type"], event["content"]) for event in events]


def test_a_range_is_recorded_with_what_caused_what(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "scenarios/lunch.jsonl\n"
    assert "5 events in 5 commits, 2 of them caused by others" in printed.err
    header, *commits = lines()
    assert (header["scenario"], header["microservice"]) == ("lunch", "kitchen")
    assert [commit.get("caused_by") for commit in commits] == [None, None, None, "1/0", "2/0"]
    assert "after_s" not in commits[0]
    assert all(commit["after_s"] > 0 for commit in commits[1:])  # type: ignore[operator]
    assert commits[0]["events"] == [
        {"type": "DishPrepared", "source": "Tacos", "aggregate": "Kitchen",
         "content": {"dish": "Taco", "chef": "Ann"}}
    ]  # fmt: skip


def test_what_is_played_leaves_to_handlers_what_they_make(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    capsys.readouterr()
    assert main(["events", "play", "lunch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "scenario": "lunch", "commits": 3, "events": 3, "left_out_commits": 2,
        "first_position": 5, "last_position": 7, "is_dry_run": False,
    }  # fmt: skip
    before = positions(capsys, "--to", "5", "--from", "start")
    assert positions(capsys, "--from", "5") == before[:3]
    asyncio.run(wait_for_the_waiter(served))
    assert positions(capsys, "--from", "8") == before[3:]


def test_caused_commits_are_played_with_new_ids_that_belong_together(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    assert main(["events", "play", "lunch", "--with-caused"]) == 0
    capsys.readouterr()
    assert main(["events", "list", "--json", "--from", "5"]) == 0
    played = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({event["commit"] for event in played}) == 5
    assert played[3]["causation"] == f"{played[0]['commit']}/0"
    assert played[3]["correlation"] == played[0]["correlation"] == played[0]["commit"]


def test_a_scenario_is_played_into_another_tenant(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "2", "--to", "3"]) == 0
    assert main(["events", "play", "lunch", "--tenant", "north"]) == 0
    assert positions(capsys, "--tenant", "north") == [("OrderTaken", {"guests": 4, "note": ""})]


def test_a_dry_run_of_a_play_commits_nothing(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    assert main(["events", "play", "lunch", "--dry-run"]) == 0
    assert "3 events in 3 commits would be played" in capsys.readouterr().err
    assert len(positions(capsys)) == 5


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"type":"OrderTaken"', '"type":"OrderTakn"', "line 4: there is no event type 'OrderTakn'"),
        ('"guests":4', '"guests":"4"', "line 4: event type OrderTaken: expected `int`, got `str`"),
        ('"note":""', '"nte":""', "line 4: event type OrderTaken: there is no field 'nte'"),
        ('"aggregate":"Kitchen"', '"aggregate":"Bar"', "line 2: there is no aggregate 'Bar'"),
        ('"type":"OrderTaken"', '"type":"OrderTaken","generation":2', "line 4: event type Order"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_nothing_is_played(
    served: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, error: str
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    path = Path("scenarios/lunch.jsonl")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    capsys.readouterr()
    assert main(["events", "play", "lunch"]) == 1
    printed = capsys.readouterr()
    assert "nothing was played" in printed.err
    assert error in printed.err
    assert len(positions(capsys)) == 5


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "it is empty"),
        ("{}", "lunch.jsonl:1: object missing required field"),
        ('{"scenario":"x","format":9,"microservice":"k","recorded":"t"}', "format 9 is not known"),
        ('{"scenario":"x","format":1,"microservice":"k","recorded":"t"}\n{"events":[]}',
         "lunch.jsonl:2: a commit has at least one event"),
        ('{"scenario":"x","format":1,"microservice":"k","recorded":"t"}\n'
         '{"caused_by":"1/0","events":[{"type":"X","source":"s","content":{}}]}',
         "lunch.jsonl:2: caused_by '1/0' names no event before it"),
        ('{"scenario":"x","format":1,"microservice":"k","recorded":"t"}\n'
         '{"after_s":-1,"events":[{"type":"X","source":"s","content":{}}]}',
         "lunch.jsonl:2: after_s is a number of seconds"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_scenario_is_refused(
    kitchen: Path, capsys: pytest.CaptureFixture[str], text: str, error: str
) -> None:
    Path("scenarios").mkdir()
    Path("scenarios/lunch.jsonl").write_text(text)
    assert main(["events", "play", "lunch"]) == 1
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["play", "dinner"], 1, "there is no scenario 'dinner'"),
        (["play", "../x"], 2, "'../x' is no name for a scenario"),
        (["play", "lunch", "--speed", "fast"], 2, "--speed 'fast' is no speed"),
        (["play", "lunch", "--speed", "0x"], 2, "--speed '0x' is no speed"),
        (["play", "lunch", "--speed", "nanx"], 2, "--speed 'nanx' is no speed"),
        (["record", "Lunch", "--from", "start"], 2, "'Lunch' is no name for a scenario"),
        (["record", "lunch", "--from", "end"], 1, "nothing was recorded"),
    ],
)
def test_wrong_words_are_refused(
    served: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(["events", *words]) == code
    assert error in capsys.readouterr().err
    assert not Path("scenarios").exists()


def test_a_scenario_is_not_overwritten_without_a_word(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start"]) == 0
    assert main(["events", "record", "lunch", "--from", "1"]) == 1
    assert "lunch.jsonl exists already" in capsys.readouterr().err
    assert len(lines()) == 6
    assert main(["events", "record", "lunch", "--from", "1", "--overwrite"]) == 0
    assert len(lines()) == 5


def test_a_recording_becomes_a_test_that_passes_and_can_fail(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start", "--as-test"]) == 0
    path = Path("tests/scenarios/test_lunch.py")
    assert capsys.readouterr().out.splitlines()[1] == str(path)
    text = path.read_text()
    for name in ("test_prepare_dish_1", "test_prepare_dish_2", "test_dish_counter"):
        assert f"def {name}() -> None:" in text
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
               "-c", "/dev/null", "--rootdir", ".", "-p", "no:asyncio", str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, cwd=served)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    source = served / "kitchen" / "__init__.py"
    source.write_text(source.read_text().replace("self.count += 1", "self.count += 2"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, cwd=served)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr


def test_the_written_test_is_formatted_and_linted(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "record", "lunch", "--from", "start", "--as-test"]) == 0
    path = "tests/scenarios/test_lunch.py"
    for words in (["format", "--check"], ["check", "--select", "E,F,W,UP,B,N"]):
        command = ["ruff", *words, "--isolated", "--line-length", "100", path]
        program = Path(sys.executable).with_name("ruff")
        done = subprocess.run(
            command, executable=program, capture_output=True, text=True, timeout=WAIT_S
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_tested_is_recorded_nowhere(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", "start", "--type", "OrderTaken", "--as-test"]
    assert main(["events", "record", "lunch", *words]) == 1
    assert "there is nothing to test" in capsys.readouterr().err
    assert not Path("scenarios").exists()


def test_ctrl_c_ends_a_live_recording_and_writes_it(served: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "events", "record", "live"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=served,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("recording what comes")
        assert main(["events", "append", "OrderTaken", "--source", "T", "guests=9"]) == 0
        # Whoever is stopped takes in first what was committed before.
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert out == "scenarios/live.jsonl\n"
    assert [commit["events"] for commit in lines("live")[1:]] == [
        [{"type": "OrderTaken", "source": "T", "public": True,
          "content": {"guests": 9, "note": ""}}]
    ]  # fmt: skip
