from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.main import main

Deliver = Callable[[], None]


@pytest.fixture
def failing(kitchen: Path, capsys: pytest.CaptureFixture[str], deliver: Deliver) -> Path:
    """A kitchen in which the partition ``Bar`` of ``DishHandler`` fails; ``Tacos`` does not."""
    for source, dish in (("Bar", "poison"), ("Tacos", "Taco"), ("Bar", "Nachos")):
        words = ["DishPrepared", "--source", source, f"dish={dish}", "chef=Ann"]
        assert main(["events", "append", *words]) == 0
    deliver()
    capsys.readouterr()
    return kitchen


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["handlers", "show", "DishHandler", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def heal(project: Path) -> None:
    """Mend the handler's code."""
    source = project / "kitchen" / "__init__.py"
    source.write_text(source.read_text().replace('raise ValueError("that is poison")', "pass"))


def test_a_handler_that_never_ran_is_listed_as_not_started(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["handlers", "list"]) == 0
    titles, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert titles == ["HANDLER", "ID", "PARTITIONED", "STATUS", "POSITION", "LAG", "FAILING"]
    assert row == ["DishHandler", "DishHandler", "yes", "not", "started", "-", "0", "0"]
    assert not (kitchen / ".dolittle").exists()


def test_handlers_are_listed_with_position_lag_and_failures(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1"]) == 0
    capsys.readouterr()
    assert main(["handlers", "list", "--json"]) == 0
    [handler] = json.loads(capsys.readouterr().out)["handlers"]
    assert handler == {
        "handler": "DishHandler",
        "id": "DishHandler",
        "status": "failing",
        "position": 3,
        "lag": 1,
        "failing": 1,
        "partitioned": True,
    }


def test_a_failing_handler_shows_partition_position_attempts_and_error(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["handlers", "show", "DishHandler"]) == 0
    printed = capsys.readouterr().out
    assert "on OrderTaken    mail (side effect)\n" in printed
    row = printed.splitlines()[-1]
    assert row.startswith("Bar  ")
    assert row.split()[1:3] == ["0", "1"]
    assert row.endswith("ValueError: that is poison")


def test_as_json_a_failure_has_its_traceback(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [row] = shown(capsys)["failing"]
    assert (row["partition"], row["position"], row["attempts"]) == ("Bar", 0, 1)
    assert row["is_parked"] is False
    assert row["retry_at"] > row["failed_at"]
    assert 'raise ValueError("that is poison")' in row["traceback"]


def test_retry_tells_when_it_fails_again(failing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["handlers", "retry", "DishHandler"]) == 1
    printed = capsys.readouterr().err
    assert "error: partition 'Bar' fails at position 0: ValueError: that is poison" in printed
    assert shown(capsys)["failing"][0]["attempts"] == 2


def test_retry_goes_on_once_the_code_is_mended(
    failing: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[], None]
) -> None:
    heal(failing)
    forget()
    assert main(["handlers", "retry", "DishHandler", "--partition", "Bar", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"handler": "DishHandler", "mended": ["Bar"], "failing": []}
    assert "partition 'Bar' goes on" in printed.err
    assert shown(capsys)["status"] == "level"


def test_skip_leaves_the_event_out_and_goes_on_behind_it(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["handlers", "skip", "DishHandler", "--partition", "Bar"]) == 0
    printed = capsys.readouterr().err
    assert "partition 'Bar' goes on" in printed
    assert "Ann has prepared poison" not in printed
    assert shown(capsys)["failing"] == []


def test_retry_with_nothing_failing_says_so(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["handlers", "retry", "DishHandler"]) == 0
    assert "no partition of DishHandler is failing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["show", "DishHandlr"], 1, "did you mean DishHandler?"),
        (["retry", "DishHandlr"], 1, "did you mean DishHandler?"),
        (["retry", "DishHandler", "--partition", "Bra"], 1, "did you mean Bar?"),
        (["skip", "DishHandler", "--partition", "Bra"], 1, "did you mean Bar?"),
        (["skip", "DishHandler"], 2, "--partition P says which event to skip"),
    ],
)
def test_wrong_input_is_one_error(
    failing: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(["handlers", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 1
    assert error in printed.err
