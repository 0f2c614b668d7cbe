"""``dolittle remove``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main

DISH = ["add", "event", "DishPrepared", "dish:str", "chef:str"]
HANDLER = ["add", "handler", "Clerk", "--on", "DishPrepared"]


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A microservice with an event and its handler, the current folder."""
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert main(DISH) == 0
    assert main(HANDLER) == 0
    capsys.readouterr()
    return tmp_path / "shop"


def test_what_was_generated_and_nobody_changed_goes(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove", "handler", "Clerk"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "delete     shop/handlers/clerk.py",
        "delete     tests/handlers/test_clerk.py",
    ]
    assert (shop / "shop/handlers/__init__.py").is_file()
    assert main(HANDLER) == 0


def test_what_the_owner_changed_stays_and_is_named(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (shop / "tests/handlers/test_clerk.py").open("a") as file:
        file.write("# mine\n")
    assert main(["remove", "handler", "Clerk", "--force"]) == 0
    assert "test_clerk.py stays: it was changed" in capsys.readouterr().err
    assert not (shop / "shop/handlers/clerk.py").exists()
    assert (shop / "tests/handlers/test_clerk.py").is_file()


def test_a_merged_file_with_the_owners_lines_in_it_stays(shop: Path) -> None:
    path = shop / "shop/events/dish_prepared.py"
    path.write_text(path.read_text().replace("    dish", '    """A dish."""\n\n    dish'))
    assert main([*DISH, "price:int=0"]) == 0
    assert main(["remove", "event", "DishPrepared", "--force"]) == 0
    assert path.is_file()


def test_what_others_import_is_refused_with_who_does(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(shop)
    assert main(["remove", "event", "DishPrepared"]) == 1
    err = capsys.readouterr().err
    assert (
        "the event DishPrepared is built upon by: "
        "shop/handlers/clerk.py:7, tests/handlers/test_clerk.py:8" in err
    )
    assert "or say --force" in err
    assert everything_in(shop) == before
    assert main(["remove", "event", "DishPrepared", "--force"]) == 0
    assert not (shop / "shop/events/dish_prepared.py").exists()


def test_a_relative_import_counts(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["remove", "handler", "Clerk"]) == 0
    (shop / "shop/api.py").write_text("from .events.dish_prepared import DishPrepared\n")
    assert main(["remove", "event", "DishPrepared"]) == 1
    assert "shop/api.py:1" in capsys.readouterr().err


def test_an_environment_in_the_project_does_not_count(shop: Path) -> None:
    assert main(["remove", "handler", "Clerk"]) == 0
    (shop / "env").mkdir()
    (shop / "env/pyvenv.cfg").write_text("")
    (shop / "env/x.py").write_text("import shop.events.dish_prepared\n")
    assert main(["remove", "event", "DishPrepared"]) == 0


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["handler", "Clark"], "there is no handler 'Clark' in shop", "did you mean Clerk?"),
        (["handlr", "Clerk"], "there is no handlr here", "did you mean handler?"),
        (["microservice", "shop"], "there is no microservice here", ""),
        (
            ["event", "Mine"],
            "nothing is remembered of the event Mine in shop/events/mine.py",
            "add",
        ),
    ],
)
def test_what_does_not_exist_or_is_not_remembered_is_refused(
    shop: Path, words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "from dolittle import event_type\n\n\n@event_type\nclass Mine:\n    x: int\n"
    (shop / "shop/events/mine.py").write_text(text)
    before = everything_in(shop)
    assert main(["remove", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert hint in err
    assert everything_in(shop) == before


def test_a_thing_whose_files_were_all_changed_is_not_removed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("shop/handlers/clerk.py", "tests/handlers/test_clerk.py"):
        (shop / path).write_text("mine = 1\n")
    assert main(["remove", "handler", "Clerk"]) == 1
    assert "nothing of the handler Clerk can be removed" in capsys.readouterr().err


def test_a_thing_whose_files_are_gone_is_forgotten(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("shop/handlers/clerk.py", "tests/handlers/test_clerk.py"):
        (shop / path).unlink()
    assert main(["remove", "handler", "Clerk"]) == 0
    assert "it is forgotten" in capsys.readouterr().err
    assert main(["remove", "handler", "Clerk"]) == 2


def test_a_dry_run_changes_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything_in(shop)
    assert main(["remove", "handler", "Clerk", "--dry-run", "--json", "--diff"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["written"] is False
    assert [item["action"] for item in value["files"]] == ["delete", "delete"]
    assert everything_in(shop) == before


def test_an_api_goes_with_what_it_put_into_the_project(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(shop / "shop") | {"": (shop / "pyproject.toml").read_bytes()}
    assert main(["add", "api"]) == 0
    capsys.readouterr()
    assert main(["remove", "api"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "edit       pyproject.toml",
        "delete     shop/api.py",
        "delete     tests/test_api.py",
    ]
    assert everything_in(shop / "shop") | {"": (shop / "pyproject.toml").read_bytes()} == before
    assert main(["undo"]) == 0
    assert "fastapi>=0.115" in (shop / "pyproject.toml").read_text()
    assert (shop / "shop/api.py").is_file()


def test_what_another_file_imports_stays_in_the_project(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", "api"]) == 0
    (shop / "tests/test_mine.py").write_text("from starlette.testclient import TestClient\n")
    text = (shop / "pyproject.toml").read_text()
    (shop / "pyproject.toml").write_text(f"# mine\n{text}")
    assert main(["remove", "api"]) == 0
    assert "pyproject.toml keeps httpx>=0.28: tests/test_mine.py:1 imports it" in (
        capsys.readouterr().err
    )
    after = (shop / "pyproject.toml").read_text()
    assert after == f"# mine\n{text}".replace(', "fastapi>=0.115"', "")


def test_a_dependency_that_was_there_before_or_was_changed_stays_in_the_project(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / "pyproject.toml"
    path.write_text(path.read_text().replace('"ruff>=0.9"', '"ruff>=0.9", "httpx"'))
    assert main(["add", "api"]) == 0
    path.write_text(path.read_text().replace("fastapi>=0.115", "fastapi==0.116"))
    before = path.read_text()
    assert main(["remove", "api"]) == 0
    assert "pyproject.toml keeps fastapi==0.116: you have changed it" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["event"], "which event?"),
        (["api"], "there is no api here"),
        (["ci", "x"], "there is but one ci"),
    ],
)
def test_a_kind_without_names_is_told_from_the_others(
    shop: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["add", "ci"]) == 0
    assert main(["remove", *words]) == 2
    assert message in capsys.readouterr().err
