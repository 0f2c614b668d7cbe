from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dolittle.runtime.watching import changes, code_folder, is_code


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("kitchen/events.py", True),
        ("kitchen/menus/menu.json", True),
        ("dolittle.toml", True),
        (".dolittle/development/events/00000000000000000000.jsonl", False),
        ("kitchen/.dolittle/state.sqlite", False),
        (".git/index", False),
        (".venv/lib/x.py", False),
        ("kitchen/__pycache__/events.cpython-311.pyc", False),
        ("kitchen/__pycache__", False),
        ("kitchen/.events.py.swp", False),
        ("kitchen/events.py~", False),
        ("kitchen/#events.py#", False),
        ("kitchen/.#events.py", False),
        ("kitchen/4913", False),
        ("kitchen/5036", False),
        ("kitchen/.events.py.swo", False),
        ("kitchen/events.py.~1~", False),
        ("kitchen/events.py.bak", False),
        ("kitchen/events.py___jb_tmp___", False),
        ("kitchen/v2.py", True),
        ("node_modules/x/index.js", False),
    ],
)
def test_only_code_counts_as_a_change(path: str, expected: bool) -> None:
    assert is_code(Path("/project") / path, Path("/project")) is expected


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve()
    (folder / "dolittle.toml").write_text('[microservice]\nname = "kitchen"\n')
    (folder / "kitchen").mkdir()
    (folder / "kitchen" / "events.py").write_text("")
    return folder


def test_the_code_folder_is_that_of_the_package(project: Path) -> None:
    assert code_folder(project) == project / "kitchen"
    (project / "src" / "kitchen").mkdir(parents=True)
    assert code_folder(project) == project / "src" / "kitchen"
    (project / "dolittle.toml").write_text("[")
    assert code_folder(project) is None


class Watcher:
    """Changes files until the change is told: when watching begins cannot be seen from outside."""

    def __init__(self, project: Path) -> None:
        self._changes: AsyncIterator[frozenset[Path]] = changes(project)

    async def until(self, path: Path, text: str = "") -> frozenset[Path]:
        told = asyncio.ensure_future(anext(self._changes))
        async with asyncio.timeout(10):
            number = 0
            while not told.done():
                number += 1
                path.write_text(text or f"# {number}")
                await asyncio.wait([told], timeout=0.5)
        return told.result()

    async def close(self) -> None:
        await self._changes.aclose()  # type: ignore[attr-defined]


@pytest.fixture
async def watcher(project: Path) -> AsyncIterator[Watcher]:
    found = Watcher(project)
    yield found
    await found.close()


async def test_a_saved_file_of_the_package_is_told(project: Path, watcher: Watcher) -> None:
    path = project / "kitchen" / "events.py"
    assert await watcher.until(path) == {path}


async def test_own_data_is_never_told(project: Path, watcher: Watcher) -> None:
    path = project / "kitchen" / "events.py"
    await watcher.until(path)
    for folder in (project / ".dolittle", project / "kitchen" / "__pycache__", project / "tests"):
        folder.mkdir()
        (folder / "data.py").write_text("x")
    (project / "notes.txt").write_text("x")
    assert await watcher.until(path) == {path}


async def test_the_configuration_is_watched_and_followed(project: Path, watcher: Watcher) -> None:
    (project / "diner").mkdir()
    path = project / "dolittle.toml"
    text = '[microservice]\nname = "kitchen"\npackage = "diner"\n'
    assert await watcher.until(path, text) == {path}
    moved = project / "diner" / "events.py"
    told: frozenset[Path] = frozenset()
    while moved not in told:
        told = await watcher.until(moved)
    assert moved in told
