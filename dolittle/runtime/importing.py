"""Imports every module of a microservice's package; what does not import becomes a problem."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from dolittle.declarations import Problem

API_MODULE: Final = "api"
"""The module of a service's own ASGI application; it is imported by the host only."""


def import_package(package: str, root: Path) -> tuple[list[ModuleType], list[Problem]]:
    """Import every module of a package, also in folders without an ``__init__.py``.

    ``root`` (and ``root/src``, where there is one) is put in front of the import path, and
    stays there. ``<package>.api`` and ``__main__`` modules are left out.

    Returns:
        The modules that were imported, and a problem for each that was not.
    """
    root = root.resolve()
    for folder in (root / "src", root):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    problems: list[Problem] = []
    return list(_import_all(package, package, root, problems)), problems


def _import_all(
    name: str, package: str, root: Path, problems: list[Problem]
) -> Iterator[ModuleType]:
    module = _import(name, root, problems)
    if module is None:
        return
    yield module
    for child in sorted(_children(module)):
        if child != "__main__" and f"{name}.{child}" != f"{package}.{API_MODULE}":
            yield from _import_all(f"{name}.{child}", package, root, problems)


def _children(module: ModuleType) -> set[str]:
    """Return the names of the modules and packages in a package, none if it is a module."""
    found = set()
    for folder in map(Path, getattr(module, "__path__", ())):
        for entry in folder.iterdir() if folder.is_dir() else ():
            is_module = entry.suffix == ".py" and entry.stem != "__init__"
            is_package = entry.is_dir() and any(entry.rglob("*.py"))
            if entry.stem.isidentifier() and (is_module or (is_package and not entry.suffix)):
                found.add(entry.stem)
    return found


def _import(name: str, root: Path, problems: list[Problem]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            problems.append(
                Problem(
                    str(root),
                    0,
                    f"there is no package {name!r} in this folder",
                    "is [microservice] package in dolittle.toml right?",
                )
            )
        else:
            problems.append(_import_problem(name, root, error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may raise anything; it is reported
        problems.append(_import_problem(name, root, error))
    return None


def _import_problem(name: str, root: Path, error: BaseException) -> Problem:
    """Say where a module does not import: the same for all the modules that import it."""
    if isinstance(error, SyntaxError) and error.filename:
        return Problem(error.filename, error.lineno or 0, f"syntax error: {error.msg}")
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root) and "site-packages" not in frame.filename
    ]
    path, line = (own[-1].filename, own[-1].lineno or 0) if own else (str(root), 0)
    culprit = _module_at(Path(path), root) if own else name
    return Problem(path, line, f"{culprit} does not import: {type(error).__name__}: {error}")


def _module_at(path: Path, root: Path) -> str:
    """Return the dotted name of a source file below the root."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[0] == "src":
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
