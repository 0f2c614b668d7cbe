from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture
def generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Path]:
    """A microservice as it is generated; what is imported from it is forgotten after."""
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert main(["new", "microservice", "diner"]) == 0
    monkeypatch.chdir(tmp_path / "diner")
    capsys.readouterr()
    yield tmp_path / "diner"
    sys.path[:] = path
    for name in list(sys.modules):
        if name.partition(".")[0] == "diner":
            del sys.modules[name]


ADDED = [
    ["event", "DishPrepared", "dish:str", "lines:list[str]", "note:str?"],
    ["event", "DishEaten", "dish:str", "at:datetime"],
    ["aggregate", "Kitchen", "count:int=2", "--command", "prepare_dish=DishPrepared",
     "--command", "eat_dish=DishEaten"],
    ["handler", "Waiter", "--on", "DishPrepared", "--on", "DishEaten"],
    ["projection", "Dishes", "--on", "DishPrepared", "--on", "DishEaten", "--key", "dish"],
]  # fmt: skip


def test_what_is_generated_has_no_findings(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ADDED:
        assert main(["add", *words]) == 0
    capsys.readouterr()
    assert main(["check", "--strict"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nothing was found" in printed.err


def test_an_empty_microservice_can_be_checked_drawn_and_asked(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--strict"]) == 0
    assert "0 event types" in capsys.readouterr().err
    for format in ("mermaid", "dot", "svg", "json"):
        assert main(["graph", "--format", format]) == 0
        assert "nothing is declared yet" in capsys.readouterr().err
    assert main(["explain", "DishPrepared"]) == 1
