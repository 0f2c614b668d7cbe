from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle_cli.completion import SHELLS, completion_script
from dolittle_cli.main import main


def run_in_shell(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    program = home / "bin" / "dolittle"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dolittle_cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [shutil.which("bash") or "bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    script = completion_script(shell)
    assert "_DOLITTLE_COMPLETE=complete_" in script
    assert "dolittle" in script


def test_bash_completes_with_the_script_that_is_shown(tmp_path: Path) -> None:
    done = run_in_shell(
        'eval "$(dolittle --show-completion)"\n'
        "COMP_WORDS=(dolittle events ta)\nCOMP_CWORD=2\n"
        "_dolittle_completion dolittle\necho ${COMPREPLY[@]}\ntrue",
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("tail\n", "")


def test_installing_adds_the_script_to_the_users_shell(tmp_path: Path) -> None:
    done = run_in_shell("dolittle --install-completion\ntrue", tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""
    installed = tmp_path / ".bash_completions" / "dolittle.sh"
    assert str(installed) in done.stderr
    assert "_dolittle_completion" in installed.read_text()
    assert str(installed) in (tmp_path / ".bashrc").read_text()


def test_a_shell_without_completion_is_an_error_that_names_those_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert main(["--show-completion"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: there is no completion for the shell 'tcsh'\n")
    assert "bash, zsh, fish" in printed.err


def test_without_a_shell_above_the_login_shell_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["--show-completion"]) == 0
    assert capsys.readouterr().out.startswith("complete --command dolittle")
