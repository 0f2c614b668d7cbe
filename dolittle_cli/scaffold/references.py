"""Finds what imports a module, in all of a project's Python files, by their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "build", "dist", "wheels"})


@dataclass(frozen=True)
class Reference:
    """A line that imports a module.

    Attributes:
        path: Below the project's folder.
        line: From 1.
    """

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def python_files(root: Path) -> Iterator[str]:
    """Yield the paths of a project's Python files, sorted; no environments, caches, hidden ones."""
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in _NOT_OURS or path.is_symlink():
            continue
        if path.is_dir() and not (path / "pyvenv.cfg").exists():
            for below in python_files(path):
                yield f"{path.name}/{below}"
        elif path.suffix == ".py":
            yield path.name


def module_of(path: str) -> str:
    """Return the dotted name of a module: ``kitchen/events/dish.py`` → ``kitchen.events.dish``.

    A leading ``src`` is no package.
    """
    parts = list(PurePosixPath(path).with_suffix("").parts)
    if parts[:1] == ["src"]:
        parts = parts[1:]
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


def importers(
    root: Path,
    modules: Collection[str],
    leave_out: Collection[str],
    texts: Mapping[str, str] | None = None,
) -> list[Reference]:
    """Return the lines that import one of some modules.

    Args:
        root: The project's folder.
        modules: Dotted names.
        leave_out: Paths of files that do not count, since they go too.
        texts: By path, texts that stand in for those of files, since they change too.
    """
    found = []
    for path in python_files(root):
        if path in leave_out:
            continue
        try:
            tree = ast.parse((texts or {}).get(path) or (root / path).read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # what is no Python at the moment imports nothing
        found += [
            Reference(path, line) for line, names in _imports(tree, path) if names & set(modules)
        ]
    return found


def imported_modules(root: Path, leave_out: Collection[str]) -> dict[str, Reference]:
    """Return every module that a project's files import, with the first line that does.

    Args:
        root: The project's folder.
        leave_out: Paths of files that do not count.
    """
    found: dict[str, Reference] = {}
    for path in python_files(root):
        if path in leave_out:
            continue
        try:
            tree = ast.parse((root / path).read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        for line, names in _imports(tree, path):
            for name in names:
                found.setdefault(name, Reference(path, line))
    return found


def _imports(tree: ast.Module, path: str) -> Iterator[tuple[int, set[str]]]:
    """Yield the line of each import, and the modules that it may be about."""
    own = module_of(path).split(".")
    package = own if path.endswith("__init__.py") else own[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield node.lineno, {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, {module, *(f"{module}.{name.name}" for name in node.names)}
