"""Query parameters: their types, their limits, and what is said about those that do not exist."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import QueryParams

from dolittle.errors import suggest
from dolittle.runtime.http.problems import BadParameter
from dolittle.store import END

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
"""Items of one page."""

TIMEOUT_DEFAULT_S: Final = 5.0
TIMEOUT_MAX_S: Final = 60.0


def only(query: QueryParams, known: Collection[str]) -> None:
    """Refuse parameters that a route does not have, so that a typing error is no silent filter.

    Raises:
        BadParameter: There is one.
    """
    for name in query:
        if name not in known:
            raise BadParameter(f"there is no query parameter {name!r}", hint=suggest(name, known))


def position(query: QueryParams, name: str, default: int) -> int:
    """Return a position, from 0.

    Raises:
        BadParameter: It is none.
    """
    return _whole(query, name, default, 0, END)


def limit(query: QueryParams) -> int:
    """Return how many items a page may have, 1 to ``LIMIT_MAX``.

    Raises:
        BadParameter: It is no such number.
    """
    return _whole(query, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX)


def timeout_s(query: QueryParams) -> float:
    """Return how long to wait, in seconds, 0 to ``TIMEOUT_MAX_S``.

    Raises:
        BadParameter: It is no such number.
    """
    text = query.get("timeout")
    if text is None:
        return TIMEOUT_DEFAULT_S
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= TIMEOUT_MAX_S:
        raise BadParameter(
            f"timeout={text!r} is no number of seconds that is waited",
            hint=f"0 to {TIMEOUT_MAX_S:g}",
        )
    return value


def _whole(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # isdecimal() alone would take the digits of every script.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        raise _no_number(name, text, least, most)
    value = int(text)
    if not least <= value <= most:
        raise _no_number(name, text, least, most)
    return value


def _no_number(name: str, text: str, least: int, most: int) -> BadParameter:
    return BadParameter(
        f"{name}={text!r} is no number that can be used", hint=f"a whole number, {least} to {most}"
    )
