"""Checks the names that people give to what is generated, and derives file names from them."""

from __future__ import annotations

import builtins
import importlib.machinery
import keyword
import re
import sys
import sysconfig
from collections.abc import Collection
from typing import Final

import dolittle
from dolittle_cli.errors import WrongUsage

NAME_CHARACTERS_MAX: Final = 40
"""Characters of a name, so that a generated line with two of them still fits on a screen."""

TYPE_NAMES: Final = frozenset(
    {"str", "int", "float", "bool", "date", "datetime", "list", "dict", "Decimal", "UUID"}
)
"""What fields are made of; a field of such a name would hide the type in its class."""

_CLASS: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_SNAKE: Final = re.compile(r"[a-z][a-z0-9_]*")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_FOLDERS: Final = frozenset({"tests", "wheels", "build", "dist"})
_USED_IN_GENERATED_CODE: Final = frozenset({*dolittle.__all__, "Decimal", "UUID", "UTC", "StrEnum"})


def snake(name: str) -> str:
    """Return a class name in lower case with underscores: ``DishPrepared`` → ``dish_prepared``."""
    parted = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parted).lower()


def pascal(name: str) -> str:
    """Return a name as that of a class: ``dish_prepared`` → ``DishPrepared``; may be empty."""
    parts = re.findall(r"[A-Za-z0-9]+", name)
    return "".join(part[0].upper() + part[1:] for part in parts).lstrip("0123456789")


def words(name: str) -> str:
    """Return a name in words: ``DishPrepared`` and ``dish_prepared`` → ``dish prepared``."""
    return snake(name).replace("_", " ").strip()


def check_class_name(kind: str, name: str) -> None:
    """Refuse what cannot name a generated class.

    Args:
        kind: What is named, for the message: ``event``, ``aggregate`` …
        name: Should be like ``DishPrepared``.

    Raises:
        WrongUsage: It is no such name, too long, a keyword, or means something already.
    """
    if not _CLASS.fullmatch(name):
        better = pascal(name)
        hint = "write it like a class: DishPrepared"
        if _CLASS.fullmatch(better) and not _is_path(name):
            hint = f"write it like a class: {better}"
        raise WrongUsage(f"{name!r} is no name for {_article(kind)} {kind}", hint=hint)
    _check_length(kind, name)
    module = snake(name)
    if keyword.iskeyword(name) or keyword.iskeyword(module):
        raise WrongUsage(
            f"{name!r} cannot name {_article(kind)} {kind}: {module!r} is a word of Python",
            hint=f"say more, e.g. {name}Made" if kind == "event" else f"say more, e.g. My{name}",
        )
    if name in _USED_IN_GENERATED_CODE or hasattr(builtins, name):
        raise WrongUsage(
            f"the name {name!r} has a meaning already, in Python or in dolittle",
            hint="take a name from your own domain",
        )


def check_service_name(kind: str, name: str) -> None:
    """Refuse what cannot name a microservice or an application.

    Raises:
        WrongUsage: It is no such name, or too long.
    """
    if not _SERVICE.fullmatch(name):
        better = words(name).replace(" ", "-")
        hint = "use lower-case letters, digits, - and _: order-desk"
        if _SERVICE.fullmatch(better) and not _is_path(name):
            hint = f"use lower-case letters, digits, - and _: {better}"
        elif _is_path(name):
            hint = f"give a name alone, and the folder to put it in with --into: {hint}"
        raise WrongUsage(f"{name!r} is no name for {_article(kind)} {kind}", hint=hint)
    _check_length(kind, name)


def package_of(name: str) -> str:
    """Return the package of a microservice: ``order-desk`` → ``order_desk``.

    Raises:
        WrongUsage: Python or an installed distribution has a package of this name, or the
            project needs a folder of this name for something else.
    """
    package = name.replace("-", "_")
    hint = f"take another name, e.g. {name}-service"
    if keyword.iskeyword(package):
        raise WrongUsage(
            f"{name!r} cannot name a package: {package!r} is a word of Python", hint=hint
        )
    if package in sys.stdlib_module_names:
        raise WrongUsage(f"Python itself has a module {package!r}", hint=hint)
    if package in _FOLDERS:
        raise WrongUsage(f"a project has a folder {package!r} for something else", hint=hint)
    if package in ("dolittle", "dolittle_cli") or _is_installed(package):
        raise WrongUsage(f"an installed distribution has a package {package!r}", hint=hint)
    return package


def check_field_name(name: str, *, taken: Collection[str] = ()) -> None:
    """Refuse what cannot name a field.

    Args:
        name: Should be like ``dish_name``.
        taken: Names that the class has for something else.

    Raises:
        WrongUsage: It is no such name, too long, a keyword, hides a type, or is taken.
    """
    _check_member("field", name, taken)


def check_method_name(name: str, *, taken: Collection[str] = ()) -> None:
    """Refuse what cannot name a command method; as :func:`check_field_name`.

    Raises:
        WrongUsage: It is no such name, too long, a keyword, hides a type, or is taken.
    """
    _check_member("command", name, taken)


def _check_member(kind: str, name: str, taken: Collection[str]) -> None:
    if not _SNAKE.fullmatch(name):
        better = re.sub(r"\W+", "_", snake(name), flags=re.ASCII).strip("_")
        example = better if _SNAKE.fullmatch(better) else "dish_name"
        raise WrongUsage(
            f"{name!r} is no name for a {kind}",
            hint=f"use lower-case letters, digits and _: {example}",
        )
    _check_length(kind, name)
    if keyword.iskeyword(name):
        raise WrongUsage(
            f"{name!r} cannot name a {kind}: it is a word of Python", hint=f"e.g. {name}_name"
        )
    if name in TYPE_NAMES or name == "self":
        raise WrongUsage(
            f"{name!r} cannot name a {kind}: it would hide what Python means by {name}",
            hint=f"say more, e.g. due_{name}" if name.startswith("date") else "say more",
        )
    if name in taken:
        raise WrongUsage(f"the name {name!r} is taken in this class", hint="take another one")


def _check_length(kind: str, name: str) -> None:
    if len(name) > NAME_CHARACTERS_MAX:
        raise WrongUsage(
            f"the name of {_article(kind)} {kind} has at most {NAME_CHARACTERS_MAX} characters, "
            f"{name!r} has {len(name)}",
            hint="say it shorter",
        )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.startswith(".")


def _is_installed(package: str) -> bool:
    """Tell whether an installed distribution has a top-level module, without importing it."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return importlib.machinery.PathFinder.find_spec(package, places) is not None
