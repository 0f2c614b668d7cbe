from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dolittle.engines.memory import MemoryStore
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, CommittedEvent, EventToCommit, Selection
from dolittle_cli.sieve import Sieve

SOURCES = ("a", "b", "c", "d")


async def make_log(sources: list[str]) -> MemoryStore:
    store = MemoryStore()
    for number, source in enumerate(sources):
        event = EventToCommit("X", source, b'{"number":%d}' % number)
        await store.commit(Commit(f"c{number}", (event,), ExecutionContext()))
    return store


def is_even(event: CommittedEvent) -> bool:
    return event.position % 2 == 0


def sieve(*sources: str, start: int = 0, stop: int = 10_000, even: bool = False) -> Sieve:
    whole = Selection(start=start, stop=stop)
    selections = tuple(msgspec.structs.replace(whole, source=item) for item in sources) or (whole,)
    if not even:
        return Sieve(selections, Selection())
    return Sieve(selections, Selection(), is_even, is_sieved=True, is_wanted_later=is_even)


async def read(found: Sieve, store: MemoryStore) -> list[int]:
    return [event.position async for page in found.pages(store) for event in page.events]


@given(
    log=st.lists(st.sampled_from(SOURCES), max_size=40),
    sources=st.sets(st.sampled_from(SOURCES)),
    start=st.integers(0, 45),
    length=st.integers(0, 45),
    even=st.booleans(),
    count=st.integers(0, 10),
)
async def test_what_is_sieved_is_what_a_list_would_give(
    log: list[str], sources: set[str], start: int, length: int, even: bool, count: int
) -> None:
    store = await make_log(log)
    found = sieve(*sorted(sources), start=start, stop=start + length, even=even)
    expected = [
        position
        for position, source in enumerate(log)
        if start <= position < start + length
        and (not sources or source in sources)
        and (not even or position % 2 == 0)
    ]
    assert await read(found, store) == expected
    last = [event.position for event in await found.last(store, count)]
    assert last == (expected[-count:] if count else [])


async def test_several_sources_come_in_log_order_over_many_pages() -> None:
    store = await make_log([SOURCES[number % 3] for number in range(2_500)])
    assert await read(sieve("a", "c"), store) == [n for n in range(2_500) if n % 3 != 1]


async def test_the_last_ones_are_found_far_back() -> None:
    store = await make_log(["a"] * 5_000)
    found = Sieve((Selection(),), Selection(), lambda event: event.position < 3, is_sieved=True)
    assert [event.position for event in await found.last(store, 2)] == [1, 2]


async def test_a_part_of_a_range_is_within_the_range() -> None:
    store = await make_log(["a"] * 10)
    assert await read(sieve(start=2, stop=8).within(0, 5), store) == [2, 3, 4]
    assert await read(sieve(start=2, stop=8).within(4, 100), store) == [4, 5, 6, 7]


async def test_following_hands_on_only_what_is_wanted() -> None:
    store = await make_log(["a"] * 5)
    async for page in sieve(even=True).follow(store, 1):
        assert [event.position for event in page.events] == [2, 4]
        assert page.next_position == 5
        break
