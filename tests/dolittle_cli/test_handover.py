from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle_cli.handover import own_program


def make_project(folder: Path, *, with_program: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dolittle.toml").write_text('[microservice]\nname = "kitchen"\n')
    program = folder / ".venv" / "bin" / "dolittle"
    if with_program:
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\necho "own: $*"\nexit 7\n')
        program.chmod(0o755)
    return program


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dolittle_cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=30,
    )


def test_the_own_program_of_a_project_is_found_from_a_folder_below(tmp_path: Path) -> None:
    program = make_project(tmp_path / "kitchen")
    below = tmp_path / "kitchen" / "kitchen" / "events"
    below.mkdir(parents=True)
    assert own_program(below, Path("/elsewhere")) == program


def test_members_of_an_application_share_its_program(tmp_path: Path) -> None:
    program = make_project(tmp_path / "restaurant")
    make_project(tmp_path / "restaurant" / "kitchen", with_program=False)
    assert own_program(tmp_path / "restaurant" / "kitchen", Path("/elsewhere")) == program


def test_the_running_environment_is_not_handed_over_to_itself(tmp_path: Path) -> None:
    make_project(tmp_path)
    assert own_program(tmp_path, tmp_path / ".venv") is None


def test_a_venv_outside_of_a_project_is_left_alone(tmp_path: Path) -> None:
    make_project(tmp_path)
    (tmp_path / "dolittle.toml").unlink()
    assert own_program(tmp_path, Path("/elsewhere")) is None


def test_a_project_with_an_own_dolittle_is_served_by_it(tmp_path: Path) -> None:
    make_project(tmp_path)
    done = run(tmp_path, "events", "list", "-n", "3")
    assert (done.stdout, done.returncode) == ("own: events list -n 3\n", 7)


@pytest.mark.parametrize("words", [["--project", "kitchen"], ["--project=kitchen"]])
def test_the_project_that_is_named_counts(tmp_path: Path, words: list[str]) -> None:
    make_project(tmp_path / "kitchen")
    done = run(tmp_path, "types", "list", *words)
    assert done.stdout == f"own: types list {' '.join(words)}\n"


def test_it_is_handed_over_once(tmp_path: Path) -> None:
    make_project(tmp_path)
    done = run(tmp_path, "events", "list", DOLITTLE_HANDED_OVER="1")
    assert "own:" not in done.stdout


def test_version_is_that_of_the_program_that_was_called(tmp_path: Path) -> None:
    make_project(tmp_path)
    assert run(tmp_path, "--version").stdout.startswith("dolittle ")


def test_a_program_that_cannot_be_started_is_said_and_left_out(tmp_path: Path) -> None:
    program = make_project(tmp_path)
    program.write_text("#!/nowhere/python\n")
    done = run(tmp_path, "events", "list")
    assert done.stderr.startswith(f"warning: {program} cannot be started")
    assert done.returncode == 0
