from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.microservice import Microservice
from dolittle_cli.main import main

WAIT_S = 30.0
REPLAY = ["events", "replay"]
SHADOW = [*REPLAY, "--shadow"]
OLD = "        self.count += 1\n"
NEW = "        self.count += 10\n        self.last = event.chef\n"
PICKY = f"""\
        if event.dish == "Taco":
            raise ValueError("no tacos")
{OLD}"""

Change = Callable[[str], None]


@pytest.fixture
def served(kitchen: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]) -> Path:
    """A kitchen whose three dishes have been counted."""
    for dish in ("Taco", "Burrito", "Taco"):
        append(dish)
    deliver()
    capsys.readouterr()
    return kitchen


@pytest.fixture
def change(kitchen: Path, forget: Callable[[], None]) -> Change:
    """``change(lines)``: let the projection do this instead of counting by one."""

    def change(lines: str) -> None:
        path = kitchen / "kitchen" / "__init__.py"
        text = path.read_text().replace(OLD, lines)
        if "self.last" in lines:
            text = text.replace("    count: int = 0\n", '    count: int = 0\n    last: str = ""\n')
        path.write_text(text)
        forget()

    return change


def append(dish: str) -> None:
    words = ["events", "append", "DishPrepared", "--source", "Bar", f"dish={dish}", "chef=Ann"]
    assert main(words) == 0


