from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dolittle import Microservice, event_type, on, projection
from dolittle.errors import (
    CommitIdReused,
    DeclarationErrors,
    PayloadDoesNotFit,
    ProjectNotFound,
    StoreClosed,
    StoreDamaged,
    Unknown,
    WaitTimedOut,
)
from dolittle.runtime.state import Request
from dolittle.store import Selection


@event_type
class DishPrepared:
    dish: str
    amount: int = 1


@projection
class DishCounter:
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += event.amount


CLASSES = (DishPrepared, DishCounter)


async def test_tenants_do_not_see_one_another(open_service) -> None:
    async with open_service(*CLASSES, tenants=("development", "tacos")) as service:
        tacos = service.for_tenant("tacos")
        here = await service.commit(DishPrepared(dish="a"), source="Kitchen")
        there = await tacos.commit(DishPrepared(dish="b"), source="Kitchen")
        assert list(await service.projection(DishCounter).all(after=here)) == ["a"]
        assert list(await tacos.projection(DishCounter).all(after=there)) == ["b"]
        assert (here.position, there.position) == (0, 0)
        assert service.tenants == ("development", "tacos")
        assert tacos.for_tenant("development") is service


async def test_a_tenant_that_does_not_exist_is_unknown(open_service) -> None:
    async with open_service(*CLASSES) as service:
        with pytest.raises(Unknown, match="there is no tenant 'tacos'"):
            service.for_tenant("tacos")


async def test_waiting_ends_with_a_clear_error(open_service) -> None:
    async with open_service(*CLASSES, deliver=False) as service:
        committed = await service.commit(DishPrepared(dish="a"), source="Kitchen")
        with pytest.raises(WaitTimedOut) as caught:
            await service.projection(DishCounter).get("a", after=committed, timeout_s=0.05)
        assert (caught.value.name, caught.value.position) == ("DishCounter", 0)
        assert "dolittle run" in caught.value.hint
        assert "dolittle projections show DishCounter" in caught.value.hint
        with pytest.raises(Unknown) as unknown:
            await service.wait_until_seen("DishCount", 0)
        assert unknown.value.hint == "did you mean DishCounter?"


async def test_waiting_works_when_somebody_else_delivers(open_service) -> None:
    async with (
        open_service(*CLASSES, ephemeral=False),
        open_service(*CLASSES, ephemeral=False, deliver=False) as service,
    ):
        committed = await service.commit(DishPrepared(dish="a"), source="Kitchen")
        found = await service.projection(DishCounter).get("a", after=committed)
        assert found == DishCounter(count=1)
        status = await service.processor_status("DishCounter")
        assert (status.kind, status.behind, status.is_started) == ("projection", 0, True)


async def test_no_position_moves_without_waking_who_waits(open_service) -> None:
    async with open_service(*CLASSES) as service:
        longest = 0.0
        for _ in range(200):
            committed = await service.commit(DishPrepared(dish="a"), source="Kitchen")
            begin = time.monotonic()
            await service.wait_until_seen("DishCounter", committed.position)
            longest = max(longest, time.monotonic() - begin)
    assert longest < 2


async def test_a_commit_is_answered_again_for_its_id(open_service) -> None:
    async with open_service(*CLASSES) as service:
        first = await service.commit(DishPrepared(dish="a"), source="Kitchen", commit_id="1")
        again = await service.commit(DishPrepared(dish="a"), source="Kitchen", commit_id="1")
        assert (first.is_repeat, again.is_repeat) == (False, True)
        assert again.events == first.events
        with pytest.raises(CommitIdReused):
            await service.commit(DishPrepared(dish="b"), source="Kitchen", commit_id="1")


async def test_events_can_be_committed_by_name(open_service) -> None:
    async with open_service(*CLASSES) as service:
        items = [("DishPrepared", "Kitchen", {"dish": "a", "amount": "3"})]
        committed = await service.append_by_name(items, lenient=True)
        assert committed.events[0].content == b'{"dish":"a","amount":3}'
        with pytest.raises(PayloadDoesNotFit, match="amount"):
            await service.append_by_name(items)
        with pytest.raises(Unknown) as caught:
            await service.append_by_name([("DishPrepare", "Kitchen", {})])
        assert caught.value.hint == "did you mean DishPrepared?"
        with pytest.raises(PayloadDoesNotFit):
            await service.commit(DishPrepared(dish=5), source="Kitchen")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="str is no event type"):
            await service.commit("DishPrepared", source="Kitchen")
        assert await service.store.head() == 1


async def test_a_closed_microservice_takes_no_commits(open_service) -> None:
    async with open_service(*CLASSES) as service:
        pass
    with pytest.raises(StoreClosed):
        await service.commit(DishPrepared(dish="a"), source="Kitchen")


async def test_a_request_for_what_does_not_exist_is_refused(open_service) -> None:
    async with open_service(*CLASSES) as service:
        with pytest.raises(Unknown):
            await service.request(Request("replay", "Nobody"))


# Whole projects, in processes of their own

KITCHEN = """
import time
from pathlib import Path

from dolittle import EventContext, event_handler, event_type, handles, on, projection


@event_type
class DishPrepared:
    dish: str


@event_handler
class Announcer:
    @handles(DishPrepared)
    def announce(self, event: DishPrepared, context: EventContext) -> None:
        with (Path(__file__).parent.parent / "announced.txt").open("a") as file:
            file.write(f"{context.position} {event.dish}\\n")
        time.sleep(0.001)


@projection
class DishCounter:
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 1
"""

