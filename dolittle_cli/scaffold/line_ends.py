"""How the lines of a file end; a text is planned and merged with newlines, whatever its file has.

A file all of whose lines end with a carriage return and a newline, as on Windows, keeps that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

CRLF: Final = "\r\n"


def is_crlf(text: str) -> bool:
    """Tell whether every line of a text ends with a carriage return and a newline."""
    count = text.count(CRLF)
    return count > 0 and count == text.count("\n") == text.count("\r")


def with_newlines(text: str) -> str:
    """Return a text with plain newlines; one whose lines end in several ways is left as it is."""
    return text.replace(CRLF, "\n") if is_crlf(text) else text


def with_crlf(text: str) -> str:
    """Return a text with plain newlines as a file keeps it whose lines end with both."""
    return text.replace("\n", CRLF)


def has_crlf(path: Path) -> bool:
    """Tell whether every line of a file ends so; not if there is none, or it is no text."""
    try:
        return is_crlf(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError):
        return False
