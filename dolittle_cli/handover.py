"""Hands over to the ``dolittle`` of a project's own ``.venv``, when that is another one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HANDED_OVER: Final = "DOLITTLE_HANDED_OVER"
"""Set in the environment once it has happened, so that it happens once."""

COMPLETING: Final = "_DOLITTLE_COMPLETE"
"""Set by the shell while it completes: then this process answers, a second start is too slow."""


def hand_over(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace this process by the project's own ``dolittle``; return if there is nothing to do.

    A ``.venv`` that cannot be started (moved, or of a Python that is gone) is said on stderr, and
    this process goes on.
    """
    if environment.get(HANDED_OVER) or environment.get(COMPLETING):
        return
    program = own_program(_start(argv), Path(sys.prefix))
    if program is None:
        return
    try:
        os.execve(program, [str(program), *argv], {**environment, HANDED_OVER: "1"})
    except OSError as error:
        sys.stderr.write(
            f"warning: {program} cannot be started ({error.strerror}); "
            f"this is the dolittle of {sys.prefix}\n"
        )


def own_program(start: Path, prefix: Path) -> Path | None:
    """Return the ``dolittle`` of the nearest project's ``.venv``, unless it is the running one.

    Args:
        start: The folder to start from; folders above it are searched too, so that the members
            of an application may share its environment.
        prefix: The environment that is running.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        program = folder / ".venv" / "bin" / "dolittle"
        if (folder / "dolittle.toml").is_file() and program.is_file():
            is_running = (folder / ".venv").resolve() == prefix.resolve()
            return None if is_running else program
    return None


def _start(argv: Sequence[str]) -> Path:
    """Return the folder that ``--project`` names, or the current one."""
    for index, word in enumerate(argv):
        if word == "--":
            break
        if word == "--project" and index + 1 < len(argv):
            return Path(argv[index + 1])
        if word.startswith("--project="):
            return Path(word.partition("=")[2])
    return Path()
