"""Why a handler or projection gets an event, or does not: decided from declarations and state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, Literal

from dolittle.errors import UnreadableEvent
from dolittle.handlers import EventHandlerDeclaration
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.state import FailingPartition, Processor, active, newest
from dolittle.serialization import context_of
from dolittle.store import CommittedEvent, Position, Selection

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

AHEAD_MAX: Final = 10_000
"""Events that come before the one that is asked for are counted up to here."""

Status = Literal[
    "handled",
    "waiting",
    "not started",
    "failing",
    "parked",
    "held up",
    "unreadable",
    "passed",
    "starts later",
    "began later",
    "not handled",
    "not declared",
]
GETS: Final[Mapping[Status, bool | None]] = {
    "handled": True,
    "waiting": True,
    "not started": True,
    "failing": True,
    "parked": True,
    "held up": True,
    "unreadable": False,
    "passed": None,
    "starts later": False,
    "began later": False,
    "not handled": False,
    "not declared": False,
}
"""Whether a status means that the event reaches it (was, is, or will be tried)."""


@dataclass(frozen=True)
class Explanation:
    """What one handler or projection makes of an event.

    Attributes:
        name: The class name.
        kind: ``handler`` or ``projection``.
        status: In a word.
        why: In a sentence for people.
        method: Of the class, that takes the event; empty if none does.
        partition: The handler's partition, or the projection's key; empty where there is none
            or it cannot be told.
        position: How far it is; ``None`` if it has never run.
        failing: The failing partition that the event belongs to, if any.
    """

    name: str
    kind: Literal["handler", "projection"]
    status: Status
    why: str
    method: str = ""
    partition: str = ""
    position: Position | None = None
    failing: FailingPartition | None = None

    @property
    def gets(self) -> bool | None:
        """Whether the event reaches it; ``None`` where that cannot be told."""
        return GETS[self.status]


@dataclass(frozen=True)
class Standing:
    """How far a handler or projection has got, as far as one event is concerned.

    Attributes:
        processor: ``None`` if it has never run.
        failing: Its failing partitions.
        ahead: How many events it takes before the one that is asked for, up to ``AHEAD_MAX``.
    """

    processor: Processor | None
    failing: Sequence[FailingPartition] = ()
    ahead: int = 0


async def explain_event(microservice: Microservice, event: CommittedEvent) -> list[Explanation]:
    """Return for each handler and projection whether and why it gets a stored event."""
    definition = microservice.definition
    unread = _unread(microservice, event)
    found = []
    for handler in definition.handlers.values():
        standing = await _standing(microservice, handler, event)
        known = "" if handler.partitioned is False else event.source
        found.append(judge(handler, event, standing, partition=known, unread=unread))
    for projection in definition.projections.values():
        standing = await _standing(microservice, projection, event)
        key, problem = _key(microservice, projection, event)
        judged = judge(projection, event, standing, partition=key, unread=unread or problem)
        found.append(_with_rebuild(judged, projection, standing.processor))
    if event.type_id in microservice.event_types:
        return found
    reason = f"no class of this microservice has the event type id {event.type_id!r}"
    return [replace(item, status="not declared", why=reason) for item in found]


def judge(
    declaration: EventHandlerDeclaration | ProjectionDeclaration,
    event: CommittedEvent,
    standing: Standing,
    *,
    partition: str,
    unread: str,
) -> Explanation:
    """Decide what becomes of an event.

    Args:
        declaration: Of the handler or projection.
        event: The event.
        standing: How far it has got.
        partition: The handler's partition, or the projection's key; empty: the whole handler,
            or a key that cannot be told.
        unread: Why the event cannot be read; empty if it can.
    """
    is_handler = isinstance(declaration, EventHandlerDeclaration)
    position = standing.processor.position if standing.processor else None
    method = declaration.methods.get(event.type_id)
    item = Explanation(
        declaration.name,
        "handler" if is_handler else "projection",
        "not handled",
        f"it takes {_types(declaration)} only",
        position=position,
    )
    if method is None:
        return item
    item = replace(item, method=method.name, partition=partition)
    starts_now = isinstance(declaration, EventHandlerDeclaration) and (
        declaration.start_from == "now"
    )
    if position is None:
        return _before_its_first_run(item, starts_now=starts_now, unread=unread)
    row = _row(standing.failing, partition, event)
    if row is not None:
        return _held(item, row, event)
    if event.position < position:
        began = standing.processor.began if standing.processor else None
        if starts_now and began is None:
            why = 'it is past it; it has handled it unless it first ran later (start_from="now")'
            return replace(item, status="passed", why=why)
        if began is not None and event.position < began:
            why = f'it began at position {began} (start_from="now"); a replay can go further back'
            return replace(item, status="began later", why=why)
        return replace(item, status="handled", why=_done(declaration, method, partition))
    if unread:
        return replace(item, status="unreadable", why=f"it will fail there: {unread}")
    return replace(item, status="waiting", why=_still_to_come(position, standing))


def _before_its_first_run(item: Explanation, *, starts_now: bool, unread: str) -> Explanation:
    if starts_now:
        why = 'it has never run, and begins with the first event after that (start_from="now")'
        return replace(item, status="starts later", why=why)
    if unread:
        return replace(item, status="unreadable", why=f"it will fail there: {unread}")
    return replace(item, status="not started", why="it has never run, and gets it once it does")


def _types(declaration: EventHandlerDeclaration | ProjectionDeclaration) -> str:
    return ", ".join(method.event_class.__name__ for method in declaration.methods.values())


def _row(
    failing: Sequence[FailingPartition], partition: str, event: CommittedEvent
) -> FailingPartition | None:
    """Return the failing partition that holds the event, if any."""
    # An event whose key cannot be told is a partition of its own.
    names = (partition, f"event {event.position}")
    return next(
        (row for row in failing if row.partition in names and row.position <= event.position), None
    )


def _held(item: Explanation, row: FailingPartition, event: CommittedEvent) -> Explanation:
    what = f"key {row.partition!r}" if item.kind == "projection" else f"partition {row.partition!r}"
    if not row.partition:
        what = "the handler"
    retry = row.retry_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    then = "it waits for retry or skip" if row.is_parked else f"next try {retry}"
    times = "attempt" if row.attempts == 1 else "attempts"
    if row.position < event.position:
        why = f"{what} waits at position {row.position} ({row.error}); {then}"
        return replace(item, status="held up", why=why, failing=row)
    failed = f"{row.attempts} {times} failed: {row.error}; {then}"
    status: Status = "parked" if row.is_parked else "failing"
    return replace(item, status=status, why=failed, failing=row)


def _done(
    declaration: EventHandlerDeclaration | ProjectionDeclaration, method: Any, partition: str
) -> str:
    if isinstance(declaration, ProjectionDeclaration):
        return f"folded into the read model {partition!r}" if partition else "folded"
    left_out = " (a side effect: a replay leaves it out)" if method.is_side_effect else ""
    return f"its position is past it{left_out}"


def _still_to_come(position: Position, standing: Standing) -> str:
    processor = standing.processor
    count = f"{standing.ahead:,}{' or more' if standing.ahead >= AHEAD_MAX else ''}"
    first = f", {count} of its events come first" if standing.ahead else ", it is the next one"
    again = " again (a replay is under way)" if processor and processor.replay else ""
    return f"it is at position {position}, and gets it{again}{first}"


def _with_rebuild(
    item: Explanation, declaration: ProjectionDeclaration, processor: Processor | None
) -> Explanation:
    if processor is None or processor.fingerprint == declaration.fingerprint or not item.method:
        return item
    return replace(item, why=f"{item.why}; its code has changed since: it is rebuilt when it runs")


# What the decision is made from


async def _standing(
    microservice: Microservice,
    declaration: EventHandlerDeclaration | ProjectionDeclaration,
    event: CommittedEvent,
) -> Standing:
    builds = await microservice.state.processors(declaration.id)
    processor = active(builds) or newest(builds)
    if processor is None or event.type_id not in declaration.methods:
        return Standing(processor)
    rows = await microservice.state.failing(declaration.id)
    failing = [row for row in rows if row.build == processor.build]
    ahead = await _count(microservice, declaration, processor.position, event.position)
    return Standing(processor, failing, ahead)


async def _count(
    microservice: Microservice,
    declaration: EventHandlerDeclaration | ProjectionDeclaration,
    start: Position,
    stop: Position,
) -> int:
    if start >= stop:
        return 0
    selection = Selection(start=start, stop=stop, types=frozenset(declaration.methods))
    count = 0
    async for page in microservice.store.read(selection):
        count += len(page.events)
        if count >= AHEAD_MAX:
            break
    return min(count, AHEAD_MAX)


def _unread(microservice: Microservice, event: CommittedEvent) -> str:
    """Return why an event cannot be read, or an empty string."""
    try:
        microservice.event_types.decode(event)
    except UnreadableEvent as error:
        return error.reason
    return ""


def _key(
    microservice: Microservice, declaration: ProjectionDeclaration, event: CommittedEvent
) -> tuple[str, str]:
    """Return the key that an event goes to, and why it cannot be told."""
    method = declaration.methods.get(event.type_id)
    event_type = microservice.event_types.event_type(event.type_id)
    if method is None or event_type is None:
        return "", ""
    try:
        value = microservice.event_types.decode(event)
        context = context_of(
            event, event_type, tenant=microservice.tenant, microservice=microservice.name
        )
        return method.key.select(value, context), ""
    except UnreadableEvent as error:
        return "", error.reason
    except Exception as error:  # noqa: BLE001 - the key's function is the user's; it is told
        return "", f"its key cannot be told: {type(error).__name__}: {error}"
