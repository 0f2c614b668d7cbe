"""``dolittle new``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dolittle.runtime.configuration import load_application, load_configuration
from dolittle_cli.commands.new import wheel_command
from dolittle_cli.main import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_a_microservice_is_made_and_the_next_commands_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "microservice", "order-desk"]) == 0
    out, err = capsys.readouterr()
    made = {line.split()[1] for line in out.splitlines()}
    made.add("order-desk/.dolittle-manifest/0001-new-microservice-order-desk.json")
    assert made == {str(p.relative_to(here)) for p in here.rglob("*") if p.is_file()}
    assert all(line.startswith("create     order-desk/") for line in out.splitlines())
    assert "order-desk/order_desk/events/__init__.py" in made
    assert err.splitlines()[:3] == [
        "next: cd order-desk",
        "next: dolittle add event DishPrepared dish:str chef:str",
        "next: dolittle run",
    ]
    configuration = load_configuration(here / "order-desk")
    assert (configuration.name, configuration.package) == ("order-desk", "order_desk")


def test_no_file_holds_a_path_of_this_machine(here: Path) -> None:
    assert main(["new", "microservice", "kitchen", "--example", "kitchen"]) == 0
    checkout = Path(__file__).parents[3]
    for path in (here / "kitchen").rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert str(here) not in text
            assert str(checkout) not in text


def test_the_example_says_how_to_use_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "microservice", "bistro", "--example", "kitchen"]) == 0
    err = capsys.readouterr().err
    assert (
        'next: dolittle perform Kitchen "Dolittle Tacos" prepare_dish dish="Bean Blaster Taco"'
        in err
    )
    assert (here / "bistro" / "bistro" / "aggregates" / "kitchen.py").is_file()


def test_the_same_command_again_finds_everything_identical(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["new", "microservice", "kitchen", "--example", "kitchen"]
    assert main(command) == 0
    before = everything_in(here)
    created = capsys.readouterr().out
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out == created.replace("create   ", "identical")
    assert "everything was there already" in err
    assert everything_in(here) == before


@pytest.mark.parametrize(
    "command",
    [
        ["new", "microservice", "kitchen"],
        ["new", "microservice", "kitchen", "--example", "kitchen"],
        ["new", "application", "kitchen"],
    ],
)
def test_a_dry_run_shows_exactly_what_is_then_written(
    here: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["written"] is False
    assert main([*command, "--dry-run"]) == 0
    shown, err = capsys.readouterr()
    assert "nothing was written" in err
    assert list(here.iterdir()) == []
    assert main(command) == 0
    assert capsys.readouterr().out == shown
    assert planned["root"] == str(here / "kitchen")
    written = {
        str(path.relative_to(here / "kitchen")): path.read_text()
        for path in (here / "kitchen").rglob("*")
        if path.is_file()
    }
    shown_files = [*planned["files"], *planned["manifest"]]
    assert {item["path"]: item["text"] for item in shown_files} == written


def test_into_puts_it_elsewhere_and_makes_the_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "microservice", "kitchen", "--into", "a b/c"]) == 0
    assert (here / "a b" / "c" / "kitchen" / "dolittle.toml").is_file()
    assert "next: cd 'a b/c/kitchen'" in capsys.readouterr().err


def test_an_empty_folder_may_be_there_already(here: Path) -> None:
    (here / "kitchen").mkdir()
    assert main(["new", "microservice", "kitchen"]) == 0


def test_the_generated_project_is_complete_as_toml(here: Path) -> None:
    assert main(["new", "microservice", "order-desk"]) == 0
    project = tomllib.loads((here / "order-desk" / "pyproject.toml").read_text())
    assert project["project"]["name"] == "order-desk"
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["order_desk"]
    assert project["project"]["dependencies"][0].startswith("dolittle-cli>=")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["Kitchen"], "'Kitchen' is no name for a microservice", ": kitchen"),
        (["1kitchen"], "is no name for a microservice", "order-desk"),
        (["class"], "'class' is a word of Python", "class-service"),
        (["json"], "Python itself has a module 'json'", "json-service"),
        (["dolittle"], "installed distribution has a package 'dolittle'", "dolittle-service"),
        (["../kitchen"], "is no name for a microservice", "--into"),
        (["/kitchen"], "is no name for a microservice", "--into"),
        (["taken"], "folder taken exists already; nothing was written", "another name"),
        (["file"], "file exists, and is no folder", "another name"),
        (["shout"], "differs only in upper and lower case", "another name"),
        (["x", "--into", "file"], "this is no folder", "name a folder"),
        (["x", "--into", "taken"], "is inside the microservice", "--into"),
        (["x", "--into", "taken/deep"], "is inside the microservice", "--into"),
        (["x", "--into", "shop/deep"], "stands directly in its folder", "--into"),
        (["x", "--example", "kichen"], "no example 'kichen'", "did you mean kitchen?"),
        ([], "missing argument 'NAME'", "--help"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_written(
    here: Path,
    words: list[str],
    message: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "taken" / "deep").mkdir(parents=True)
    (here / "taken" / "dolittle.toml").write_text('[microservice]\nname = "taken"\n')
    (here / "shop" / "deep").mkdir(parents=True)
    (here / "shop" / "dolittle.toml").write_text('[application]\nname = "shop"\n')
    (here / "file").write_text("")
    (here / "SHOUT").mkdir()
    before = everything_in(here)
    assert main(["new", "microservice", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error, told = err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert told.startswith("hint: ")
    assert hint in told
    assert everything_in(here) == before


def test_a_microservice_that_was_changed_gets_back_only_what_is_missing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "microservice", "kitchen"]) == 0
    (here / "kitchen" / "README.md").write_text("mine\n")
    (here / "kitchen" / "Dockerfile").unlink()
    capsys.readouterr()
    assert main(["new", "microservice", "kitchen"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "create     kitchen/Dockerfile" in out
    assert "identical  kitchen/README.md" in out
    assert (here / "kitchen" / "README.md").read_text() == "mine\n"


def test_an_application_takes_in_microservices_without_being_edited(here: Path) -> None:
    assert main(["new", "application", "restaurant"]) == 0
    before = everything_in(here / "restaurant")
    assert main(["new", "microservice", "kitchen", "--into", "restaurant"]) == 0
    os.chdir(here / "restaurant")
    assert main(["new", "microservice", "bar"]) == 0
    application = load_application(here / "restaurant")
    assert application.name == "restaurant"
    assert [member.name for member in application.members] == ["bar", "kitchen"]
    after = everything_in(here / "restaurant")
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Shop"], "is no name for an application"),
        (["x", "--into", "shop"], "is inside the project"),
        (["taken"], "exists already"),
    ],
)
def test_wrong_input_for_an_application_is_refused(
    here: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "application", "shop"]) == 0
    (here / "taken").mkdir()
    (here / "taken" / "file").write_text("")
    before = everything_in(here)
    capsys.readouterr()
    assert main(["new", "application", *words]) == 2
    assert message in capsys.readouterr().err
    assert everything_in(here) == before


def test_a_broken_file_of_the_folder_above_is_named_with_its_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "dolittle.toml").write_text("[application]\nname = \n")
    assert main(["new", "microservice", "kitchen"]) == 1
    assert "dolittle.toml:2:" in capsys.readouterr().err


def test_without_a_subcommand_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new"]) == 2
    assert "microservice" in capsys.readouterr().err
    assert main(["new", "microservise", "x"]) == 2
    assert "did you mean microservice?" in capsys.readouterr().err


def test_the_help_of_new_does_not_import_copier() -> None:
    code = (
        "import sys; from dolittle_cli.main import main; main(['new', 'microservice', '--help']); "
        "sys.exit('copier' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=60, stdout=subprocess.DEVNULL
    )
    assert done.returncode == 0


def test_a_folder_that_cannot_be_written_to_is_an_error_and_stays_as_it_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0:
        into = Path("/proc")  # not even root can make a folder there
    else:
        into = here / "locked"
        into.mkdir(mode=0o500)
    assert main(["new", "microservice", "kitchen", "--into", str(into)]) == 1
    err = capsys.readouterr().err
    assert "error: cannot write" in err
    assert "nothing was changed" in err
    assert "hint: " in err


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///a/b%20c", "dir_info": {"editable": True}}, "pip wheel {} '/a/b c'"),
        ({"url": "file:///a/x-1.whl", "archive_info": {}}, "cp /a/x-1.whl wheels/"),
        ({"url": "https://x/x-1.whl", "archive_info": {}}, "pip wheel {} https://x/x-1.whl"),
        (
            {"url": "https://x/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip wheel {} git+https://x/x@abc",
        ),
    ],
)
def test_the_wheel_comes_from_where_dolittle_was_installed_from(
    origin: dict[str, object], command: str
) -> None:
    assert wheel_command(origin) == command.format("--no-deps -w wheels")
