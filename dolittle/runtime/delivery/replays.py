"""Which events a handler has handled before, so that a replay can tell them from new ones."""

from __future__ import annotations

from collections.abc import Mapping

from dolittle.runtime.state import Replay, Request
from dolittle.store import Position


def is_replayed(replay: Replay | None, partition: str, position: Position) -> bool:
    """Tell whether an event had been handled before the replay that is under way."""
    if replay is None or position >= replay.until:
        return False
    unhandled = replay.unhandled.get(partition)
    return unhandled is None or position < unhandled


def begun_replay(
    request: Request,
    *,
    position: Position,
    replay: Replay | None,
    failing: Mapping[str, Position],
) -> Replay:
    """Return the replay that a request begins.

    Args:
        request: What a person asked for.
        position: How far the handler has got.
        replay: The replay that is under way already, if any; what it still had to repeat
            counts as handled.
        failing: The position at which each failing partition waits.
    """
    until = max(position, replay.until) if replay is not None else position
    unhandled = {}
    for partition in {*failing, *(replay.unhandled if replay is not None else ())}:
        reached = failing.get(partition, position)
        if replay is not None:
            reached = max(reached, replay.unhandled.get(partition, replay.until))
        if reached < until:
            unhandled[partition] = reached
    return Replay(until, request.side_effects, unhandled)


def is_over(replay: Replay, position: Position, failing: Mapping[str, Position]) -> bool:
    """Tell whether nothing is left to repeat, neither ahead nor in a failing partition."""
    return position >= replay.until and all(at >= replay.until for at in failing.values())
