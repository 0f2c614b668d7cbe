"""``ps``, ``logs`` and ``restart``, against microservices that really run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dolittle.runtime.configuration import load_configuration
from dolittle.testing import HeldClock
from dolittle_cli.main import main
from dolittle_cli.running import FOLDER, noted, running

WAIT_S = 30.0
BAR = "from dolittle import event_type\n\n\n@event_type\nclass DrinkServed:\n    drink: str\n"


@pytest.fixture
def application(kitchen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    bar = tmp_path / "bar"
    (bar / "bar").mkdir(parents=True)
    (bar / "dolittle.toml").write_text('[microservice]\nname = "bar"\n')
    (bar / "bar" / "__init__.py").write_text(BAR)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


def log_of(application: Path, name: str) -> str:
    path = application / name / ".dolittle" / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


@pytest.fixture
def run(application: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Both microservices, running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "run", "--port", "0"],
        cwd=application, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for name in ("bar", "kitchen"):
            wait_for(lambda name=name: "Ctrl-C" in log_of(application, name), name)  # type: ignore[misc]
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["ps", "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_ps_lists_what_runs_and_what_does_not(
    application: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [(item["microservice"], item["is_running"]) for item in listed(capsys)] == [
        ("bar", False),
        ("kitchen", False),
    ]
    assert main(["ps"]) == 0
    assert capsys.readouterr().out.count("not running") == 2


def test_one_is_restarted_and_the_other_goes_on(
    application: Path, run: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    found = listed(capsys)
    assert [(item["microservice"], item["pid"]) for item in found] == [
        ("bar", run.pid),
        ("kitchen", run.pid),
    ]
    assert all(item["url"].startswith("http://127.0.0.1:") for item in found)
    assert main(["restart", "kitchen"]) == 0
    assert f"asked process {run.pid} to restart kitchen" in capsys.readouterr().err
    wait_for(lambda: "serving again" in log_of(application, "kitchen"), "kitchen")
    assert "serving again" not in log_of(application, "bar")
    assert main(["logs", "-n", "1000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split(" ")[0] for line in lines} == {"bar", "kitchen"}
    assert any(line.startswith("kitchen | serving again") for line in lines)
    assert main(["logs", "bar", "--json", "-n", "2"]) == 0
    last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["microservice"] for item in last] == ["bar", "bar"]
    assert "Ctrl-C" in last[-1]["line"]
    run.send_signal(signal.SIGINT)
    run.wait(WAIT_S)
    assert not any(item["is_running"] for item in listed(capsys))
    assert not list((application / "bar" / ".dolittle" / "running").iterdir())


def test_logs_follow_what_comes_and_end_with_the_pipe(
    application: Path, run: subprocess.Popen[bytes]
) -> None:
    following = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "logs", "-f"],
        cwd=application, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert following.stdout is not None
        while "Ctrl-C" not in following.stdout.readline():
            pass
        (application / "bar" / "bar" / "__init__.py").write_text(BAR + "\n")
        while "bar     | changed: bar/__init__.py" not in following.stdout.readline():
            pass
        following.stdout.close()
        assert following.wait(WAIT_S) == 0
        following.stdout = None
    finally:
        following.kill()
        following.communicate()


def test_the_note_of_a_process_that_was_killed_is_not_believed(
    application: Path, run: subprocess.Popen[bytes]
) -> None:
    configuration = load_configuration(application / "bar")
    assert [item.pid for item in running(configuration)] == [run.pid]
    run.kill()
    run.wait(WAIT_S)
    assert list((configuration.data_path / FOLDER).iterdir())
    assert running(configuration) == []
    assert not list((configuration.data_path / FOLDER).glob("*.json"))


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["restart"], 2, "there are several microservices"),
        (["restart", "kitchn"], 1, "there is no microservice 'kitchn'"),
        (["restart", "kitchen"], 1, "kitchen does not run"),
        (["logs", "kitchn"], 1, "there is no microservice 'kitchn'"),
        (["logs", "--since", "yesterday"], 2, "--since 'yesterday' is no time"),
    ],
)
def test_wrong_words_are_refused(
    application: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, error: str
) -> None:
    assert main(words) == code
    assert error in capsys.readouterr().err


def test_no_logs_are_said_to_be_none(application: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--since", "15m"]) == 0
    assert capsys.readouterr().err == "no logs: dolittle run writes them\n"


def test_what_runs_without_reload_is_listed_logged_and_not_restarted(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "run", "--port", "0", "--no-reload"],
        cwd=kitchen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    path = kitchen / ".dolittle" / "logs" / "kitchen.log"
    try:
        wait_for(lambda: path.exists() and "Ctrl-C" in path.read_text(), "kitchen")
        [found] = listed(capsys)
        assert (found["is_running"], found["reloads"]) == (True, False)
        assert main(["restart"]) == 1
        error = capsys.readouterr().err
        assert "kitchen runs with --no-reload, within process" in error
        assert f"hint: end process {process.pid} and start it again" in error
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT_S)
    assert not any(item["is_running"] for item in listed(capsys))


def test_an_application_without_reload_restarts_what_is_named_and_watches_nothing(
    application: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "run", "--port", "0", "--no-reload"],
        cwd=application, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for name in ("bar", "kitchen"):
            wait_for(lambda name=name: "Ctrl-C" in log_of(application, name), name)  # type: ignore[misc]
        assert [item["reloads"] for item in listed(capsys)] == [False, False]
        (application / "bar" / "bar" / "__init__.py").write_text(BAR + "\n\nprint('new code')\n")
        assert main(["restart", "bar"]) == 0
        wait_for(lambda: "serving again" in log_of(application, "bar"), "the restart")
        text = log_of(application, "bar")
        assert "new code" in text
        assert "changed: bar/__init__.py" not in text
        assert "serving again" not in log_of(application, "kitchen")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT_S)


def test_what_is_ephemeral_writes_nothing(kitchen: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dolittle_cli", "run", "--port", "0", "--ephemeral"],
        cwd=kitchen, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        while "Ctrl-C" not in process.stderr.readline():
            pass
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_S)
    assert not (kitchen / ".dolittle").exists()


def test_where_nothing_can_be_noted_a_microservice_runs_all_the_same(kitchen: Path) -> None:
    configuration = load_configuration(kitchen)
    configuration.data_path.mkdir()
    (configuration.data_path / FOLDER).write_text("a file, no folder")
    with noted(configuration, "http://127.0.0.1:1", HeldClock(), reloads=True, can_restart=True):
        assert running(configuration) == []


def test_a_note_is_there_while_the_block_lasts(kitchen: Path) -> None:
    configuration = load_configuration(kitchen)
    with noted(configuration, "http://127.0.0.1:1", HeldClock(), reloads=True, can_restart=True):
        [found] = running(configuration)
        assert (found.microservice, found.url) == ("kitchen", "http://127.0.0.1:1")
    assert running(configuration) == []
    assert not list((configuration.data_path / FOLDER).iterdir())
