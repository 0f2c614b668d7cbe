"""Formats a changed module with ruff, where the project has it and had formatted the module."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Ruff:
    """The formatter of a project.

    Attributes:
        program: Its path; empty: there is none, and nothing is changed.
        root: The project's folder, whose settings are used.
        package: The project's own package, which sorts behind all others in imports; named,
            since a module that is renamed is not on disk yet.
    """

    program: str
    root: Path
    package: str

    def tidied(self, path: str, before: str, after: str) -> str:
        """Return a text as ruff formats it, if the text from before was formatted so too.

        Imports are sorted and lines broken as the project's own settings say. Nothing is
        changed where its owner does not format with ruff, or where ruff cannot read the text.

        Args:
            path: Of the file, below the project's folder.
            before: The text that the owner had.
            after: The text that is to be written.
        """
        if not self.program or not after or self._formatted(path, before) != before:
            return after
        return self._formatted(path, after) or after

    def _formatted(self, path: str, text: str) -> str | None:
        own = f"lint.isort.known-first-party=['{self.package}']"
        sort = ["check", "--select", "I", "--fix", "--exit-zero", "--config", own]
        for words in (sort, ["format"]):
            command = [self.program, *words, "--quiet", "--no-cache", "--stdin-filename", path, "-"]
            try:
                done = subprocess.run(
                    command,
                    input=text.encode(),
                    cwd=self.root,
                    capture_output=True,
                    timeout=TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                return None  # a ruff that does not run formats nothing
            if done.returncode:
                return None
            text = done.stdout.decode()
        return text


def find_ruff(root: Path, package: str) -> Ruff:
    """Return the project's own ruff, or the first one on the PATH, or none."""
    own = root / ".venv" / "bin" / "ruff"
    program = str(own) if os.access(own, os.X_OK) else shutil.which("ruff") or ""
    return Ruff(program, root, package)
