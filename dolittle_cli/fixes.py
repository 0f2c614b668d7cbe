"""What ``dolittle doctor --fix`` does: the fixes that lose nothing, and what they are for."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from dolittle.runtime.configuration import Configuration
from dolittle.runtime.sqlite_opening import put_aside
from dolittle_cli.errors import CommandLineError
from dolittle_cli.project import STATE_FILE, STORE_FOLDER, Place, deliverer_of

Fix = Callable[[], Awaitable[str]]
"""Does it, and says in words what it did; raises what a command raises if it cannot."""

IGNORE_FILE: Final = ".gitignore"
CHECKED_BYTES_MAX: Final = 64 * 1024 * 1024
"""A database over that is looked at, but not read through: half a second for each 64 MiB."""

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damage_of(path: Path) -> str:
    """Return what is wrong with an SQLite database, in words; empty: nothing is, or nobody knows.

    Nothing is changed.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            database.execute("select count(*) from sqlite_master").fetchone()
            if path.stat().st_size > CHECKED_BYTES_MAX:
                return ""
            found = database.execute("pragma quick_check(1)").fetchone()[0]
            return "" if found == "ok" else str(found)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code in _DAMAGED else ""


def without_package(configuration: Configuration) -> Path | None:
    """Return where the folder of a microservice's package should be, if there is none."""
    parts = configuration.package.split(".")
    for root in (configuration.project, configuration.project / "src"):
        package = root.joinpath(*parts)
        if package.is_dir() or package.with_suffix(".py").is_file():
            return None
    return configuration.project.joinpath(*parts)


def make_package(configuration: Configuration, folder: Path) -> Fix:
    """Return what makes an empty package."""

    async def fix() -> str:
        _write_package(folder, f'"""The microservice {configuration.name}."""\n')
        return f"{folder} was made, an empty package"

    return fix


def _write_package(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(text, encoding="utf-8")
    importlib.invalidate_caches()


def not_ignored(configuration: Configuration) -> str:
    """Return the entry that keeps the data out of git, if git would take it; else empty."""
    project = configuration.project.resolve()
    data = configuration.data_path.resolve()
    if not data.is_relative_to(project) or data == project:
        return ""
    parents = [project, *project.parents]
    repository = next((item for item in parents if (item / ".git").exists()), None)
    if repository is None:
        return ""
    entry = f"/{data.relative_to(project).as_posix()}/"
    for folder in parents[: parents.index(repository) + 1]:
        if _ignores(folder / IGNORE_FILE, data.relative_to(folder).as_posix()):
            return ""
    return entry


def _ignores(file: Path, path: str) -> bool:
    """Tell whether a line of a ``.gitignore`` names a path, or a folder that it is in."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    parts = path.split("/")
    names = {"/".join(parts[: end + 1]) for end in range(len(parts))} | set(parts)
    return any(line.strip().removeprefix("**/").strip("/") in names for line in lines)


def ignore(configuration: Configuration, entry: str) -> Fix:
    """Return what adds an entry to the project's ``.gitignore``."""

    async def fix() -> str:
        file = configuration.project / IGNORE_FILE
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        gap = "" if not before or before.endswith("\n") else "\n"
        file.write_text(f"{before}{gap}{entry}\n", encoding="utf-8")
        return f"{entry} stands in {file} now"

    return fix


def take_back(root: Path) -> Fix:
    """Return what takes back a command that was killed while it changed a project."""

    async def fix() -> str:
        from dolittle_cli.scaffold.journal import recover

        recover(root)
        return "what the command had changed was put back"

    return fix


def put_state_aside(place: Place) -> Fix:
    """Return what puts a damaged state aside; a new one is made from the events."""

    async def fix() -> str:
        path = place.folder / STATE_FILE
        _check_idle(place)
        put_aside(path)
        return (
            f"{path} was put aside as {path.name}.damaged; read models are made anew, and "
            "handlers begin again, from the events"
        )

    return fix


def rebuild_index(place: Place) -> Fix:
    """Return what puts a damaged index aside and makes it anew from the log."""

    async def fix() -> str:
        from dolittle.engines.file import FileStore
        from dolittle.engines.file.index import NAME

        _check_idle(place)
        folder = place.folder / STORE_FOLDER
        put_aside(folder / NAME)
        store = await FileStore.open(folder, durability=place.configuration.durability)
        try:
            await store.type_counts()
        finally:
            await store.close()
        return f"{folder / NAME} was made anew from the log"

    return fix


def _check_idle(place: Place) -> None:
    deliverer = deliverer_of(place)
    if deliverer:
        raise CommandLineError(f"{deliverer} uses it now", hint="end it, then repeat this")
