from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dolittle.runtime.microservice import Microservice
from dolittle.runtime.state import Change, Processor, Request
from dolittle_cli.main import main

WAIT_S = 30.0
REPLAY = ["events", "replay", "--handler", "DishHandler"]
REBUILD = ["events", "replay", "--projection", "DishCounter"]


@pytest.fixture
def served(kitchen: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]) -> Path:
    """A kitchen whose handler has announced three dishes of two sources."""
    for source, dish in (("Bar", "Taco"), ("Inn", "Burrito"), ("Bar", "Nacho")):
        words = ["events", "append", "DishPrepared", "--source", source]
        assert main([*words, f"dish={dish}", "chef=Ann"]) == 0
    deliver()
    capsys.readouterr()
    return kitchen


def announced(text: str) -> list[str]:
    return [
        line.split("has prepared ")[1].removesuffix(" again")
        for line in text.splitlines()
        if "has prepared " in line
    ]


@pytest.mark.parametrize(
    ("words", "dishes"),
    [
        (["--to", "2"], ["Taco", "Burrito"]),
        (["--from", "1", "--to", "2"], ["Burrito"]),
        (["--from", "1", "--to", "+1"], ["Burrito"]),
        (["--source", "Bar"], ["Taco", "Nacho"]),
        (["--from", "1", "--source", "Bar"], ["Nacho"]),
        (["--to", "-1", "--source", "Bar"], ["Taco"]),
        (["--to", "@-0s"], ["Taco", "Burrito", "Nacho"]),
        (["--from", "@-1h", "--to", "end"], ["Taco", "Burrito", "Nacho"]),
        (["--speed", "1000x"], ["Taco", "Burrito", "Nacho"]),
    ],
)
def test_only_what_was_asked_for_is_handled_again(
    served: Path, capsys: pytest.CaptureFixture[str], words: list[str], dishes: list[str]
) -> None:
    assert main([*REPLAY, *words, "--yes", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["events"] == len(dishes)
    assert announced(printed.err) == dishes
    assert main(["handlers", "list", "--json"]) == 0
    [handler] = json.loads(capsys.readouterr().out)["handlers"]
    assert (handler["status"], handler["position"]) == ("level", 3)


def test_a_replay_writes_no_event(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REPLAY, "--source", "Bar", "--yes"]) == 0
    assert main(["events", "list", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_plan_tells_range_source_and_speed(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*REPLAY, "--to", "2", "--source", "Bar", "--speed", "0.5x", "--dry-run"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "range      from position 0 to 2 of the source 'Bar'\n" in printed
    assert "events     1 of DishPrepared, OrderTaken\n" in printed
    assert "speed      0.5x: gaps between events are kept, at most 10 s each" in printed
    assert main([*words, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["source"], plan["speed"], plan["to"]) == ("Bar", 0.5, 2)


def test_a_handler_is_replayed_from_where_it_began_unless_a_start_is_named(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin_at(position: int) -> None:
        async with Microservice.open(served, deliver=False) as microservice:
            processor = Processor("DishHandler", "handler", position=3, began=position)
            await microservice.state.save(Change(processor))

    asyncio.run(begin_at(1))
    for words, start, events in (([], 1, 2), (["--from", "start"], 0, 3), (["--from", "2"], 2, 1)):
        assert main([*REPLAY, *words, "--dry-run", "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert (plan["from"], plan["events"]) == (start, events)


def test_a_source_without_events_leaves_nothing_to_replay(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*REPLAY, "--source", "nobody", "--yes"]) == 0
    assert "there is nothing to replay" in capsys.readouterr().err


def begin(project: Path, request: Request) -> None:
    """Leave a request behind, as a command that was interrupted at once does."""

    async def leave() -> None:
        async with Microservice.open(project, deliver=False) as microservice:
            await microservice.request(request)

    asyncio.run(leave())


SLOW = Request("replay", "DishHandler", speed=0.0001)


def test_another_replay_is_refused_while_one_is_under_way(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(served, SLOW)
    for words in ([], ["--speed", "2x"], ["--to", "2"], ["--source", "Bar"]):
        assert main([*REPLAY, *words, "--yes"]) == 1
        printed = capsys.readouterr().err
        assert (
            "error: another replay of DishHandler is under way: from position 0 at speed "
            "0.0001x, waiting to begin"
        ) in printed
        assert "--restart" in printed
        assert announced(printed) == []


def test_the_same_command_again_joins_the_replay_that_is_under_way(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(served, Request("replay", "DishHandler", position=1))
    assert main([*REPLAY, "--from", "1"]) == 0, "it needs no second yes"
    printed = capsys.readouterr().err
    assert "it goes on where it is" in printed
    assert announced(printed) == ["Burrito", "Nacho"], "once"


def test_a_replay_under_way_can_be_begun_anew(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(served, SLOW)
    assert main([*REPLAY, "--restart", "--yes", "--to", "1"]) == 0
    assert announced(capsys.readouterr().err)[-1] == "Taco"


def test_a_replay_under_way_can_be_ended(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(served, SLOW)
    assert main([*REPLAY, "--stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"handler": "DishHandler", "stopped_at": 3}
    assert main([*REPLAY, "--stop"]) == 1
    assert "error: no replay of DishHandler is under way" in capsys.readouterr().err
    assert main(["handlers", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["handlers"][0]["status"] == "level"


def interrupted(words: list[str], project: Path, seen: str) -> tuple[int, str]:
    """Run a command, press Ctrl-C when it has written something, return what it wrote."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", *words],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    written = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            written += line
            if seen in line:
                process.send_signal(signal.SIGINT)
                break
        rest, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, written + rest
    finally:
        process.kill()
        process.wait()


def test_after_ctrl_c_the_same_command_goes_on_where_it_stopped(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*REPLAY, "--speed", "0.0001x", "--yes"]
    code, written = interrupted(words, served, "prepared Taco")
    assert code == 130
    assert "interrupted: the replay of DishHandler is not through" in written
    assert main([*words, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_under_way"] is True
    code, written = interrupted(words, served, "prepared Burrito")
    assert code == 130
    assert announced(written)[0] == "Burrito", "the taco is not announced again"
    assert main([*REPLAY, "--stop"]) == 0
    assert announced(capsys.readouterr().err) == []


def test_a_rebuild_that_was_interrupted_goes_on(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin_build() -> None:
        async with Microservice.open(served, deliver=False) as microservice:
            [build] = await microservice.state.processors("DishCounter")
            made = Processor(
                build.name, build.kind, 2, is_active=False, position=1,
                fingerprint=build.fingerprint,
            )  # fmt: skip
            document = {"Marker": b'{"dish":"Marker","count":7}'}
            await microservice.state.save(Change(made, documents=document))

    asyncio.run(begin_build())
    assert main([*REBUILD, "--json"]) == 0
    printed = capsys.readouterr()
    assert "under way  a rebuild, at position 1" in printed.err
    assert main(["projections", "show", "DishCounter", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["documents"]
    assert [item["key"] for item in found] == ["Burrito", "Marker", "Nacho"], "not from the start"


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([*REPLAY, "--speed", "fast"], 2, "--speed 'fast' is no speed"),
        ([*REPLAY, "--from", "2", "--to", "1"], 2, "--to"),
        ([*REPLAY, "--to", "9"], 1, "position 9 is beyond the end"),
        ([*REPLAY, "--to", "x"], 2, "is no place in an event log"),
        ([*REPLAY, "--from", "@2999-01-01"], 1, "is in the future"),
        ([*REBUILD, "--to", "2"], 2, "cannot be replayed up to 2"),
        ([*REBUILD, "--source", "Bar"], 2, "cannot be replayed for the source 'Bar' only"),
        ([*REBUILD, "--speed", "2x"], 2, "--speed is for handlers"),
        ([*REBUILD, "--stop"], 2, "--stop is for handlers"),
        (["events", "replay", "--stop"], 2, "--stop: name the handler"),
        ([*REPLAY, "--stop", "--from", "1"], 2, "--from means nothing with --stop"),
        ([*REPLAY, "--stop"], 1, "no replay of DishHandler is under way"),
        (["events", "replay", "--handler", "Nobody", "--stop"], 1, "there is no event handler"),
    ],
)
def test_wrong_input_is_one_error(
    served: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err
