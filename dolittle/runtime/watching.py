"""Watches a microservice's code for changes, and nothing else: never its own data."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from dolittle.errors import DolittleError
from dolittle.runtime.configuration import FILE_NAME, load_configuration

DEBOUNCE_MS: Final = 300
"""Changes that come within this time are one change: an editor saves in several steps."""

STEP_MS: Final = 50
"""Nothing may have changed for so long before a change is told."""

IGNORED_FOLDERS: Final = frozenset(
    {".dolittle", ".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
)
IGNORED_SUFFIXES: Final = (".pyc", ".pyo", ".log", ".sqlite")
EDITORS_SUFFIXES: Final = (
    *(".swp", ".swo", ".swx", ".tmp", ".bak", ".orig", ".rej", "~"),
    *("___jb_tmp___", "___jb_old___"),
)
"""Of what editors and merges write beside a file: vim, emacs, PyCharm and patch among others."""


def is_code(path: Path, project: Path) -> bool:
    """Tell whether a change of a file is a change of the code.

    Folders that begin with a dot, caches and environments are not, nor what editors write
    beside the file they save.
    """
    relative = path.relative_to(project) if path.is_relative_to(project) else path
    *folders, name = relative.parts
    return not (
        any(folder.startswith(".") or folder in IGNORED_FOLDERS for folder in folders)
        or name.startswith((".", "#"))
        or name in IGNORED_FOLDERS
        or name.endswith((*IGNORED_SUFFIXES, *EDITORS_SUFFIXES))
        or name.isdigit()  # vim tries with 4913 whether it may write; no module is called so
    )


def code_folder(project: Path) -> Path | None:
    """Return the folder of a project's package; ``None`` where it cannot be told."""
    try:
        package = load_configuration(project).package
    except DolittleError:
        return None
    for root in (project / "src", project):
        folder = root.joinpath(*package.split("."))
        if folder.is_dir():
            return folder
    return None


async def changes(project: Path) -> AsyncIterator[frozenset[Path]]:
    """Yield the code files that have changed, for ever; end by closing the iterator.

    The package is watched with everything in it; of the project's own folder only what lies
    directly in it, where ``dolittle.toml`` is.

    Args:
        project: The project's folder, resolved.

    Raises:
        OSError: The operating system cannot watch, e.g. because too much is watched already.
    """
    while True:
        folder = code_folder(project)
        queue: asyncio.Queue[set[Path]] = asyncio.Queue(maxsize=100)
        tasks = [asyncio.create_task(_watch(project, queue, recursive=False))]
        if folder is not None:
            tasks.append(asyncio.create_task(_watch(folder, queue, recursive=True)))
        try:
            while code_folder(project) == folder:
                found = await _next(queue, tasks)
                while not queue.empty():
                    found |= queue.get_nowait()
                code = frozenset(path for path in found if _counts(path, project, folder))
                if code:
                    yield code
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _next(queue: asyncio.Queue[set[Path]], tasks: list[asyncio.Task[None]]) -> set[Path]:
    """Return the next changes; or raise what ended a watcher."""
    getting = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait((getting, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
                raise OSError("a watcher has ended")
        return getting.result()
    finally:
        getting.cancel()


def _counts(path: Path, project: Path, folder: Path | None) -> bool:
    if path == project / FILE_NAME:
        return True
    if folder is None:
        # The package is not there yet; whatever comes may be it.
        return is_code(path, project)
    return path.is_relative_to(folder) and is_code(path, project)


async def _watch(folder: Path, queue: asyncio.Queue[set[Path]], *, recursive: bool) -> None:
    import watchfiles

    async for found in watchfiles.awatch(
        folder,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        recursive=recursive,
        ignore_permission_denied=True,
    ):
        await queue.put({Path(path) for _, path in found})
