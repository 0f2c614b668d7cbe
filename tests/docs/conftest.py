"""Types what documents say, as a reader would, and compares what comes out.

In these documents

- a ``console`` block holds commands (``$ …``) and what they print; ``…`` stands for any text in
  a line, and for any lines where it stands alone;
- a ``console second terminal`` block starts a command that goes on, or, without a command,
  holds lines that the last such command prints next, or ``^C``, which ends it;
- a ``python path`` or ``toml path`` block is the whole new text of that file;
- a time and an id stand for any other;
- ``(exit code 1)`` as the last line says how a command ends; where a document is typed with
  ``checks_exit_codes``, every other command ends with 0.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND_S_MAX = 60.0
BACKGROUND_S_MAX = 15.0
MATCHED_BY = {
    "anything": ".*",
    "moment": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?",
    "time": r"\b\d\d:\d\d:\d\d(?:\.\d+)?",
    "id": r"\b[0-9a-f]{32}\b",
}
"""What stands for others of its kind in a document, and what it stands for."""
VARYING = re.compile(
    "|".join(f"(?P<{k}>{'… *' if k == 'anything' else p})" for k, p in MATCHED_BY.items())
)
EXIT_CODE = re.compile(r"\(exit code (\d+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its info string, its text, and the line it begins in."""

    info: str
    text: str
    line: int


@dataclass
class Background:
    """A command in the second terminal, and the lines it has printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    taken: int = 0
    grown: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.grown:
                self.lines.append(line.rstrip("\n"))
                self.grown.notify_all()

    def expect(self, expected: list[str], where: str) -> None:
        """Wait until the expected lines have come, in order; others may stand between them."""
        for wanted in expected:
            if wanted.strip() in ("", "…"):
                continue
            pattern = line_pattern(wanted)
            with self.grown:
                found = self.grown.wait_for(lambda p=pattern: self._find(p), BACKGROUND_S_MAX)
            assert found, f"{where}: {wanted!r} did not come; came:\n" + "\n".join(self.lines)

    def _find(self, pattern: re.Pattern[str]) -> bool:
        for index in range(self.taken, len(self.lines)):
            if pattern.fullmatch(self.lines[index].rstrip()):
                self.taken = index + 1
                return True
        return False


def blocks(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown file."""
    info, start, body = None, 0, []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if line.startswith("```"):
            if info is None:
                info, start, body = line[3:].strip(), number, []
            else:
                yield Block(info, "\n".join(body), start)
                info = None
        elif info is not None:
            body.append(line)


def line_pattern(line: str) -> re.Pattern[str]:
    """Return a pattern for one expected line."""
    line, at, pattern = line.rstrip(), 0, ""
    for found in VARYING.finditer(line):
        pattern += re.escape(line[at : found.start()]) + MATCHED_BY[str(found.lastgroup)]
        at = found.end()
    return re.compile(pattern + re.escape(line[at:]))


def output_pattern(lines: list[str]) -> re.Pattern[str]:
    """Return a pattern for everything that a command prints."""
    parts = [
        r"(?:.*\n)*?" if line.strip() == "…" else line_pattern(line).pattern + r" *\n"
        for line in lines
    ]
    return re.compile("".join(parts))


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of a console block, each with the lines expected of it."""
    command, expected = None, []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command, expected
            command, expected = line[2:], []
        elif command is not None and command.endswith("\\"):
            command = command[:-1] + line.strip()
        else:
            expected.append(line)
    if command is not None:
        yield command, expected


class Reader:
    """Somebody who types a document into two terminals."""

    def __init__(self, folder: Path, name: str, *, checks_exit_codes: bool) -> None:
        self.folder = folder
        self.name = name
        self.checks_exit_codes = checks_exit_codes
        self.background: list[Background] = []
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "COLUMNS": "200",
            # The project's tests run as its owner would run them, without the plug-ins of ours.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        self.environment.pop("PYTHONPATH", None)
        # Else every command compiles all that it imports.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        where = f"{self.name}:{block.line}"
        info = block.info.replace(" hidden", "")  # what the page that is made of it leaves out
        kind, _, rest = info.partition(" ")
        if info == "console":
            for command, expected in commands(block):
                self.type(command, expected, where)
        elif info == "console second terminal":
            if block.text.strip() == "^C":
                self.leave()
                return
            typed = list(commands(block))
            for command, expected in typed:
                self.start(command)
                self.background[-1].expect(expected, where)
            if not typed:
                self.background[-1].expect(block.text.splitlines(), where)
        elif kind in ("python", "toml") and rest:
            path = self.folder / rest
            assert path.parent.is_dir(), f"{where}: {rest} is in no folder of the project"
            path.write_text(block.text + "\n")

    def type(self, command: str, expected: list[str], where: str) -> None:
        """Type a command, wait for its end, and compare what it prints."""
        if command.startswith("cd "):
            self.folder = self.folder / command[3:].strip()
            assert self.folder.is_dir(), f"{where}: {command}"
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_S_MAX,
        )
        exit_code = EXIT_CODE.fullmatch(expected[-1]) if expected else None
        if exit_code:
            expected = expected[:-1]
        if exit_code or self.checks_exit_codes:
            wanted_code = int(exit_code[1]) if exit_code else 0
            assert done.returncode == wanted_code, (
                f"{where}: $ {command}\n--- ends with {done.returncode}\n{done.stdout}"
            )
        if expected:
            printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
            wanted = "\n".join(expected)
            assert output_pattern(expected).fullmatch(printed), (
                f"{where}: $ {command}\n--- the document says\n{wanted}\n--- it prints\n{printed}"
            )

    def start(self, command: str) -> None:
        """Start a command in the second terminal."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env={**self.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.background.append(Background(process))

    def leave(self) -> None:
        """End what goes on in the second terminal, as Ctrl-C would."""
        for background in self.background:
            background.process.send_signal(signal.SIGINT)
            try:
                background.process.wait(BACKGROUND_S_MAX)
            except subprocess.TimeoutExpired:
                background.process.kill()
                background.process.wait()
            background.reading.join(BACKGROUND_S_MAX)
            assert background.process.stdout is not None
            background.process.stdout.close()
        self.background.clear()


@pytest.fixture
def type_document(tmp_path: Path) -> Callable[..., None]:
    """Type all that a document says to type, from the first block to the last."""

    def type_it(document: str, *, checks_exit_codes: bool = False) -> None:
        found = [
            block
            for block in blocks(ROOT / document)
            if block.info.startswith(("console", "python ", "toml "))
        ]
        assert found, f"{document} has no block to type"
        reader = Reader(tmp_path, document, checks_exit_codes=checks_exit_codes)
        try:
            for block in found:
                reader.follow(block)
        finally:
            reader.leave()

    return type_it


@pytest.fixture
def blocks_of() -> Callable[[str], list[Block]]:
    """Read the fenced blocks of a document."""
    return lambda document: [*blocks(ROOT / document)]
