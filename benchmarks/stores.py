"""The stores of dolittle that are measured: how events become commits, and the prepared logs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from benchmarks.measuring import Figures, Work, disk_bytes
from benchmarks.order import AGGREGATE, TYPE, Order, of_writer, plain_json_bytes, with_one
from dolittle.engines.file import FileStore
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import Commit, CommittedEvents, EventToCommit, Stream

EVENTS: Final = Path(".dolittle") / "development" / "events"
"""Where a microservice's project keeps the events of its first tenant."""

STATE: Final = Path(".dolittle") / "development"
_QUEUED_MAX: Final = 64

_CONTEXT: Final = ExecutionContext(microservice="orders")
_PROJECT: Final = '[microservice]\nname = "orders"\npackage = "benchmarks.service"\n'


def as_commit(orders: Sequence[Order], *, is_expecting: bool = True) -> Commit:
    """Return the commit of some events; each is applied by the aggregate of its event source.

    Args:
        orders: What to commit.
        is_expecting: Whether the commit names the version that the aggregate must have.
    """
    expected = {
        Stream(AGGREGATE, order.source): order.version - 1 for order in orders if is_expecting
    }
    events = tuple(
        EventToCommit(TYPE, order.source, order.content, aggregate=AGGREGATE) for order in orders
    )
    return Commit(new_id(), events, _CONTEXT, expected)


def commits_of_writers(writers: int, each: int) -> list[list[Commit]]:
    """Return what each of many writers commits.

    Made in turn, so that ids sort by time as they do where a commit is made when it is needed.
    """
    made: list[list[Commit]] = [[] for _ in range(writers)]
    for commits in zip(*(of_writer(writer, each) for writer in range(writers)), strict=True):
        for writer, orders in enumerate(commits):
            made[writer].append(as_commit(orders))
    return made


def prepare(work: Work, name: str, events: int, per_commit: int) -> Figures:
    """Make the project ``data/name`` with a log; durability ``os``, since nothing is measured."""
    project = work.data / name
    (project / EVENTS).mkdir(parents=True)
    (project / "dolittle.toml").write_text(_PROJECT)
    return asyncio.run(_fill(project / EVENTS, with_one(events, per_commit)))


async def _fill(folder: Path, commits: Iterable[list[Order]]) -> Figures:
    store = await FileStore.open(folder, durability="os")
    waiting: deque[Future[CommittedEvents]] = deque()
    json_bytes = 0
    for orders in commits:
        json_bytes += sum(map(plain_json_bytes, orders))
        waiting.append(store.submit(as_commit(orders, is_expecting=False)))
        if len(waiting) > _QUEUED_MAX:
            waiting.popleft().result()
    while waiting:
        waiting.popleft().result()
    await store.close()
    stored = disk_bytes(folder)
    log = disk_bytes(folder / "log")
    return {"ratio": stored / json_bytes, "log alone": log / json_bytes, "MB": stored / 1e6}
