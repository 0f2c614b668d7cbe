"""Calls the methods of one event handler: async ones on the event loop, the others in threads."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import msgspec

from dolittle.errors import UnreadableEvent
from dolittle.events import EventContext
from dolittle.execution import ExecutionContext, execution_context
from dolittle.handlers import EventHandlerDeclaration, HandlerMethod
from dolittle.runtime.delivery.replays import is_replayed
from dolittle.runtime.delivery.surroundings import Surroundings
from dolittle.runtime.state import Replay
from dolittle.store import CommittedEvent

TURN_S: Final = 0.1
"""How long a thread handles events before it reports, so that positions are saved."""

TURN_EVENTS_MAX: Final = 500

Error = BaseException | None


class Work(msgspec.Struct, frozen=True, gc=False):
    """One event for one method."""

    event: CommittedEvent
    method: HandlerMethod
    partition: str


class Calls:
    """Calls one event handler, with the event and the context that the method asks for."""

    def __init__(
        self, declaration: EventHandlerDeclaration, instance: Any, around: Surroundings
    ) -> None:
        self._id = declaration.id
        self._instance = instance
        self._around = around
        self._in_hand: dict[int, Work] = {}
        self._threads = ThreadPoolExecutor(
            declaration.concurrency, thread_name_prefix=f"dolittle-{declaration.name}"
        )

    def close(self) -> None:
        """Let go of the threads; a call under way is finished."""
        self._threads.shutdown(wait=False)

    @property
    def in_hand(self) -> list[str]:
        """The calls that are under way, in words: the method and its event."""
        return [
            f"{work.method.name}, with event {work.event.position} of {work.event.source!r}"
            for work in list(self._in_hand.values())
        ]

    async def turn(
        self, works: Sequence[Work], replay: Replay | None, is_halted: Callable[[], bool]
    ) -> list[Error]:
        """Handle the first of some events, or as many ``def`` methods' events as fit one turn.

        Args:
            works: 1 or more, in order. The turn ends at an ``async def`` method, a failure,
                ``TURN_S`` or ``TURN_EVENTS_MAX``.
            replay: The replay that is under way, if any.
            is_halted: Whether the turn is to end after the event in hand; called in a thread.

        Returns:
            What each event that was handled raised, or ``None``; only the last can have failed.
        """
        if works[0].method.is_async:
            return [await self._await(works[0], replay)]
        turn: list[Work] = []
        for work in works:
            if work.method.is_async or len(turn) >= TURN_EVENTS_MAX:
                break
            turn.append(work)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._call_all, turn, replay, is_halted)

    def _call_all(
        self, turn: list[Work], replay: Replay | None, is_halted: Callable[[], bool]
    ) -> list[Error]:
        end = time.monotonic() + TURN_S
        errors: list[Error] = []
        decoded = self._decoded(turn)
        in_hand, key = self._in_hand, id(turn)
        # The thread has no context of its own to go back to: one block serves the whole turn.
        with execution_context(self._execution(turn[0])) as block:
            for index, work in enumerate(turn):
                if not _is_left_out(work, replay):
                    in_hand[key] = work
                    # Most methods never ask for it, and making it costs as much as decoding.
                    block.change(self._execution(work))
                    error = self._call(work, replay, decoded[index : index + 1])
                    errors.append(error)
                    if error is not None:
                        break
                else:
                    errors.append(None)
                if is_halted() or time.monotonic() >= end:
                    break
        in_hand.pop(key, None)
        return errors

    def _decoded(self, turn: list[Work]) -> list[Any]:
        """Decode all events at once; nothing where one is unreadable, which then fails alone."""
        try:
            return self._around.event_types.decode_all([work.event for work in turn])
        except UnreadableEvent:
            return []

    def _execution(self, work: Work) -> Callable[[], ExecutionContext]:
        return partial(self._around.execution, work.event, self._id)

    def _call(self, work: Work, replay: Replay | None, decoded: Sequence[Any]) -> Error:
        try:
            arguments = self._arguments(work, replay, decoded)
            result = work.method.function(self._instance, *arguments)
            if result is not None and inspect.isawaitable(result):
                raise _never_awaited(work.method.name, result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - recorded as the partition's failure
            return error
        return None

    async def _await(self, work: Work, replay: Replay | None) -> Error:
        if _is_left_out(work, replay):
            return None
        self._in_hand[id(work)] = work
        try:
            arguments = self._arguments(work, replay, ())
            with execution_context(self._execution(work)):
                await work.method.function(self._instance, *arguments)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return error  # something that the method awaited was cancelled, not this task
        except (Exception, SystemExit) as error:  # noqa: BLE001 - recorded as the partition's failure
            return error
        finally:
            del self._in_hand[id(work)]
        return None

    def _arguments(
        self, work: Work, replay: Replay | None, decoded: Sequence[Any]
    ) -> tuple[Any] | tuple[Any, EventContext]:
        """Return what a method is called with; decode the event if it has not been."""
        event = decoded[0] if decoded else self._around.event_types.decode(work.event)
        if not work.method.takes_context:
            return (event,)
        is_replay = is_replayed(replay, work.partition, work.event.position)
        return event, self._around.context(work.event, is_replay=is_replay)


def _is_left_out(work: Work, replay: Replay | None) -> bool:
    """Tell whether a replay leaves a side effect out."""
    return (
        replay is not None
        and work.method.is_side_effect
        and work.method.name not in replay.side_effects
        and is_replayed(replay, work.partition, work.event.position)
    )


def _never_awaited(method: str, result: Any) -> TypeError:
    if inspect.iscoroutine(result):
        result.close()
    return TypeError(
        f"{method} is no async def, and returned something to be awaited: nothing was done; "
        "make it (or what wraps it) async def"
    )
