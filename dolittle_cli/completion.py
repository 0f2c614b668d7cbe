"""Writes and installs the script with which a shell completes ``dolittle``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from dolittle_cli.handover import COMPLETING

SHELLS: Final = ("bash", "zsh", "fish")
PARENTS_MAX: Final = 8
"""How many processes up the shell is looked for: behind ``uv run``, ``make`` and the like."""


def prepare() -> Any:
    """Let typer know the shells, before it answers one of them or writes a script.

    Returns:
        ``typer.completion``, of which typer exports nothing and documents the effects only.
    """
    from typer import completion

    module: Any = completion
    module.completion_init()
    return module


def completion_script(shell: str) -> str:
    """Return the script of one of ``SHELLS``."""
    script: str = prepare().get_completion_script(
        prog_name="dolittle", complete_var=COMPLETING, shell=shell
    )
    return script


def install_completion(shell: str) -> Path:
    """Install the script of one of ``SHELLS`` for this user; return where it is."""
    path: Path = prepare().install(shell=shell, prog_name="dolittle", complete_var=COMPLETING)[1]
    return path


def current_shell() -> str:
    """Return the shell that started this process, else the user's login shell.

    Raises:
        CommandLineError: It is none of ``SHELLS``.
    """
    login = Path(os.environ.get("SHELL", "")).name
    for name in (*_parents(os.getppid()), login):
        if name in SHELLS:
            return name
    from dolittle_cli.errors import CommandLineError

    raise CommandLineError(
        f"there is no completion for the shell {login!r}",
        hint=f"there is one for {', '.join(SHELLS)}; for another one than the current: "
        f"{COMPLETING}=source_fish dolittle",
    )


def _parents(process: int) -> list[str]:
    """Return the names of a process and those above it, nearest first (Linux; else none)."""
    names: list[str] = []
    while process > 1 and len(names) < PARENTS_MAX:
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            break
        # Source: proc_pid_stat(5): the name in parentheses, the state, the parent.
        head, _, rest = stat.rpartition(")")
        names.append(head.partition("(")[2])
        process = int(rest.split()[1])
    return names
