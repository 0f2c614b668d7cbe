from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main


def test_types_are_listed_with_how_many_events_there_are(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=4"]) == 0
    capsys.readouterr()
    assert main(["types", "list"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["TYPE", "ID", "GENERATION", "PUBLIC", "EVENTS", "DECLARED"],
        ["DishPrepared", "dish-prepared", "1", "no", "0", "yes"],
        ["OrderTaken", "OrderTaken", "1", "yes", "1", "yes"],
    ]


def test_types_as_json_say_where_they_are_declared(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["types", "list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["types"]
    assert first["type_id"] == "dish-prepared"
    assert second == {
        "type": "OrderTaken",
        "type_id": "OrderTaken",
        "generation": 1,
        "public": True,
        "events": 0,
        "declared": second["declared"],
    }
    path, _, line = second["declared"].rpartition(":")
    assert "class OrderTaken" in Path(path).read_text().splitlines()[int(line) - 1]


def test_a_stored_type_that_is_no_longer_declared_is_listed(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=4"]) == 0
    (kitchen / "kitchen" / "__init__.py").write_text("")
    capsys.readouterr()
    assert main(["types", "list", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)["types"]
    assert (found["type"], found["events"], found["declared"]) == ("OrderTaken", 1, None)


def test_types_need_no_service_that_imports(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "kitchen" / "broken.py").write_text("import nothing_like_this\n")
    assert main(["types", "list"]) == 0
    assert "OrderTaken" in capsys.readouterr().out


def test_no_types_is_said(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kitchen / "kitchen" / "__init__.py").write_text("")
    assert main(["types", "list"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "dolittle add event" in printed.err
