"""The only code that prints: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any


class Console:
    """The terminal, or what stands in for it. Holds no state: make one where it is needed.

    Colour only on a terminal, never the only carrier of meaning, and none with ``NO_COLOR``.
    """

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether a person can be asked: stdin and stderr are terminals."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def has_colour(self) -> bool:
        """Whether stdout takes colour."""
        return (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def data(self, text: str) -> None:
        """Write one line of data to stdout, flushed."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        """Write one JSON value as one line to stdout, flushed."""
        self.data(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))

    def note(self, text: str) -> None:
        """Write one line for people to stderr."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def error(self, message: str, hint: str = "") -> None:
        """Write ``error: …`` and ``hint: …`` to stderr."""
        self.note(f"error: {message}")
        if hint:
            self.note(f"hint: {hint}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under column titles to stdout; nothing is ever cut."""
        widths = [max([len(c), *(len(row[i]) for row in rows)]) for i, c in enumerate(columns)]
        for row in (columns, *rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.data(line.rstrip())

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question on stderr; ``False`` unless answered with y or yes."""
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
