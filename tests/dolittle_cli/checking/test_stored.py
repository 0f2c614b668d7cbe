from __future__ import annotations

from dolittle import event_type
from dolittle.engines.memory import MemoryStore
from dolittle.execution import ExecutionContext
from dolittle.serialization import EventTypes
from dolittle.store import Commit, EventToCommit
from dolittle_cli.checking.stored import FAILURES_MAX, OTHER, Progress, Tried, try_events


@event_type
class DishPrepared:
    dish: str


async def test_kinds_of_failures_are_bounded_and_all_are_counted() -> None:
    store = MemoryStore()
    events = tuple(
        EventToCommit("DishPrepared", "Bar", b"{}", generation=number + 2)
        for number in range(FAILURES_MAX + 50)
    )
    await store.commit(Commit("c1", events, ExecutionContext()))
    tried = Tried()
    progress = Progress(lambda text: None, lambda: 0.0)
    await try_events(store, EventTypes([DishPrepared]), tried, progress, "development")
    assert tried.events == tried.unreadable == FAILURES_MAX + 50
    others = [key for key in tried.failures if key[2] == OTHER]
    assert len(tried.failures) - len(others) == FAILURES_MAX


async def test_progress_is_told_with_rate_and_cleared_at_the_end() -> None:
    store = MemoryStore()
    stored = EventToCommit("DishPrepared", "Bar", b'{"dish": "Taco"}')
    for number in range(3):
        await store.commit(Commit(f"c{number}", (stored,) * 1_000, ExecutionContext()))
    shown: list[str] = []
    seconds = iter(range(10))
    progress = Progress(shown.append, lambda: float(next(seconds)))
    await try_events(store, EventTypes([DishPrepared]), Tried(), progress, "north")
    assert shown[0] == "north: 1,000 of 3,000 events, 1,000 a second, 2 s left"
    assert shown[-1] == ""