RUN = """
import asyncio, os, time
from dolittle import Microservice

async def main():
    async with Microservice.open({project!r}) as kitchen:
        print("open", flush=True)
        {body}

asyncio.run(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    path = list(sys.path)
    (tmp_path / "dolittle.toml").write_text(
        '[microservice]\nname = "kitchen"\npackage = "kitchen_in_processes"\n'
        '[store]\ndurability = "os"\n'
    )
    package = tmp_path / "kitchen_in_processes"
    package.mkdir()
    (package / "__init__.py").write_text(KITCHEN)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("kitchen_in_processes", None)


@asynccontextmanager
async def running(project: Path, body: str = "await asyncio.Event().wait()") -> AsyncIterator[Any]:
    """Run a process with the microservice open; it is killed at the end if it still runs."""
    code = RUN.format(project=str(project), body=textwrap.indent(body, " " * 8).strip())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def announced(project: Path) -> list[str]:
    path = project / "announced.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
async def test_a_second_process_takes_over_when_the_first_is_killed(
    project: Path, until: Callable[..., Any]
) -> None:
    async with running(project) as first, running(project):  # noqa: SIM117 - in this order
        async with Microservice.open(project, deliver=False) as kitchen:
            dishes = kitchen.definition.event_types.find("DishPrepared")
            assert dishes is not None
            prepared: Any = dishes[0]
            before = await kitchen.commit(prepared(dish="a"), source="Tacos")
            await kitchen.wait_until_seen("Announcer", before.position)
            holder = (project / ".dolittle" / "development" / "delivery.lock").read_text()
            assert holder.split()[0] == str(first.pid)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            after = await kitchen.commit(prepared(dish="b"), source="Tacos")
            await kitchen.wait_until_seen("Announcer", after.position)
            counted = await kitchen.projection_by_name("DishCounter").all(after=after)
    assert announced(project) == ["0 a", "1 b"]
    assert {key: item.count for key, item in counted.items()} == {"a": 1, "b": 1}


@pytest.mark.slow
async def test_a_kill_in_the_middle_loses_nothing(project: Path, until: Callable[..., Any]) -> None:
    total = 400
    async with Microservice.open(project, deliver=False) as kitchen:
        items = [("DishPrepared", f"source {n % 7}", {"dish": str(n % 5)}) for n in range(total)]
        await kitchen.append_by_name(items)
    for share in (0.1, 0.4, 0.7):
        async with running(project):
            await until(lambda share=share: len(announced(project)) > total * share)
    async with running(project), Microservice.open(project, deliver=False) as kitchen:
        await kitchen.wait_until_seen("Announcer", total - 1, timeout_s=20)
        await kitchen.wait_until_seen("DishCounter", total - 1, timeout_s=20)
        counted = await kitchen.projection_by_name("DishCounter").all()
    positions = [int(line.split()[0]) for line in announced(project)]
    assert set(positions) == set(range(total))
    # What comes again is what came last: per source, in order, from where it was saved.
    for source in range(7):
        firsts = list(dict.fromkeys(p for p in positions if p % 7 == source))
        assert firsts == sorted(firsts)
    assert {key: item.count for key, item in counted.items()} == dict.fromkeys("01234", total // 5)


@pytest.mark.slow
async def test_an_idle_microservice_uses_next_to_no_processor_time(project: Path) -> None:
    body = (
        "await asyncio.sleep(1)\n"
        "before = time.process_time()\n"
        "await asyncio.sleep(4)\n"
        "print(time.process_time() - before, flush=True)"
    )
    async with running(project, body) as process:
        async with asyncio.timeout(20):
            used_s = float(await process.stdout.readline())
    print(f"{used_s / 4:.2%} of one processor")
    assert used_s / 4 < 0.02


async def test_a_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectNotFound):
        async with Microservice.open(tmp_path):
            pass


async def test_a_project_that_cannot_be_loaded_says_why_and_leaves_no_store(
    tmp_path: Path,
) -> None:
    (tmp_path / "dolittle.toml").write_text('[microservice]\nname = "no_such_package_here"\n')
    with pytest.raises(DeclarationErrors):
        async with Microservice.open(tmp_path):
            pass
    with pytest.raises(Unknown):
        async with Microservice.open(tmp_path, tenant="tacos"):
            pass
    assert [item.name for item in tmp_path.iterdir()] == ["dolittle.toml"]


async def test_ephemeral_leaves_nothing_on_disk(project: Path) -> None:
    async with Microservice.open(project, ephemeral=True) as kitchen:
        await kitchen.append_by_name([("DishPrepared", "Tacos", {"dish": "a"})])
        await kitchen.wait_until_seen("DishCounter", 0)
        async for page in kitchen.store.read(Selection()):
            assert len(page.events) == 1
    assert not (project / ".dolittle").exists()


async def test_a_damaged_log_is_said_before_anything_is_delivered_and_can_be_read_up_to_there(
    open_service, tmp_path: Path
) -> None:
    async with open_service(*CLASSES, ephemeral=False, deliver=False) as service:
        for number in range(3):
            await service.commit(DishPrepared("Taco", number), source="a")
    [segment] = (tmp_path / "data" / "development" / "events" / "log").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"amount":1', b'"amount":7')
    segment.write_bytes(b"".join(lines))

    with pytest.raises(StoreDamaged, match=":2 "):
        async with open_service(*CLASSES, ephemeral=False, deliver=True):
            pass

    async with open_service(*CLASSES, ephemeral=False, deliver=False) as service:
        [last] = await service.store.read_last(Selection(stop=1), 5)
        assert last.position == 0
        with pytest.raises(StoreDamaged):
            await service.commit(DishPrepared("Taco"), source="a")
