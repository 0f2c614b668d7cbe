"""Makes up a short text that a regular expression matches, where its form allows it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

REPEATS_MAX: Final = 64
"""How often one part is repeated at most; a longer text is nothing to show."""

_PREFERRED: Final = "aA1 -_.@"
_OF_CATEGORIES: Final = {
    "CATEGORY_DIGIT": "1",
    "CATEGORY_WORD": "a",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_NOT_SPACE": "a",
}


def matching_text(pattern: str) -> str | None:
    """Return a text in which a regular expression is found, or ``None`` if none was thought of.

    What is returned was tried; looking around, references to groups and the like are not
    understood, and a text comes out of them only by luck.
    """
    # The standard library's own parser has no public name; without it, nothing is made up.
    parser = getattr(re, "_parser", None)
    if parser is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = _texts(parser.parse(pattern))
    except (re.error, OverflowError, RecursionError, Warning):
        return None
    return found if found is not None and re.search(pattern, found) else None


def _texts(parts: Iterable[Any]) -> str | None:
    texts = [_text(str(operation), argument) for operation, argument in parts]
    return None if None in texts else "".join(text or "" for text in texts)


def _text(operation: str, argument: Any) -> str | None:
    match operation:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL":
            return next(sign for sign in _PREFERRED if ord(sign) != argument)
        case "ANY":
            return "a"
        case "AT":
            return ""
        case "IN":
            return _one_of(argument)
        case "BRANCH":
            return next((t for t in map(_texts, argument[1]) if t is not None), None)
        case "SUBPATTERN":
            return _texts(argument[-1])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _repeated(*argument)
        case "ATOMIC_GROUP":
            return _texts(argument)
        case _:
            return None


def _repeated(least: int, most: Any, parts: Iterable[Any]) -> str | None:
    """Repeat as little as possible, and once where nothing would do as well."""
    if least > REPEATS_MAX:
        return None
    text = _texts(parts)
    return None if text is None else text * (least or min(int(most), 1))


def _one_of(members: list[Any]) -> str | None:
    if str(members[0][0]) == "NEGATE":
        signs = [sign for sign in _PREFERRED if not _is_in(sign, members[1:])]
        return signs[0] if signs else None
    operation, argument = str(members[0][0]), members[0][1]
    if operation == "RANGE":
        return chr(argument[0])
    if operation == "CATEGORY":
        return _OF_CATEGORIES.get(str(argument))
    return chr(argument) if operation == "LITERAL" else None


def _is_in(sign: str, members: list[Any]) -> bool:
    for operation, argument in members:
        match str(operation):
            case "LITERAL" if ord(sign) == argument:
                return True
            case "RANGE" if argument[0] <= ord(sign) <= argument[1]:
                return True
            case "CATEGORY" if _is_of(sign, str(argument)):
                return True
    return False


def _is_of(sign: str, category: str) -> bool:
    is_there = {
        "DIGIT": sign.isdigit(),
        "WORD": sign.isalnum() or sign == "_",
        "SPACE": sign.isspace(),
    }[category.rpartition("_")[2]]
    return is_there != ("_NOT_" in category)
