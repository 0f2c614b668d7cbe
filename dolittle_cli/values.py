"""Reads ``name=value`` words, as ``perform`` and ``events append`` take them."""

from __future__ import annotations

from collections.abc import Iterable

from dolittle_cli.errors import WrongUsage


def parse_values(words: Iterable[str]) -> dict[str, str]:
    """Return the values by name; what they mean is decided where they are used.

    Raises:
        WrongUsage: A word has no ``=`` or no name, or a name comes twice.
    """
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise WrongUsage(
                f"{word!r} is no name=value", hint='write it like dish="Bean Blaster Taco"'
            )
        if name in values:
            raise WrongUsage(f"{name!r} is given twice")
        values[name] = value
    return values
