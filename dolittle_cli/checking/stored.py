"""Tries every stored event of every tenant with the classes as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dolittle.declarations import MARK
from dolittle.errors import DolittleError, UnreadableEvent
from dolittle.runtime.definition import Definition
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvent, Selection
from dolittle_cli.checking.findings import (
    STORE_UNUSABLE,
    STORED_UNDECLARED,
    STORED_UNREADABLE,
    Finding,
    find,
)
from dolittle_cli.project import STORE_FOLDER, Place

if TYPE_CHECKING:
    from dolittle.store import EventStore

FAILURES_MAX: Final = 100
"""Kinds of failures (type, generation, reason) that are told apart; further ones are counted."""

POSITIONS_SHOWN: Final = 3
"""Positions that are named for each kind of failure."""

SHOW_EVERY_S: Final = 0.1

OTHER: Final = "other reasons"


@dataclass
class Failure:
    """Events that cannot be read for the same reason: how many, and the first positions."""

    count: int = 0
    positions: list[int] = field(default_factory=list)

    def add(self, position: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.positions) < POSITIONS_SHOWN:
            self.positions.append(position)


@dataclass
class Tried:
    """What trying the events of one tenant came to.

    Attributes:
        failures: By event type id, generation and reason.
        undeclared: By event type ids that no class has.
    """

    events: int = 0
    failures: dict[tuple[str, int, str], Failure] = field(default_factory=dict)
    undeclared: dict[str, Failure] = field(default_factory=dict)

    @property
    def unreadable(self) -> int:
        """How many events cannot be read."""
        return sum(failure.count for failure in self.failures.values())


class Progress:
    """Tells how many events were tried, at most every ``SHOW_EVERY_S`` seconds."""

    def __init__(self, show: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._show, self._clock = show, clock
        self._started = self._shown = clock()

    def tell(self, tenant: str, done: int, total: int) -> None:
        """Take the events done and those there are."""
        now = self._clock()
        if now - self._shown < SHOW_EVERY_S:
            return
        self._shown = now
        rate = done / (now - self._started)
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        self._show(f"{tenant}: {done:,} of {total:,} events, {rate:,.0f} a second{left}")

    def end(self) -> None:
        """Clear what was shown."""
        self._show("")


async def check_stored(
    place: Place, definition: Definition, show: Callable[[str], None]
) -> tuple[list[Finding], Tried]:
    """Try the events of one tenant; nothing is changed.

    Args:
        place: The microservice and the tenant.
        definition: With the classes.
        show: Takes what is under way, an empty text at the end.
    """
    from dolittle.engines.file import FileStore

    folder = place.folder / STORE_FOLDER
    if not place.has_store:
        return [], Tried()
    try:
        store = await FileStore.open(
            folder, durability=place.configuration.durability, read_only=True
        )
    except DolittleError as error:
        return [find(STORE_UNUSABLE, folder, 0, str(error), error.hint)], Tried()
    tried = Tried()
    findings = []
    try:
        await try_events(
            store, definition.event_types, tried, Progress(show, time.monotonic), place.tenant
        )
    except DolittleError as error:
        findings.append(find(STORE_UNUSABLE, folder, 0, str(error), error.hint))
    finally:
        await store.close()
    return [*findings, *_findings(place, definition, tried)], tried


async def try_events(
    store: EventStore, event_types: EventTypes, tried: Tried, progress: Progress, tenant: str
) -> None:
    """Decode every event of a store, page by page; memory stays flat.

    Raises:
        StoreError: The store cannot be read.
    """
    total = (await store.facts()).events
    async for page in store.read(Selection()):
        for event in page.events:
            _try(event, event_types, tried)
        tried.events += len(page.events)
        progress.tell(tenant, tried.events, total)
    progress.end()


def _try(event: CommittedEvent, event_types: EventTypes, tried: Tried) -> None:
    if event.type_id not in event_types:
        tried.undeclared.setdefault(event.type_id, Failure()).add(event.position)
        return
    try:
        event_types.decode(event)
    except UnreadableEvent as error:
        key = (event.type_id, event.generation, error.reason)
        if key not in tried.failures and len(tried.failures) >= FAILURES_MAX:
            key = (event.type_id, event.generation, OTHER)
        tried.failures.setdefault(key, Failure()).add(event.position)


def _findings(place: Place, definition: Definition, tried: Tried) -> list[Finding]:
    found = []
    for (type_id, generation, reason), failure in sorted(tried.failures.items()):
        cls = definition.event_types.class_of(type_id)
        declared = cls.__dict__[MARK].place
        alias = definition.event_types.alias(type_id)
        found.append(
            find(
                STORED_UNREADABLE,
                declared.path,
                declared.line,
                f"{_count(failure)} of {alias}, generation {generation}, cannot be read "
                f"(tenant {place.tenant}, {_positions(failure)}): {reason}",
                "give new fields a default, or make a new generation with an upcaster; "
                f"see one: dolittle events show {failure.positions[0]} --tenant {place.tenant}",
            )
        )
    for type_id, failure in sorted(tried.undeclared.items()):
        found.append(
            find(
                STORED_UNDECLARED,
                place.folder / STORE_FOLDER,
                0,
                f"{_count(failure)} of the event type id {type_id!r}, which no class has "
                f"(tenant {place.tenant}, {_positions(failure)})",
                f'declare a class for it: @event_type("{type_id}"), or leave them',
            )
        )
    return found


def _count(failure: Failure) -> str:
    return "1 event" if failure.count == 1 else f"{failure.count:,} events"


def _positions(failure: Failure) -> str:
    shown = ", ".join(map(str, failure.positions))
    more = ", …" if failure.count > len(failure.positions) else ""
    return f"position{'s' if failure.count > 1 else ''} {shown}{more}"
