from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from dolittle.runtime.host import Hosting
from dolittle.runtime.ports import listen
from dolittle.runtime.reports import (
    Changed,
    EndedEarly,
    Failed,
    ReloadPaused,
    Report,
    Serving,
    StillServing,
    TooSlow,
    Waiting,
)
from dolittle.runtime.supervisor import Pace, Supervisor

BOUND_S = 20.0
KITCHEN = """\
from dolittle import event_type


@event_type
class DishPrepared:
    dish: str
"""
PACE = Pace(restart_s=0.05, grace_s=5.0, quiet_s=0.3)
PID_API = """\
import os


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


class Stage:
    """A supervisor at work, whose changes are told by hand and whose reports are kept."""

    def __init__(
        self,
        project: Path,
        listener: socket.socket,
        pace: Pace,
        *,
        watch: bool = True,
        ephemeral: bool = True,
    ) -> None:
        self.project = project
        self.reports: list[Report] = []
        self.output: list[str] = []
        self.changed: asyncio.Queue[frozenset[Path]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._seen = 0
        self.stop = asyncio.Event()
        self.port: int = listener.getsockname()[1]
        self.supervisor = Supervisor(
            Hosting(project, "127.0.0.1", self.port, ephemeral=ephemeral),
            listener,
            tell=self._tell,
            changes=self._changes if watch else None,
            on_output=self.output.append,
            pace=pace,
        )
        self.running = asyncio.create_task(self.supervisor.run(self.stop))

    def _tell(self, report: Report) -> None:
        self.reports.append(report)
        self._news.set()

    async def _changes(self, project: Path) -> AsyncIterator[frozenset[Path]]:
        while True:
            yield await self.changed.get()

    def save(self, text: str, name: str = "__init__.py") -> None:
        """Write a file of the package, and tell the change."""
        path = self.project / "kitchen" / name
        path.write_text(text)
        self.changed.put_nowait(frozenset({path}))

    async def told(self, kind: type[Any]) -> Any:
        """Wait for the next report of a kind, and return it."""
        async with asyncio.timeout(BOUND_S):
            while True:
                while self._seen < len(self.reports):
                    self._seen += 1
                    if isinstance(self.reports[self._seen - 1], kind):
                        return self.reports[self._seen - 1]
                self._news.clear()
                await self._news.wait()

    async def get(self, path: str) -> str:
        async with httpx.AsyncClient(timeout=BOUND_S) as client:
            return (await client.get(f"http://127.0.0.1:{self.port}{path}")).text

    async def pid(self) -> int:
        """Return the process that serves; needs ``PID_API``."""
        return int(await self.get("/pid"))

    async def end(self) -> int:
        self.stop.set()
        async with asyncio.timeout(BOUND_S):
            return await self.running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "kitchen"
    (folder / "kitchen").mkdir(parents=True)
    (folder / "dolittle.toml").write_text('[microservice]\nname = "kitchen"\n')
    (folder / "kitchen" / "__init__.py").write_text(KITCHEN)
    (folder / "kitchen" / "api.py").write_text(PID_API)
    return folder


@pytest.fixture
async def raise_stage(project: Path) -> AsyncIterator[Callable[..., Stage]]:
    stages: list[Stage] = []
    listeners: list[socket.socket] = []

    def make(pace: Pace = PACE, **options: bool) -> Stage:
        listeners.append(listen("127.0.0.1", 0))
        stages.append(Stage(project, listeners[-1], pace, **options))
        return stages[-1]

    yield make
    for stage in stages:
        await stage.end()
    for listener in listeners:
        listener.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_serves_what_is_loaded(raise_stage: Callable[..., Stage]) -> None:
    stage = raise_stage()
    serving = await stage.told(Serving)
    assert serving.event_types == ["DishPrepared"]
    assert serving.has_own_application
    assert '"status":"ok"' in await stage.get("/health")


async def test_a_change_swaps_the_process(raise_stage: Callable[..., Stage]) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    before = await stage.pid()
    stage.save(KITCHEN.replace("DishPrepared", "OrderTaken"))
    assert (await stage.told(Changed)).paths == ["kitchen/__init__.py"]
    assert (await stage.told(Serving)).event_types == ["OrderTaken"]
    assert await stage.pid() != before
    assert not is_alive(before)


async def test_of_two_saves_within_a_second_the_second_is_served(
    raise_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    stage = raise_stage()
    await stage.told(Serving)
    api = stage.project / "kitchen" / "api.py"
    for answer in ("one", "two"):
        stage.save(PID_API.replace("str(os.getpid())", repr(answer)), "api.py")
        os.utime(api, (1_700_000_000, 1_700_000_000))
        await stage.told(Serving)
        assert await stage.get("/") == answer


async def test_no_connection_is_refused_while_processes_are_swapped(
    raise_stage: Callable[..., Stage],
) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    stage.save(KITCHEN + "# saved\n")
    again = asyncio.create_task(stage.told(Serving))
    answers = 0
    while not again.done():
        assert '"status":"ok"' in await stage.get("/health")
        answers += 1
    assert answers > 0


async def test_broken_code_leaves_the_old_code_serving(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    before = await stage.pid()
    stage.save("x = (\n")
    failed = await stage.told(Failed)
    assert f"{project}/kitchen/__init__.py:1: syntax error" in failed.message
    await stage.told(StillServing)
    assert await stage.pid() == before
    stage.save(KITCHEN)
    await stage.told(Serving)
    assert await stage.pid() != before


async def test_code_that_is_broken_at_the_start_is_waited_for(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / "kitchen" / "__init__.py").write_text("import nope_nope\n")
    stage = raise_stage()
    assert "nope_nope" in (await stage.told(Failed)).message
    await stage.told(Waiting)
    stage.save(KITCHEN)
    await stage.told(Serving)


async def test_without_watching_broken_code_is_given_up(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / "kitchen" / "__init__.py").write_text("import nope_nope\n")
    stage = raise_stage(watch=False)
    async with asyncio.timeout(BOUND_S):
        assert await stage.running == 1


async def test_code_that_exits_while_it_is_imported_is_told(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / "kitchen" / "__init__.py").write_text("import os\nos._exit(7)\n")
    stage = raise_stage()
    assert await stage.told(EndedEarly) == EndedEarly("exit code 7")
    await stage.told(Waiting)


async def test_code_that_hangs_while_it_is_imported_is_overtaken_by_its_mend(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    stage.save("print('hanging')\nwhile True: pass\n")
    async with asyncio.timeout(BOUND_S):
        while "hanging" not in stage.output:
            await asyncio.sleep(0.01)
    stage.save(KITCHEN)
    await stage.told(Serving)


async def test_a_process_that_dies_is_started_again(raise_stage: Callable[..., Stage]) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    os.kill(await stage.pid(), signal.SIGKILL)
    ended = await stage.told(EndedEarly)
    assert (ended.reason, ended.again_after_s) == ("killed by SIGKILL", 0.05)
    await stage.told(Serving)


async def test_a_process_that_always_dies_is_left_alone_in_the_end(
    raise_stage: Callable[..., Stage],
) -> None:
    stage = raise_stage(replace(PACE, restarts_max=2, restart_s=0.01), watch=False)
    waits = []
    for _ in range(3):
        await stage.told(Serving)
        os.kill(await stage.pid(), signal.SIGKILL)
        waits.append((await stage.told(EndedEarly)).again_after_s)
    assert waits == [0.01, 0.02, 0.0]
    async with asyncio.timeout(BOUND_S):
        assert await stage.running == 1


async def test_an_own_application_that_cannot_start_is_waited_for(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / "kitchen" / "api.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    stage = raise_stage()
    assert "no database" in (await stage.told(Failed)).message
    await stage.told(Waiting)
    stage.save(PID_API, "api.py")
    await stage.told(Serving)


async def test_a_handler_that_cannot_be_made_is_told_with_its_line(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    stage.save(
        KITCHEN + "\n\nfrom dolittle import event_handler, handles\n\n\n@event_handler\n"
        "class Announcer:\n    def __init__(self) -> None:\n        self.x = 1 / 0\n\n"
        "    @handles(DishPrepared)\n    def announce(self, event: DishPrepared) -> None: ...\n"
    )
    failed = await stage.told(Failed)
    assert re.search(r"__init__\.py:15: .*ZeroDivisionError", failed.message)
    await stage.told(Waiting)
    stage.save(KITCHEN)
    await stage.told(Serving)


async def test_data_that_cannot_be_opened_is_given_up(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / ".dolittle").write_text("a file where the folder should be")
    stage = raise_stage(ephemeral=False)
    assert (await stage.told(Failed)).code in (
        "cannot-open",
        "store-unavailable",
        "store-read-only",
    )
    async with asyncio.timeout(BOUND_S):
        assert await stage.running == 1


async def test_a_loop_of_changes_is_noticed(raise_stage: Callable[..., Stage]) -> None:
    stage = raise_stage(replace(PACE, reloads_max=2, reloads_window_s=60.0))
    await stage.told(Serving)
    for number in range(2):
        stage.save(KITCHEN + f"# {number}\n")
        await stage.told(Serving)
    stage.save(KITCHEN + "# once too often\n")
    paused = await stage.told(ReloadPaused)
    assert (paused.times, list(paused.paths)) == (2, ["kitchen/__init__.py"])
    await stage.told(Serving)


async def test_a_host_that_does_not_stop_is_killed(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    (project / "kitchen" / "api.py").write_text(
        PID_API + "    if scope['path'] == '/hang':\n        while True: pass\n"
    )
    stage = raise_stage(replace(PACE, grace_s=0.2))
    await stage.told(Serving)
    pid = await stage.pid()
    hanging = asyncio.create_task(stage.get("/hang"))
    async with asyncio.timeout(BOUND_S):
        await hanging
    assert await stage.end() == 0
    assert TooSlow(0.2) in stage.reports
    assert not is_alive(pid)


async def test_stopping_leaves_no_process(raise_stage: Callable[..., Stage]) -> None:
    stage = raise_stage()
    await stage.told(Serving)
    pid = await stage.pid()
    assert await stage.end() == 0
    assert not is_alive(pid)
    assert TooSlow not in {type(report) for report in stage.reports}


async def test_output_is_handed_on_line_by_line(
    raise_stage: Callable[..., Stage], project: Path
) -> None:
    text = 'print("one\\ntwo")\nprint("x" * 200_000)\n' + KITCHEN
    (project / "kitchen" / "__init__.py").write_text(text)
    stage = raise_stage()
    await stage.told(Serving)
    async with asyncio.timeout(BOUND_S):
        while sum(map(len, stage.output)) < 200_006:
            await asyncio.sleep(0.01)
    assert stage.output[:2] == ["one", "two"]
    assert set("".join(stage.output[2:])) == {"x"}
