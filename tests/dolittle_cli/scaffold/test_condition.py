"""What ``dolittle doctor`` finds in what is remembered of a project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold import render
from dolittle_cli.scaffold.condition import findings

EVENT = "shop/events/dish_prepared.py"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A microservice with an event, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(["add", "event", "DishPrepared", "dish:str"]) == 0
    return tmp_path / "shop"


def found(root: Path) -> list[tuple[str, str]]:
    return [(item.status, item.text) for item in findings(root)]


def test_what_is_well_is_counted(shop: Path) -> None:
    assert found(shop) == [("ok", "2 commands remembered in .dolittle-manifest")]


def test_a_project_without_a_manifest_is_well(shop: Path) -> None:
    shutil.rmtree(shop / ".dolittle-manifest")
    ((status, text),) = found(shop)
    assert (status, "nothing is remembered" in text) == ("ok", True)


def test_each_damaged_record_is_wrong_and_the_others_are_still_looked_at(shop: Path) -> None:
    (shop / ".dolittle-manifest/0001-new-microservice-shop.json").write_text("{")
    statuses = found(shop)
    assert statuses[0][0] == "wrong"
    assert "0001-new-microservice-shop.json" in statuses[0][1]
    assert statuses[1] == ("ok", "1 command remembered in .dolittle-manifest")


def test_a_record_that_was_edited_by_hand_and_can_be_read_is_worth_knowing(shop: Path) -> None:
    path = shop / ".dolittle-manifest/0002-add-event-DishPrepared.json"
    path.write_text(path.read_text().replace('"    dish: str",', '"    meal: str",'))
    assert found(shop)[0][0] == "note"
    assert "is not as it was written" in found(shop)[0][1]


def test_a_command_that_was_killed_is_wrong(shop: Path) -> None:
    (shop / ".dolittle").mkdir()
    (shop / ".dolittle/scaffold-journal.json").write_text("{")
    assert ("wrong", "a command was killed while it changed this project") in found(shop)


def test_a_conflict_that_is_left_is_wrong(shop: Path) -> None:
    path = shop / EVENT
    path.write_text(path.read_text().replace("dish: str", "dish: int"))
    words = ["add", "event", "DishPrepared", "dish:UUID", "--on-conflict", "merge"]
    assert main(words) == 3
    assert ("wrong", f"{EVENT} has a conflict in it") in found(shop)


def test_other_templates_and_stale_ones_are_worth_knowing(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["templates", "eject", "handler"]) == 0
    shutil.copytree(render.templates_folder(), tmp_path / "templates")
    for name in ("event/event.py.jinja", "handler/handler.py.jinja"):
        path = tmp_path / "templates" / name
        path.write_text("# newer\n" + path.read_text())
    monkeypatch.setattr(render, "templates_folder", lambda: tmp_path / "templates")
    texts = [text for status, text in found(shop) if status == "note"]
    assert "event DishPrepared" in texts[0]
    assert "templates handler" in texts[0]
    assert "the shipped template handler/handler.py.jinja has changed" in texts[1]


def test_the_doctor_tells_it(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["doctor"]) == 0
    assert "scaffolding: 2 commands remembered in .dolittle-manifest" in capsys.readouterr().out
