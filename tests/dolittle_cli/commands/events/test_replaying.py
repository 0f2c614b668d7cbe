from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.runtime.microservice import Microservice
from dolittle_cli.main import main

WAIT_S = 30.0
REPLAY = ["events", "replay"]


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen with two dishes and an order, not yet handled."""
    for words in (
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Taco", "chef=Ann"],
        ["events", "append", "OrderTaken", "--source", "Table 1", "guests=4"],
        ["perform", "Kitchen", "Tacos", "prepare_dish", "dish=Burrito", "chef=Ann"],
    ):
        assert main(words) == 0
    capsys.readouterr()
    return kitchen


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*REPLAY, "--projection", "DishCounter", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert "projection DishCounter: rebuild from the start" in printed.out
    assert "2 of DishPrepared" in printed.out
    assert printed.err.endswith("dry run: nothing was done\n")
    assert main(["projections", "list", "--json"]) == 0
    [projection] = json.loads(capsys.readouterr().out)["projections"]
    assert projection["status"] == "not started"


def test_the_plan_names_range_count_and_side_effects(
    log: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    deliver()
    capsys.readouterr()
    words = [*REPLAY, "--handler", "DishHandler", "--from", "1", "--dry-run", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {
        "kind": "handler",
        "name": "DishHandler",
        "from": 1,
        "to": 3,
        "source": None,
        "speed": None,
        "types": ["DishPrepared", "OrderTaken"],
        "events": 2,
        "side_effects_called": [],
        "side_effects_left_out": ["mail"],
        "failing_partitions": 0,
        "is_under_way": False,
    }


def test_a_handler_handles_again_without_side_effects(
    log: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    deliver()
    capsys.readouterr()
    assert main([*REPLAY, "--handler", "DishHandler", "--yes"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Ann has prepared Taco again" in printed.err
    assert "Ann has prepared Burrito again" in printed.err
    assert "mail for" not in printed.err
    assert "left out   side-effect methods: mail" in printed.err
    assert "replayed 3 events in" in printed.err


def test_a_side_effect_is_called_when_it_is_named(
    log: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    deliver()
    capsys.readouterr()
    words = [*REPLAY, "--handler", "DishHandler", "--yes", "--side-effect", "mail", "--from", "1"]
    assert main(words) == 0
    printed = capsys.readouterr().err
    assert "mail for 4" in printed
    assert "Taco again" not in printed


def test_a_projection_is_rebuilt_and_the_answer_is_one_object(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*REPLAY, "--projection", "DishCounter", "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["events"], answer["failing"]) == (2, [])
    assert answer["seconds"] >= 0
    assert main(["projections", "show", "DishCounter", "Taco", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"key": "Taco", "document": {"dish": "Taco", "count": 1}}


def test_a_handler_that_has_handled_nothing_has_nothing_to_replay(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*REPLAY, "--handler", "DishHandler", "--yes"]) == 0
    printed = capsys.readouterr().err
    assert "there is nothing to replay" in printed
    assert "Ann has prepared" not in printed


def test_a_replay_from_behind_where_the_handler_is_would_leave_events_out(
    log: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    deliver()
    main(["events", "append", "OrderTaken", "--source", "T", "guests=1"])
    capsys.readouterr()
    assert main([*REPLAY, "--handler", "DishHandler", "--from", "4", "--yes"]) == 1
    printed = capsys.readouterr().err
    assert "it is at 3: a replay from there would leave events out" in printed


def test_what_fails_in_a_replay_is_an_error_and_listed(
    log: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    words = ["events", "append", "DishPrepared", "--source", "Bar", "dish=poison", "chef=Eve"]
    assert main(words) == 0
    deliver()
    capsys.readouterr()
    assert main([*REPLAY, "--handler", "DishHandler", "--yes", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["failing"] == ["Bar"]
    assert "1 partition tried again from there" in printed.err
    assert "error: 1 partition of DishHandler failed on the way" in printed.err


async def test_a_process_that_delivers_does_the_work(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Microservice.open(log) as running:
        await running.wait_until_seen("DishHandler", 2, timeout_s=WAIT_S)
        done = subprocess.Popen(
            [sys.executable, "-m", "dolittle_cli", *REPLAY, "--handler", "DishHandler", "--yes"],
            cwd=log,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, err = await in_loop(done.communicate)
    assert done.returncode == 0
    assert f"process {os.getpid()} delivers events: it does the work" in err
    assert "Taco again" not in err
    assert "Ann has prepared Taco again" in capsys.readouterr().out


async def in_loop(function: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    return await asyncio.wait_for(asyncio.to_thread(function), WAIT_S)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([], 2, "name one target"),
        (["--handler", "A", "--projection", "B"], 2, "name one target"),
        (["--projection", "DishCounter", "--from", "2"], 2, "a fold over all its events"),
        (["--projection", "DishCounter", "--side-effect", "m"], 2, "a projection has none"),
        (["--handler", "DishHandlr", "--yes"], 1, "there is no event handler 'DishHandlr'"),
        (["--projection", "DishCountr", "--yes"], 1, "there is no projection 'DishCountr'"),
        (["--handler", "DishHandler", "--side-effect", "male"], 1, "did you mean mail?"),
        (["--handler", "DishHandler", "--from", "x"], 2, "is no place in an event log"),
        (["--handler", "DishHandler", "--from", "9"], 1, "position 9 is beyond the end"),
        (["--projection", "DishCounter"], 2, "a replay needs a yes"),
    ],
)
def test_wrong_input_is_one_error(
    log: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main([*REPLAY, *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err


def replay_on_a_terminal(project: Path, answer: bytes) -> tuple[int, bytes]:
    """Replay with a terminal as stdin, stdout and stderr; answer the question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", *REPLAY, "--projection", "DishCounter"],
        cwd=project, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    try:
        while b"replay? [y/N] " not in seen:
            assert select.select([ours], [], [], WAIT_S)[0], seen
            seen += os.read(ours, 4_096)
        os.write(ours, answer)
        return process.wait(WAIT_S), seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_a_person_is_asked(log: Path, answer: bytes, code: int) -> None:
    ended, seen = replay_on_a_terminal(log, answer)
    assert ended == code
    assert seen.index(b"2 of DishPrepared") < seen.index(b"replay? [y/N]")