def answer(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def document(key: str, capsys: pytest.CaptureFixture[str]) -> Any:
    return answer(["projections", "show", "DishCounter", key], capsys)["document"]


def test_the_difference_shows_counts_then_keys_then_fields(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    assert main([*SHADOW, "--projection", "DishCounter"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "DishCounter: 0 added, 2 changed, 0 deleted, 0 the same",
        "  before: build 1; after: build 2, the shadow; both up to position 3",
        "  ~ Burrito",
        "      count: 1 -> 10",
        "      last: (none) -> Ann",
        "  ~ Taco",
        "      count: 2 -> 20",
        "      last: (none) -> Ann",
    ]
    assert "--projection DishCounter --promote" in printed.err
    assert document("Taco", capsys) == {"dish": "Taco", "count": 2}, "readers see the old one"


def test_as_json_it_is_one_object_with_the_same(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    assert answer([*SHADOW, "-n", "1"], capsys) == {
        "shadows": [
            {
                "projection": "DishCounter",
                "id": "DishCounter",
                "before": 1,
                "after": 2,
                "position": 3,
                "unlike": 0,
                "added": 0,
                "changed": 2,
                "deleted": 0,
                "same": 0,
                "failing_before": [],
                "failing": [],
                "keys": [
                    {
                        "key": "Burrito",
                        "change": "changed",
                        "fields": [
                            {"path": "count", "before": 1, "after": 10},
                            {"path": "last", "after": "Ann"},
                        ],
                    }
                ],
                "waiting": 0,
            }
        ]
    }


def test_what_is_not_shown_is_counted_and_can_be_had(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    assert main([*SHADOW, "-n", "1"]) == 0
    printed = capsys.readouterr()
    assert "Taco" not in printed.out
    assert "1 more read model differs: -n 2 shows all" in printed.err


def test_unchanged_code_makes_no_difference(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SHADOW) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("DishCounter: 0 added, 0 changed, 0 deleted, 2 the same\n")
    assert printed.err == "no difference\n"


def test_where_nothing_was_delivered_all_is_added(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append("Taco")
    capsys.readouterr()
    assert main(SHADOW) == 0
    assert capsys.readouterr().out.splitlines() == [
        "DishCounter: 1 added, 0 changed, 0 deleted, 0 the same",
        "  before: nothing; after: build 1, the shadow; both up to position 1",
        "  + Taco",
        "      dish: Taco",
        "      count: 1",
    ]
    assert main([*REPLAY, "--promote", "--yes"]) == 0
    assert document("Taco", capsys) == {"dish": "Taco", "count": 1}


def test_no_handler_runs_and_no_event_is_written(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    append("Nacho")
    capsys.readouterr()
    for words in (SHADOW, [*REPLAY, "--promote", "--yes"]):
        assert main(words) == 0
        assert "has prepared" not in capsys.readouterr().err
    assert main(["events", "list", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_events_that_came_since_are_folded_by_the_promotion(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    assert main(SHADOW) == 0
    append("Taco")
    promoted = answer([*REPLAY, "--promote", "--yes"], capsys)
    assert promoted == {
        "promoted": [{"projection": "DishCounter", "id": "DishCounter", "build": 2, "events": 1}]
    }
    assert document("Taco", capsys) == {"dish": "Taco", "count": 30, "last": "Ann"}
    assert main([*REPLAY, "--promote", "--yes"]) == 1
    assert "no projection has a shadow" in capsys.readouterr().err


def test_a_shadow_of_code_that_has_changed_since_is_not_promoted(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(SHADOW) == 0
    (served / "kitchen" / "prices.py").write_text('"""What a dish costs."""\n')
    capsys.readouterr()
    assert main([*REPLAY, "--projection", "DishCounter", "--promote", "--yes"]) == 1
    printed = capsys.readouterr().err
    assert "error: the code has changed since the shadow of DishCounter was made" in printed
    assert "hint: make it anew" in printed
    assert main(SHADOW) == 0
    assert main([*REPLAY, "--promote", "--yes"]) == 0


def test_a_key_that_begins_to_fail_is_an_error_and_is_not_promoted(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(PICKY)
    assert main(SHADOW) == 1
    printed = capsys.readouterr()
    assert "  ! Taco fails at position 0: ValueError: no tacos\n" in printed.out
    assert "error: 1 key of a shadow cannot be folded by the code as it is now" in printed.err
    assert main([*REPLAY, "--promote", "--yes"]) == 1
    printed = capsys.readouterr()
    assert "key 'Taco' fails in the shadow of DishCounter at position 0" in printed.err
    assert main(["doctor"]) == 0, "what fails in a shadow is nothing that is wrong"


def test_a_discarded_shadow_is_gone(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    change(NEW)
    assert main(SHADOW) == 0
    assert answer([*REPLAY, "--discard"], capsys) == {
        "discarded": [{"projection": "DishCounter", "id": "DishCounter", "build": 2}]
    }
    assert main([*REPLAY, "--projection", "DishCounter", "--discard"]) == 1
    printed = capsys.readouterr().err
    assert "error: DishCounter has no shadow" in printed
    assert document("Taco", capsys) == {"dish": "Taco", "count": 2}


def test_projections_list_and_show_tell_of_a_shadow(
    served: Path, change: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["list"], ["show", "DishCounter"]):
        assert main(["projections", *words]) == 0
        assert "shadow" not in capsys.readouterr().err
    assert answer(["projections", "show", "DishCounter"], capsys)["shadow"] is None
    change("        self.count += 2")
    assert main([*REPLAY, "--shadow"]) == 0
    append("Nachos")
    for words in (["list"], ["show", "DishCounter"]):
        capsys.readouterr()
        assert main(["projections", *words]) == 0
        told = capsys.readouterr().err
        assert "DishCounter has a shadow: 2 read models, 1 event came since; swap it in" in told
        assert "dolittle events replay --projection DishCounter --promote" in told
    shown = answer(["projections", "show", "DishCounter"], capsys)["shadow"]
    assert shown == {"position": 3, "lag": 1, "read_models": 2, "is_of_this_code": True}
    [listed] = answer(["projections", "list"], capsys)["projections"]
    assert listed["shadow"] == shown
    (served / "kitchen" / "more.py").write_text("")
    assert main(["projections", "list"]) == 0
    assert "of other code than now; make it anew" in capsys.readouterr().err


def test_two_processes_do_not_make_shadows_at_once(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = Lease(served / ".dolittle" / "development" / "shadow.lock")
    assert held.try_take()
    try:
        for words in (SHADOW, [*REPLAY, "--promote", "--yes"], [*REPLAY, "--discard"]):
            assert main(words) == 1
            assert "works with the shadows of development now" in capsys.readouterr().err
    finally:
        held.let_go()


async def in_a_process(words: list[str], project: Path) -> tuple[int, str, str]:
    done = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", *words],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = await asyncio.wait_for(asyncio.to_thread(done.communicate), WAIT_S)
    return done.returncode, out, err


async def test_beside_a_process_that_delivers_it_works_with_the_code_as_it_is_now(
    served: Path, change: Change
) -> None:
    async with Microservice.open(served) as running:
        change(NEW)
        code, out, err = await in_a_process(SHADOW, served)
        assert (code, err.count("error")) == (0, 0), err
        assert "DishCounter: 0 added, 2 changed" in out
        code, _, err = await in_a_process([*REPLAY, "--promote", "--yes"], served)
        assert code == 1
        assert "delivers to DishCounter with other code than the shadow was made by" in err
        models = await running.projection_by_name("DishCounter").raw_page()
        assert [content for _, content in models] == [
            b'{"dish":"Burrito","count":1}',
            b'{"dish":"Taco","count":2}',
        ]


async def test_a_process_that_delivers_with_the_same_code_promotes(
    served: Path, change: Change
) -> None:
    async with Microservice.open(served) as running:
        code, _, err = await in_a_process(SHADOW, served)
        assert code == 0, err
        code, _, err = await in_a_process([*REPLAY, "--promote", "--yes"], served)
        assert code == 0, err
        assert "it does the work" in err
        [build] = await running.state.processors("DishCounter")
        assert (build.build, build.is_active) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--shadow", "--handler", "DishHandler"], 2, "--shadow is for projections"),
        (["--promote", "--handler", "DishHandler"], 2, "--promote is for projections"),
        (["--shadow", "--promote"], 2, "--shadow and --promote do not go together"),
        (["--shadow", "--from", "3"], 2, "--from means nothing with --shadow"),
        (["--shadow", "--to", "3"], 2, "--to means nothing with --shadow"),
        (["--shadow", "--source", "Bar"], 2, "--source means nothing with --shadow"),
        (["--shadow", "--speed", "2x"], 2, "--speed means nothing with --shadow"),
        (["--shadow", "--side-effect", "mail"], 2, "--side-effect means nothing"),
        (["--shadow", "--restart"], 2, "--restart means nothing with --shadow"),
        (["--promote", "-n", "3"], 2, "-n means nothing with --promote"),
        (["--projection", "DishCounter", "-n", "3"], 2, "-n is for --shadow"),
        (["--shadow", "--projection", "DishCountr"], 1, "did you mean DishCounter?"),
        (["--promote", "--projection", "DishCounter", "--yes"], 1, "DishCounter has no shadow"),
        (["--discard", "--projection", "DishCounter"], 1, "DishCounter has no shadow"),
    ],
)
def test_wrong_input_is_one_error(
    served: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main([*REPLAY, *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err


def test_a_promotion_needs_a_yes(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SHADOW) == 0
    capsys.readouterr()
    assert main([*REPLAY, "--promote"]) == 2
    printed = capsys.readouterr().err
    assert "readers see build 2 instead of build 1, which is deleted" in printed
    assert "error: a promotion needs a yes" in printed


def test_without_events_there_is_nothing_to_replay(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mode in ("--shadow", "--discard"):
        assert main([*REPLAY, mode]) == 1
        assert "error: there are no events yet" in capsys.readouterr().err
    assert not (kitchen / ".dolittle").exists()
