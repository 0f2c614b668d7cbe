from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dolittle_cli.main import COMMANDS, load, main

SEES_MODULES = """
import json, sys
sys.argv = ["dolittle", *sys.argv[1:]]
from dolittle_cli.__main__ import run
try:
    run()
finally:
    sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules}
                                       | set(sys.modules))))
"""


def modules_loaded_by(*words: str, environment: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SEES_MODULES, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
        timeout=30,
    )
    return set(json.loads(done.stderr[done.stderr.rindex("[") :]))


def test_version_loads_nothing_heavy() -> None:
    loaded = modules_loaded_by("--version")
    assert not loaded & {"copier", "rich", "msgspec", "starlette", "typer", "dolittle", "asyncio"}


def test_help_imports_no_command() -> None:
    loaded = modules_loaded_by("--help")
    assert "typer" in loaded
    assert not loaded & {"dolittle_cli.commands", "copier", "rich", "msgspec", "starlette"}


def test_completion_of_the_first_word_imports_no_command() -> None:
    environment = {
        "_DOLITTLE_COMPLETE": "complete_bash",
        "COMP_WORDS": "dolittle e",
        "COMP_CWORD": "1",
    }
    loaded = modules_loaded_by(environment=environment)
    assert not loaded & {"dolittle_cli.commands", "copier", "msgspec", "pydantic", "starlette"}


def test_importing_the_framework_loads_nothing_of_the_command_line() -> None:
    code = "import sys; from dolittle import *; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert "msgspec" in done.stdout.split()
    assert not set(done.stdout.split()) & {"typer", "rich", "copier", "jinja2", "tomlkit"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    command = load(name)
    said = (command.help or "").strip().splitlines()[0]
    assert said == COMMANDS[name].help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: dolittle {name}")


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dolittle 0.")


def test_a_command_that_does_not_exist_is_wrong_usage_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["evnts"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: no such command 'evnts'\nhint: did you mean events?\n"


def test_a_command_of_a_group_that_does_not_exist_gets_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["events", "tial"]) == 2
    assert capsys.readouterr().err == ("error: no such command 'tial'\nhint: did you mean tail?\n")


def test_words_that_are_no_utf_8_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "list", "--source", "\udcff"]) == 2
    assert capsys.readouterr().err == "error: '\\udcff' is not UTF-8\n"


def test_an_option_that_does_not_exist_gets_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["events", "list", "--jsno"]) == 2
    assert capsys.readouterr().err == (
        "error: no such option: --jsno\nhint: did you mean --json?\n"
    )


def test_a_value_of_the_wrong_type_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "list", "-n", "many"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: -n many: -n takes a whole number")
    assert hint.endswith("leave -n out, then it is 100; see dolittle events list --help")


@pytest.mark.parametrize("words", [[], ["events"], ["handlers"]])
def test_a_group_without_a_command_shows_its_help_and_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: dolittle")
    assert "Commands:" in printed.err


def test_no_project_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["events", "list"]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: no dolittle.toml in ")
    assert "dolittle new microservice NAME" in hint


def test_a_full_disk_under_stdout_is_one_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dolittle_cli", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device\n")
    assert "Traceback" not in done.stderr


class Unforeseen:
    """Stands in for a command that breaks, or is interrupted, or loses its reader."""

    def __init__(self, error: BaseException) -> None:
        self.app = typer.Typer()
        self.app.callback()(lambda: None)

        @self.app.command("break")
        def break_() -> None:
            raise error


def run_broken(error: BaseException, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setitem(sys.modules, COMMANDS["doctor"].module, Unforeseen(error))
    return main([*options, "doctor", "break"])


def test_an_unforeseen_error_is_one_line_and_says_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_broken(LookupError("over\nthere"), monkeypatch) == 1
    assert capsys.readouterr().err == (
        "error: LookupError: over there\n"
        "hint: repeat with `dolittle --debug …` to see where it comes from\n"
    )


def test_debug_shows_where_an_error_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_broken(LookupError("there"), monkeypatch, "--debug") == 1
    printed = capsys.readouterr().err
    assert "Traceback (most recent call last)" in printed
    assert printed.endswith("error: LookupError: there\n")


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_broken(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_broken(BrokenPipeError(), monkeypatch) == 0
    assert capsys.readouterr().err == ""


def completions(shell: str, *words: str, folder: Path | None = None) -> list[str]:
    line = " ".join(["dolittle", *words])
    environment = {
        **os.environ,
        "_DOLITTLE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dolittle_cli"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=folder,
        timeout=30,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_their_commands_and_options(shell: str) -> None:
    assert "projections" in "\n".join(completions(shell, "pro"))
    assert "verify" in "\n".join(completions(shell, "events", "ver"))
    assert "--follow" in "\n".join(completions(shell, "events", "tail", "--fo"))


def test_data_comes_where_stderr_is_closed(tmp_path: Path) -> None:
    command = f"{sys.executable} -m dolittle_cli new application tacos --dry-run 2>&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "create     tacos/dolittle.toml" in done.stdout
