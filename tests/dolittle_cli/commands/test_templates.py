"""``dolittle templates``, and a project's own templates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dolittle_cli.main import main
from dolittle_cli.scaffold import render

OWN = "dolittle-templates/event/event.py.jinja"


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A new microservice, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    capsys.readouterr()
    return tmp_path / "shop"


@pytest.fixture
def newer(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, with its own template of an event and a shipped one that has changed since."""
    assert main(["templates", "eject", "event"]) == 0
    shutil.copytree(render.templates_folder(), tmp_path / "templates")
    path = tmp_path / "templates/event/event.py.jinja"
    path.write_text(path.read_text().replace("The event type", "Newly: the event type"))
    monkeypatch.setattr(render, "templates_folder", lambda: tmp_path / "templates")
    return shop


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert main(["templates", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["templates"]
    return {row["template"]: row["status"] for row in rows}


def test_all_kinds_are_listed_also_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = listed(capsys)
    assert found["event/event.py.jinja"] == found["handler/test.py.jinja"] == "shipped"
    assert not any(name.startswith(("microservice/", "application/")) for name in found)
    assert main(["templates", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["KIND", "TEMPLATE", "STATUS"]


def test_an_ejected_template_wins(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "eject", "event"]) == 0
    assert f"create     {OWN}" in capsys.readouterr().out
    assert listed(capsys)["event/event.py.jinja"] == "own"
    path = shop / OWN
    path.write_text(path.read_text().replace("The event type", "Our event type"))
    assert main(["add", "event", "DishPrepared", "dish:str"]) == 0
    text = (shop / "shop/events/dish_prepared.py").read_text()
    assert text.startswith('"""Our event type DishPrepared."""')


def test_an_own_template_that_is_changed_is_brought_into_what_it_made(shop: Path) -> None:
    assert main(["add", "event", "DishPrepared", "dish:str"]) == 0
    assert main(["templates", "eject", "event"]) == 0
    assert main(["update", "--check"]) == 0
    path = shop / OWN
    path.write_text(path.read_text().replace("The event type", "Our event type"))
    assert main(["update", "--check"]) == 2
    assert main(["update"]) == 0
    assert '"""Our event' in (shop / "shop/events/dish_prepared.py").read_text()


def test_a_template_is_ejected_once_and_then_identical(shop: Path) -> None:
    assert main(["templates", "eject", "event"]) == 0
    path = shop / OWN
    path.write_text(path.read_text().replace("The event type", "Our event type"))
    before = path.read_text()
    assert main(["templates", "eject", "event"]) == 0
    assert path.read_text() == before


def test_a_stale_template_is_said_and_merged_by_an_update(
    newer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = newer / OWN
    path.write_text(path.read_text() + "\n# ours\n")
    assert listed(capsys)["event/event.py.jinja"] == "stale"
    assert main(["add", "event", "DishPrepared", "dish:str"]) == 0
    assert (
        "warning: the shipped template event/event.py.jinja has changed since"
        in capsys.readouterr().err
    )
    assert main(["update"]) == 0
    assert "Newly: the event type" in path.read_text()
    assert path.read_text().endswith("\n# ours\n")
    assert listed(capsys)["event/event.py.jinja"] == "own"


def test_ejecting_is_taken_back_by_undo(shop: Path) -> None:
    assert main(["templates", "eject", "event"]) == 0
    assert main(["undo"]) == 0
    assert not (shop / "dolittle-templates").exists()


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("evnt", "there is no kind 'evnt'", "did you mean event?"),
        ("microservice", "made before there is a project", "--template"),
        ("../event", "there is no kind '../event'", ""),
    ],
)
def test_what_cannot_be_ejected_is_refused(
    shop: Path, kind: str, message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["templates", "eject", kind]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert hint in err
    assert not (shop / "dolittle-templates").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% if %}", "dolittle-templates/event/event.py.jinja:1: "),
        ("{{ nothing_of_this_name }}", "'nothing_of_this_name' is undefined"),
    ],
)
def test_an_own_template_that_is_broken_is_named_and_nothing_is_written(
    shop: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["templates", "eject", "event"]) == 0
    (shop / OWN).write_text(text)
    capsys.readouterr()
    assert main(["add", "event", "DishPrepared"]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "mend the template, or delete it" in err
    assert not (shop / "shop/events/dish_prepared.py").exists()
