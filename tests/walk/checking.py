"""Checks a generated project as its owner does: format, lint, strict types, tests; many a minute.

Most of the time of a check is that of starting mypy and pytest. A server starts them once, and
forks for each check, so that every check runs in a fresh process all the same.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from tests.walk.steps import FaultError

CHECK_S_MAX: Final = 120
RUFF: Final = {
    "ruff check": ["check", "--no-cache"],
    "ruff format": ["format", "--check", "--diff", "--no-cache"],
}
PYTEST: Final = (
    "-q", "-p", "no:cacheprovider", "-W", "error",
    "-o", "asyncio_default_fixture_loop_scope=function",
)  # fmt: skip
FORKED: Final = ("mypy", "pytest")


class Checker:
    """Checks projects, one at a time; to be used with ``with``.

    Attributes:
        folder: For files that last as long as the checker.
    """

    folder: Path

    def __enter__(self) -> Self:
        """Start the server."""
        self._temporary = tempfile.TemporaryDirectory(prefix="walk-checks-")
        self.folder = Path(self._temporary.name)
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "MYPY_CACHE_DIR": str(self.folder / "mypy"),
        }
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.walk.checking", str(self.folder)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()
        self._temporary.cleanup()

    def check(self, project: Path) -> None:
        """Run everything that a project is checked with by its owner.

        Raises:
            FaultError: A check failed.
        """
        for kind, words in RUFF.items():
            done = subprocess.run(
                [str(Path(sysconfig.get_path("scripts")) / "ruff"), *words],
                cwd=project,
                capture_output=True,
                text=True,
                timeout=CHECK_S_MAX,
                check=False,
            )
            if done.returncode:
                raise FaultError(kind, done.stdout + done.stderr)
        _stamp(project)
        for kind in FORKED:
            code, text = self._ask(kind, project)
            if code:
                raise FaultError(kind, text)

    def _ask(self, kind: str, project: Path) -> tuple[int, str]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps([kind, str(project)]) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError("the server of checks has ended")
        code, text = json.loads(answer)
        return code, text


def _stamp(project: Path) -> None:
    """Give each module a time that follows from its text.

    mypy takes a module for unchanged if its name, size and time in whole seconds are as they
    were, and walks are faster than that.
    """
    for path in project.rglob("*.py"):
        stamp = zlib.crc32(path.read_bytes()) >> 1  # 31 bits: a time that every file system keeps
        os.utime(path, (stamp, stamp))


def serve(folder: Path, requests: IO[str], answers: IO[str]) -> None:
    """Answer each line of requests with the exit code and the output of a check.

    Args:
        folder: For files of the server's own.
        requests: Lines of JSON: which check, and the project's folder.
        answers: Where lines of JSON go: the exit code, and the output.
    """
    _warm_up(folder)
    run = {"mypy": _mypy, "pytest": _pytest}
    for line in requests:
        kind, project = json.loads(line)
        answers.write(json.dumps(_forked(run[kind], Path(project), folder)) + "\n")
        answers.flush()


def _warm_up(folder: Path) -> None:
    """Import what the checks import, but nothing of a project."""
    import mypy.api  # noqa: F401
    import pytest

    import dolittle.runtime.microservice
    import dolittle.testing  # noqa: F401

    empty = folder / "empty"
    empty.mkdir()
    with contextlib.chdir(empty), contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*PYTEST])
    # What is here is never garbage, and not to look at it keeps its memory shared.
    gc.collect()
    gc.freeze()


def _forked(run: Callable[[], int], project: Path, folder: Path) -> tuple[int, str]:
    """Run a check in a process of its own; return its exit code and output."""
    output = folder / "output"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            signal.alarm(CHECK_S_MAX)
            with output.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(project)
            code = run()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), output.read_text(errors="replace")


def _mypy() -> int:
    import mypy.api

    out, err, code = mypy.api.run([])
    sys.stdout.write(out + err)
    return code


def _pytest() -> int:
    import pytest

    sys.path[0] = str(Path.cwd())  # as with python -m pytest
    return int(pytest.main([*PYTEST]))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin, sys.stdout)
