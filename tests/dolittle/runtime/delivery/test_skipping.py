"""What a person said to leave out stays left out, though the process that was told so dies."""

from __future__ import annotations

import asyncio
import importlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolittle.runtime.microservice import Microservice

DIED_S_MAX = 30.0

CODE = '''\
import os
import signal
from pathlib import Path

from dolittle import event_handler, event_type, handles, on, projection

HERE = Path(__file__).parent


def die_once(by: str) -> None:
    """Die as a power cut would have it, the first time."""
    died = HERE / f"died-{by}"
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@event_type
class DishPrepared:
    dish: str
    table: str = "1"


@event_handler
class Waiter:
    @handles(DishPrepared)
    def serve(self, event: DishPrepared) -> None:
        with (HERE / "served.txt").open("a") as served:
            served.write(f"{event.dish}\\n")
        if event.dish == "poison":
            raise ValueError("that is poison")
        if event.dish == "deadly":
            die_once("waiter")


@projection
class Tables:
    dishes: str = ""

    @on(DishPrepared, key="table")
    def count(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")
        if event.dish == "deadly" and (HERE / "died-waiter").exists():
            die_once("tables")
        self.dishes += f"{event.dish} "
'''

CONFIGURATION = """\
[microservice]
name = "skipping_kitchen"

[delivery]
attempts_max = 1
"""

SKIP = """
import asyncio, sys
from dolittle import Microservice
from dolittle.runtime.state import Request

async def main(name: str) -> None:
    async with Microservice.open(only=[name]) as kitchen:
        while not any(row.is_parked for row in (await kitchen.processor_status(name)).failing):
            await asyncio.sleep(0.01)
        await kitchen.request(Request("skip", name))
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "skipping_kitchen").mkdir()
    (tmp_path / "skipping_kitchen" / "__init__.py").write_text(CODE)
    (tmp_path / "dolittle.toml").write_text(CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("skipping_kitchen", None)
    importlib.invalidate_caches()


async def commit(*dishes: str) -> int:
    async with Microservice.open(deliver=False) as kitchen:
        for dish in dishes:
            values = {"dish": dish}
            done = await kitchen.append_by_name([("DishPrepared", "Table 1", values)])
        return done.position


@pytest.mark.parametrize(("name", "by"), [("Waiter", "waiter"), ("Tables", "tables")])
async def test_a_skip_outlives_the_process_that_took_it_up(
    project: Path, name: str, by: str
) -> None:
    if by == "tables":
        (project / "skipping_kitchen" / "died-waiter").touch()
    last = await commit("taco", "poison", "deadly")

    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", SKIP, name],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=DIED_S_MAX,
    )

    assert died.returncode == -signal.SIGKILL, died.stderr
    async with Microservice.open(deliver=False) as kitchen:
        assert await kitchen.state.requests() == []
        [row] = (await kitchen.processor_status(name)).failing
        assert row.is_skipped
    async with Microservice.open(only=[name]) as kitchen:
        await kitchen.wait_until_seen(name, last, key="none")
        async with asyncio.timeout(DIED_S_MAX):
            while (await kitchen.processor_status(name)).failing:
                await asyncio.sleep(0.01)
        if name == "Tables":
            document = await kitchen.projection_by_name("Tables").get("1")
            assert document is not None
            assert document.dishes == "taco deadly "
    if name == "Waiter":
        served = (project / "skipping_kitchen" / "served.txt").read_text().split()
        assert served.count("poison") == 1
        assert served[-1] == "deadly"
