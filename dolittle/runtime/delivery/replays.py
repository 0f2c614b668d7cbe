"""Which events a handler has handled before, so that a replay can tell them from new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dolittle.runtime.state import FailingPartition, Replay, Request
from dolittle.store import START, CommittedEvent, Position


def is_replayed(replay: Replay | None, partition: str, position: Position) -> bool:
    """Tell whether an event had been handled before the replay that is under way."""
    if replay is None or position >= replay.until:
        return False
    unhandled = replay.unhandled.get(partition)
    return unhandled is None or position < unhandled


def is_passed_over(replay: Replay | None, partition: str, event: CommittedEvent) -> bool:
    """Tell whether an event that was handled before is none of those to be handled again."""
    if replay is None or not is_replayed(replay, partition, event.position):
        return False
    is_within = replay.start <= event.position < replay.stop
    return not is_within or replay.source not in ("", event.source)


def may_pass_over(replay: Replay | None, events: Sequence[CommittedEvent]) -> bool:
    """Tell whether a replay may pass over any of some events (1 or more, in order of the log)."""
    if replay is None:
        return False
    is_within = replay.start <= events[0].position and events[-1].position < replay.stop
    return not is_within or bool(replay.source)


def is_tried_again(replay: Replay, row: FailingPartition, *, partitioned: bool) -> bool:
    """Tell whether a replay begins anew with what a failing partition waits at.

    A handler that is not partitioned waits with everything, so nothing could be replayed else.
    """
    if not partitioned:
        return True
    is_within = replay.start <= row.position < replay.stop
    return is_within and replay.source in ("", row.partition)


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
    return Replay(
        until,
        request.side_effects,
        unhandled,
        start=min(request.position, until),
        stop=request.stop,
        source=request.source,
        speed=request.speed,
    )


def ended(replay: Replay) -> Replay:
    """Return a replay that handles nothing again any more, and is through in a moment."""
    return msgspec.structs.replace(replay, stop=START, speed=0.0)


def began_after(replay: Replay, began: Position | None) -> Position | None:
    """Return which event is a handler's first one of its own, once a replay is through.

    Args:
        replay: What was handled again.
        began: What it was before; ``None`` where that was not kept.
    """
    if began is None or replay.source or not replay.start < began <= replay.stop:
        return began
    return replay.start


def is_over(replay: Replay, position: Position, failing: Mapping[str, Position]) -> bool:
    """Tell whether nothing is left to repeat, neither ahead nor in a failing partition."""
    return position >= replay.until and not any(
        is_replayed(replay, partition, at) for partition, at in failing.items()
    )
