r"""Wildcards in names: ``*`` stands for any text, ``?`` for one character, ``\*`` for a star."""

from __future__ import annotations

import re


def has_wildcard(text: str) -> bool:
    """Tell whether a text is a pattern rather than a name."""
    return "*" in text or "?" in text


def wildcard(pattern: str) -> re.Pattern[str]:
    """Return what to ask with ``fullmatch`` whether a name is as a pattern says."""
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif character == "\\":
            parts.append(re.escape(next(characters, "\\")))
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)
