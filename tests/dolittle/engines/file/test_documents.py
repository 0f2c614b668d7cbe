"""What the documents say about files is true, and the tests that they name exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore
from dolittle.testing.contract import a_commit, an_event

ROOT = Path(__file__).parents[4]
FORMAT = ROOT / "docs" / "reference" / "file-format.md"
GUARANTEES = ROOT / "docs" / "guarantees.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", FORMAT.read_text(), flags=re.DOTALL)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    store = await FileStore.open(tmp_path / "store")
    await store.commit(a_commit(an_event(aggregate="Kitchen"), an_event("Paid")))
    await store.commit(a_commit(an_event("Paid", "Other")))
    await store.close()
    return tmp_path / "store"


def test_every_test_that_is_named_exists() -> None:
    sources = [*ROOT.glob("tests/**/*.py"), ROOT / "dolittle/testing/contract.py"]
    text = "\n".join(path.read_text() for path in sources)
    named = set(re.findall(r"`((?:test_|Test)\w+)`", GUARANTEES.read_text()))
    assert len(named) > 20
    for name in named:
        assert re.search(rf"(?:def|class) {name}\b|^{name} =", text, flags=re.MULTILINE), name


def test_the_checksum_is_what_the_document_says(folder: Path) -> None:
    (program,) = blocks("python")
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    path = folder / "log" / "00000000000000000000.jsonl"
    path.write_text(path.read_text().replace("Taco", "Tacc", 1))
    assert subprocess.run([sys.executable, "-c", program], cwd=folder, check=False,
                          stderr=subprocess.DEVNULL).returncode  # fmt: skip


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_commands_of_the_document_work(folder: Path) -> None:
    (commands,) = blocks("sh")
    done = subprocess.run(
        ["sh", "-e"], input=commands, cwd=folder, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [f'{{"position":{number},' in lines[number] for number in range(3)] == [True] * 3
    assert len([line for line in lines if '"source":"Dolittle Tacos"' in line]) == 2 + 2 + 1
    assert [line.split() for line in lines if line.startswith(" ")] == [
        ["1", "DishPrepared"],
        ["2", "Paid"],
    ]


def test_every_file_of_a_store_is_in_the_document(folder: Path) -> None:
    text = FORMAT.read_text()
    for path in folder.iterdir():
        assert path.name in text, path
