"""What every delivery loop is given: store, state, clock, and how failures are retried."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from dolittle.events import EventContext
from dolittle.execution import ExecutionContext, Timer
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.state import FailingPartition, State
from dolittle.serialization import EventTypes, context_of
from dolittle.store import CommittedEvent, EventStore

log: Final = logging.getLogger("dolittle.delivery")

JITTER: Final = 0.2
"""A wait is lengthened by up to this share, so that partitions do not come back all at once."""

TRACEBACK_CHARACTERS_MAX: Final = 20_000


class Signal:
    """Wakes everyone who waits for the next change. It carries no value."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake everyone who waits now."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    def wait(self) -> Coroutine[Any, Any, object]:
        """Return at the next :meth:`notify` after this call, even one before it is awaited."""
        return self._event.wait()


@dataclass(frozen=True)
class Surroundings:
    """What the loops of one tenant share.

    Attributes:
        random: Returns a number from 0 up to 1; for the jitter.
        progressed: Notified whenever a position has moved or a partition has failed.
    """

    microservice: str
    tenant: str
    version: str
    environment: str
    store: EventStore
    state: State
    event_types: EventTypes
    clock: Timer
    retry: RetryPolicy
    random: Callable[[], float]
    progressed: Signal

    def context(self, event: CommittedEvent, *, is_replay: bool) -> EventContext:
        """Build what a handler is told about an event."""
        event_type = self.event_types.event_type(event.type_id)
        if event_type is None:
            raise LookupError(f"event type {event.type_id!r} is not loaded")
        return context_of(
            event,
            event_type,
            tenant=self.tenant,
            microservice=self.microservice,
            is_replay=is_replay,
        )

    def execution(self, event: CommittedEvent, handler: str) -> ExecutionContext:
        """Return the context of work that an event causes, done by a handler of that id."""
        return ExecutionContext(
            microservice=self.microservice,
            tenant=self.tenant,
            correlation=event.commit.correlation,
            causation=event.id,
            version=self.version,
            environment=self.environment,
            claims=event.commit.claims,
            handler=handler,
        )

    def failed(
        self,
        earlier: FailingPartition | None,
        *,
        name: str,
        build: int,
        partition: str,
        event: CommittedEvent,
        error: BaseException,
    ) -> FailingPartition:
        """Return the record of a failed attempt, and log it.

        The wait doubles from attempt to attempt up to the policy's limit, and after
        ``attempts_max`` attempts at one event its partition is parked.
        """
        again = earlier is not None and earlier.position == event.position
        attempts = earlier.attempts + 1 if earlier is not None and again else 1
        wait_s = wait_before_retry(self.retry, attempts, self.random())
        now = self.clock.now()
        is_parked = attempts >= self.retry.attempts_max
        text = "".join(traceback.format_exception(error))
        said = said_by(error)
        log.error(
            "%s could not handle %s at position %s (partition %r, attempt %s): %s; %s",
            name,
            self.event_types.alias(event.type_id),
            event.position,
            partition,
            attempts,
            said,
            f"parked: dolittle handlers show {name}"
            if is_parked
            else f"next try in {wait_s:.1f} s",
        )
        return FailingPartition(
            name=name,
            build=build,
            partition=partition,
            position=event.position,
            attempts=attempts,
            error=said,
            traceback=_storable(text[-TRACEBACK_CHARACTERS_MAX:]),
            failed_at=now,
            retry_at=now + timedelta(seconds=wait_s),
            is_parked=is_parked,
        )


def wait_before_retry(policy: RetryPolicy, attempts: int, random: float) -> float:
    """Return the seconds to wait after ``attempts`` failed attempts.

    Args:
        policy: First and longest wait.
        attempts: From 1.
        random: From 0 up to 1; stretches the wait by up to ``JITTER``.
    """
    doublings = min(attempts - 1, 30)
    wait_s: float = min(policy.delay_s * 2**doublings, policy.delay_s_max)
    return wait_s * (1 + JITTER * random)


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when one of some coroutines has returned; cancel the others.

    Raises:
        Exception: What the one that was done first raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def said_by(error: BaseException) -> str:
    """Return an error's type and message, also where the message itself cannot be made."""
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception as second:  # noqa: BLE001 - the message of an error that has no message
        said = f"{type(error).__name__} (its message raised {type(second).__name__})"
    return _storable(said)


def _storable(text: str) -> str:
    """Write lone surrogates as escapes, which no file or database takes as they are."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
