"""The only code that prints: data to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

_BOLD: Final = "\033[1m"
_DIM: Final = "\033[2m"
_GREEN: Final = "\033[32m"
_RED: Final = "\033[31m"
_PLAIN: Final = "\033[0m"
_TINTS: Final = (36, 33, 35, 32, 34, 31)
"""Cyan, yellow, magenta, green, blue, red. Source: ECMA-48, 8.3.117, select graphic rendition."""
_PAINT: Final = re.compile(r"\033\[[0-9;]*m")
"""What paints a text and takes no column."""

_CLEAR_LINE: Final = "\r\033[K"
_CLEAR_BELOW: Final = "\033[J"
"""Source, of this and of the way back up: ECMA-48, 8.3.39 (ED) and 8.3.13 (CPL)."""


class Console:
    """The terminal, or what stands in for it. Holds no state: make one where it is needed.

    Colour only on a terminal, never the only carrier of meaning, and none with ``NO_COLOR``.
    Nothing is wrapped, and nothing is cut but by :meth:`cut`.
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
    def shows_progress(self) -> bool:
        """Whether stderr is a terminal, on which a line can be replaced."""
        return sys.stderr.isatty()

    @property
    def can_redraw(self) -> bool:
        """Whether stdout is a terminal on which lines can be replaced."""
        return self.is_terminal and os.environ.get("TERM") != "dumb"

    @property
    def has_colour(self) -> bool:
        """Whether stdout takes colour. Source of the rule: no-color.org."""
        return (
            self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def data(self, text: str) -> None:
        """Write one line of data to stdout, flushed."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def block(self, data: bytes) -> None:
        """Write whole lines of UTF-8 to stdout at once, flushed: for a great many of them."""
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            # A stand-in that takes text only.
            sys.stdout.write(data.decode())
        else:
            buffer.write(data)
        sys.stdout.flush()

    def json(self, value: Any) -> None:
        """Write one JSON value as one line to stdout, flushed.

        Letters stay as they are, or become JSON's own escapes where stdout cannot take them.
        """
        takes_all = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
        self.data(json.dumps(value, ensure_ascii=not takes_all, separators=(", ", ": ")))

    def note(self, text: str) -> None:
        """Write a text for people to stderr, on lines of its own."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def warning(self, message: str) -> None:
        """Write ``warning: …`` to stderr."""
        self.note(f"warning: {message}")

    def error(self, message: str, hint: str = "") -> None:
        """Write ``error: …`` and ``hint: …`` to stderr."""
        self.note(f"error: {message}")
        if hint:
            self.note(f"hint: {hint}")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        prefixes: Sequence[str] = (),
    ) -> None:
        """Write rows under column titles to stdout; nothing is ever cut.

        On a terminal that the table does not fit into, each row becomes a few lines, one for
        each cell behind its title. Control characters in cells are shown as escapes, so that
        data cannot steer a terminal.

        Args:
            columns: The titles.
            rows: A cell for each column.
            prefixes: What stands before each row, all of one width; may be painted.
        """
        lines = self.table_lines(columns, rows, prefixes=prefixes)
        if self.is_terminal and max(map(width_of, lines)) > shutil.get_terminal_size().columns:
            lines = self.upright_lines(columns, rows, prefixes=prefixes)
        for line in lines:
            self.data(line)

    def upright_lines(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        prefixes: Sequence[str] = (),
    ) -> list[str]:
        """Return the lines of a table in which each cell has a line, and rows stand apart."""
        width = max(map(width_of, columns))
        lines = []
        for number, row in enumerate(rows):
            prefix = prefixes[number] if prefixes else ""
            lines += [prefix.rstrip()] if number else []
            for title, cell in zip(columns, row, strict=True):
                head = self.dim(title.upper()) + " " * (width - width_of(title))
                lines.append(f"{prefix}{head}  {printable(cell)}".rstrip())
        return lines

    def table_lines(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        prefixes: Sequence[str] = (),
    ) -> list[str]:
        """Return what :meth:`table` writes, line by line."""
        cells = [[printable(cell) for cell in row] for row in rows]
        widths = [
            max([width_of(title), *(width_of(row[i]) for row in cells)])
            for i, title in enumerate(columns)
        ]
        header = _row([title.upper() for title in columns], widths)
        lines = [(blank(prefixes[0]) if prefixes else "") + self.bold(header)]
        for number, row in enumerate(cells):
            lines.append((prefixes[number] if prefixes else "") + _row(row, widths))
        return lines

    def redraw(self, lines: Sequence[str], before: Sequence[str]) -> None:
        """Replace lines on a terminal's stdout by others, in place.

        Args:
            lines: What is to be seen now.
            before: What was written last, with the cursor below it; nothing at first. A line
                that is wider than the terminal, as it may be since the terminal has been made
                narrower, takes more than one row.
        """
        columns = max(1, shutil.get_terminal_size().columns)
        rows = sum(max(1, -(-width_of(line) // columns)) for line in before)
        back = f"\033[{rows}F" if rows else ""
        text = "".join(f"{line}\n" for line in lines)
        sys.stdout.write(f"{back}{_CLEAR_BELOW}{text}" if before else text)
        sys.stdout.flush()

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Write names and values, one pair a line, to stdout."""
        width = max((len(name) for name, _ in facts), default=0)
        for name, value in facts:
            self.data(f"{self.dim(name.ljust(width))}  {printable(value)}".rstrip())

    @property
    def columns(self) -> int:
        """How wide the terminal is; 80 where there is none."""
        return shutil.get_terminal_size().columns

    def sentence(self, head: str, text: str, *, is_dim: bool = False) -> None:
        """Write words behind a head to stdout; on a terminal, further lines begin below them."""
        room = self.columns - width_of(head)
        lines = [text]
        if self.is_terminal and width_of(text) > room > 0:
            import textwrap

            lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines):
            shown = self.dim(line) if is_dim else line
            self.data(f"{blank(head) if number else head}{shown}")

    def bold(self, text: str) -> str:
        """Return a text to stand out on a terminal, unchanged elsewhere."""
        return f"{_BOLD}{text}{_PLAIN}" if self.has_colour else text

    def dim(self, text: str) -> str:
        """Return a text to stand back on a terminal, unchanged elsewhere."""
        return f"{_DIM}{text}{_PLAIN}" if self.has_colour else text

    def tinted(self, text: str, number: int) -> str:
        """Return a text in one of a few colours on a terminal, unchanged elsewhere."""
        if not self.has_colour:
            return text
        return f"\033[{_TINTS[number % len(_TINTS)]}m{text}{_PLAIN}"

    def painted_diff(self, line: str) -> str:
        """Return a line of a unified diff, coloured on a terminal: added green, deleted red."""
        if not self.has_colour:
            return line
        if line.startswith(("---", "+++")):
            return f"{_BOLD}{line}{_PLAIN}"
        colour = {"+": _GREEN, "-": _RED, "@": _DIM}.get(line[:1])
        return f"{colour}{line}{_PLAIN}" if colour else line

    def cut(self, kept: str, rest: str) -> str:
        """Return a line of ``kept`` and ``rest``; on a terminal, ``rest`` ends at its edge.

        Elsewhere nothing is cut.
        """
        if not self.is_terminal:
            return f"{kept}{rest}"
        room = shutil.get_terminal_size().columns - width_of(kept)
        if width_of(rest) <= room:
            return f"{kept}{rest}"
        end = 0
        used = 1
        for character in rest:
            used += width_of(character)
            if used > room:
                break
            end += 1
        return f"{kept}{rest[:end]}…" if room > 0 else kept

    def progress(self, text: str) -> None:
        """Replace the line under way on a terminal's stderr; nothing elsewhere. ``""`` clears."""
        if self.shows_progress:
            sys.stderr.write(f"{_CLEAR_LINE}{text}")
            sys.stderr.flush()

    def ask(self, question: str) -> str | None:
        """Ask on stderr; return the answer without spaces, ``None`` at the input's end."""
        line = _answer_to(f"{question} ")
        return line.strip() if line else None

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question on stderr; ``False`` unless answered with y or yes."""
        return _answer_to(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _answer_to(question: str) -> str:
    """Ask and read a line; the first Ctrl-C ends it, which an event loop would keep for later."""
    is_main = threading.current_thread() is threading.main_thread()  # the one that gets signals
    before = signal.signal(signal.SIGINT, signal.default_int_handler) if is_main else None
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline()
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


def counted(count: int, noun: str) -> str:
    """Return a number with what is counted: ``1 event``, ``1,200 events``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def blank(text: str) -> str:
    """Return spaces, as wide as a text that may be painted."""
    return " " * width_of(text)


def printable(text: str) -> str:
    """Return a text with control characters as escapes: it stays one line and steers nothing."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == " "
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - width_of(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def width_of(text: str) -> int:
    """Return how many columns a terminal takes for a text. Source: Unicode Annex 11."""
    if "\033" in text:
        text = _PAINT.sub("", text)
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - marks
