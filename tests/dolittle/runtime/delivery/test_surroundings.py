from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.delivery.replays import begun_replay, is_over, is_replayed
from dolittle.runtime.delivery.surroundings import JITTER, Signal, first_of, wait_before_retry
from dolittle.runtime.state import Replay, Request


@given(attempts=st.integers(1, 10_000), random=st.floats(0, 1, exclude_max=True))
def test_a_wait_doubles_up_to_the_limit_and_is_stretched_a_little(
    attempts: int, random: float
) -> None:
    policy = RetryPolicy(delay_s=0.5, delay_s_max=60)
    plain = min(0.5 * 2 ** min(attempts - 1, 30), 60)
    assert plain <= wait_before_retry(policy, attempts, random) <= plain * (1 + JITTER)


async def test_a_signal_between_looking_and_waiting_is_not_lost() -> None:
    signal = Signal()
    wait = signal.wait()
    signal.notify()
    await asyncio.wait_for(wait, 1)
    later = asyncio.ensure_future(signal.wait())
    await asyncio.sleep(0)
    assert not later.done()
    signal.notify()
    await asyncio.wait_for(later, 1)


async def test_the_first_of_several_waits_ends_them_all_and_its_error_comes_out() -> None:
    cancelled = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def fails() -> None:
        raise OSError("no disk")

    await first_of(long(), asyncio.sleep(0))
    with pytest.raises(OSError, match="no disk"):
        await first_of(long(), fails())
    assert cancelled == [1, 1]


Failing = dict[str, int]


def handled_before(
    position: int, replay: Replay | None, failing: Failing, partition: str, at: int
) -> bool:
    """Say by the meaning of the words whether an event has ever been handled."""
    if at < failing.get(partition, position):
        return True
    return is_replayed(replay, partition, at)


places = st.integers(0, 20)
failings = st.dictionaries(st.sampled_from("abc"), places, max_size=3)


@given(
    position=places,
    start=places,
    failing=failings,
    old=st.none() | st.builds(Replay, places, st.just(()), failings),
)
def test_a_replay_flags_exactly_what_had_been_handled(
    position: int, start: int, failing: Failing, old: Replay | None
) -> None:
    failing = {partition: at for partition, at in failing.items() if at < position}
    if old is not None:
        unhandled = {p: at for p, at in old.unhandled.items() if at < old.until}
        old = Replay(old.until, (), unhandled)
    request = Request("replay", "Announcer", position=start)
    begun = begun_replay(request, position=position, replay=old, failing=failing)
    for partition in "abcd":
        for at in range(25):
            was = handled_before(position, old, failing, partition, at)
            assert is_replayed(begun, partition, at) == was, (partition, at)


def test_a_replay_is_over_when_no_failing_partition_has_anything_left_of_it() -> None:
    replay = Replay(5)
    assert not is_over(replay, 4, {})
    assert not is_over(replay, 9, {"a": 4})
    assert is_over(replay, 5, {"a": 5})
