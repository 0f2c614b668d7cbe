"""What a walk through a project does, one step at a time: a command, or an edit of its owner's."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dolittle
from dolittle_cli.main import main

DONE: Final = 0
REFUSED: Final = (1, 2)
CONFLICTS_LEFT: Final = 3
BUG: Final = "repeat with `dolittle --debug"
"""What the command line says of an error that it did not expect."""

COMMAND_S_MAX: Final = 60.0
MANIFEST: Final = ".dolittle-manifest"
REPEATABLE: Final = frozenset({"event", "aggregate", "handler", "projection", "value"})
"""The kinds that ``add`` finds identical when it is typed again."""


class FaultError(Exception):
    """A promise that a walk found broken.

    Attributes:
        kind: Which one, in a word or two: faults of one kind may have one cause.
        text: What was seen.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text
        super().__init__(f"{kind}: {text}")


@dataclass(frozen=True)
class Typed:
    """A command that is typed.

    Attributes:
        words: Behind ``dolittle``.
        version: The version that dolittle says it has, so that an update has something to do.
        then: ``again``: type it once more, nothing may change. ``undo``: take it back, everything
            must be as it was; so it must if it was refused.
    """

    words: tuple[str, ...]
    version: str = dolittle.__version__
    then: str = ""

    def __str__(self) -> str:
        more = f"; then {self.then}" if self.then else ""
        version = f"  # as {self.version}" if self.version != dolittle.__version__ else ""
        return f"dolittle {shlex.join(self.words)}{more}{version}"


@dataclass(frozen=True)
class Edited:
    """An edit: the first ``old`` becomes ``new``; an empty ``old``: ``new`` comes at the end."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"# edit {self.path}: {self.old!r} -> {self.new!r}"


@dataclass(frozen=True)
class Deleted:
    """A file that its owner deletes."""

    path: str

    def __str__(self) -> str:
        return f"# delete {self.path}"


Step = Typed | Edited | Deleted


@dataclass
class Doing:
    """A project, and what was done to it.

    Attributes:
        project: Its folder.
        spawns: Whether every command is a process of its own; else it is called in this one.
        done: The steps, oldest first.
        codes: The exit code of each command.
    """

    project: Path
    spawns: bool = False
    done: list[Step] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def perform(self, step: Step) -> None:
        """Do one step; what is refused is fine, as long as it is refused politely.

        Raises:
            FaultError: A promise was broken.
        """
        self.done.append(step)
        if isinstance(step, Typed):
            self._type(step)
        elif isinstance(step, Edited):
            _edit(self.project / step.path, step)
        else:
            (self.project / step.path).unlink(missing_ok=True)

    def _type(self, step: Typed) -> None:
        before = _texts(self.project) if step.then == "undo" else {}
        code = self.run(step.words, step.version)
        self.codes.append(code)
        if code == CONFLICTS_LEFT:
            back = ("update", "--abort") if step.words[0] == "update" else ("undo",)
            self._must(back, step.version)
        elif code == DONE and step.then == "undo":
            self._undo(step, before)
        elif code == DONE and step.then == "again":
            self._again(step)
        elif step.then == "undo":
            _compare("refused", before, _texts(self.project), str(step))

    def _undo(self, step: Typed, before: dict[str, str]) -> None:
        after = _texts(self.project)
        if after == before:
            return  # nothing was written, so that there is nothing to take back
        self._must(("undo",), step.version)
        _compare("undo", before, _texts(self.project), str(step))

    def _again(self, step: Typed) -> None:
        before = _texts(self.project)
        self._must(step.words, step.version)
        _compare("again", before, _texts(self.project), str(step))

    def _must(self, words: tuple[str, ...], version: str) -> None:
        code = self.run(words, version)
        if code != DONE:
            raise FaultError("refused", f"dolittle {shlex.join(words)} ended with {code}")

    def run(self, words: tuple[str, ...], version: str) -> int:
        """Run a command; return its exit code.

        Raises:
            FaultError: It ended with an error that is no answer to what was typed.
        """
        run = _spawn if self.spawns else _call
        code, err = run(self.project, words, version)
        if code not in (DONE, *REFUSED, CONFLICTS_LEFT) or BUG in err or "Traceback" in err:
            raise FaultError("crash", f"dolittle {shlex.join(words)} ended with {code}:\n{err}")
        return code


def make_project(folder: Path, *, example: bool) -> Path:
    """Make the microservice that a walk begins with; return its folder."""
    words = ["new", "microservice", "cafe", "--into", str(folder)]
    code, err = _caught(lambda: main([*words, *(("--example", "kitchen") if example else ())]))
    if code:
        raise FaultError("new", err)
    return folder / "cafe"


def _call(project: Path, words: tuple[str, ...], version: str) -> tuple[int, str]:
    before = dolittle.__version__
    dolittle.__version__ = version
    try:
        return _caught(lambda: main([*words, "--project", str(project)]))
    finally:
        dolittle.__version__ = before


def _caught(run: Callable[[], int]) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = run()
    return code, err.getvalue()


def _spawn(project: Path, words: tuple[str, ...], _: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "dolittle_cli", *words],
        cwd=project,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=COMMAND_S_MAX,
        check=False,
    )
    return done.returncode, done.stderr


def _edit(path: Path, step: Edited) -> None:
    text = path.read_text() if path.exists() else None
    if text is None or step.old not in text:
        return  # while a walk is made shorter, what an edit was about may be gone
    path.write_text(text.replace(step.old, step.new, 1) if step.old else text + step.new)


def _texts(project: Path) -> dict[str, str]:
    return {
        path.relative_to(project).as_posix(): path.read_text()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _compare(kind: str, before: dict[str, str], after: dict[str, str], step: str) -> None:
    differ = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    if differ:
        raise FaultError(kind, f"{step}: these differ: {', '.join(differ)}")


def words_in(text: str) -> set[str]:
    """Return the names in a text."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
