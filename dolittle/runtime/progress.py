"""How far handlers and projections have got, and waiting until they have seen an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from dolittle.errors import ProjectionFailed, Unknown, WaitTimedOut
from dolittle.runtime.definition import Definition
from dolittle.runtime.delivery.projecting import unknown_key
from dolittle.runtime.delivery.surroundings import Signal
from dolittle.runtime.state import FailingPartition, Processor, State, active, newest
from dolittle.store import EventStore, Position, Selection

LOOK_AGAIN_S: Final = 0.02
"""How often a position is looked at that another process moves."""


@dataclass(frozen=True)
class ProcessorStatus:
    """How far a handler or projection has got.

    Attributes:
        name: The class name.
        id: Under which its position is kept.
        kind: ``handler`` or ``projection``.
        position: Every event before it was handled or is in a failing partition.
        behind: How many events of its types are still to come; 0 if it is level.
        is_started: Whether it has ever run.
        is_replaying: Whether a replay or rebuild is under way.
    """

    name: str
    id: str
    kind: str
    position: Position
    behind: int
    is_started: bool
    is_replaying: bool
    failing: tuple[FailingPartition, ...] = ()


@dataclass(frozen=True)
class Progress:
    """What the state of one tenant says about its handlers and projections."""

    definition: Definition
    store: EventStore
    state: State

    async def wait_until_seen(
        self,
        name: str,
        position: Position,
        *,
        timeout_s: float,
        key: str,
        progressed: Signal,
        is_ours: Callable[[], bool],
    ) -> None:
        """Wait until a handler or projection has seen the event at a position.

        Args:
            name: Its class name or id.
            position: Of an event, e.g. ``committed.position``.
            timeout_s: Seconds.
            key: Of a projection's document, or empty; then failures of other keys do not matter.
            progressed: Notified when this process has moved a position.
            is_ours: Whether this process delivers; else another one moves the position.

        Raises:
            Unknown: There is no such handler or projection.
            WaitTimedOut: It did not get there in time.
            ProjectionFailed: It is a projection, and an event up to that position failed.
        """
        declaration = processor_declaration(self.definition, name)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        seen: Position = 0
        while True:
            change = asyncio.ensure_future(progressed.wait())
            try:
                current = await self._current(declaration.id)
                if current is not None:
                    seen = current.position
                    if seen > position:
                        await self._check_not_failing(declaration.name, current, position, key)
                        return
                remaining = end - loop.time()
                if remaining <= 0:
                    kind = self._kind_of(declaration)
                    raise WaitTimedOut(declaration.name, position, seen, timeout_s, kind=kind)
                pause = remaining if is_ours() else min(remaining, LOOK_AGAIN_S)
                await asyncio.wait([change], timeout=pause)
            finally:
                change.cancel()

    async def _current(self, name: str) -> Processor | None:
        """Return the build that readers see, once its code is that of the loaded projection."""
        current = active(await self.state.processors(name))
        if current is None:
            return None
        for projection in self.definition.projections.values():
            if projection.id == name and projection.fingerprint != current.fingerprint:
                return None
        return current

    async def _check_not_failing(
        self, name: str, current: Processor, position: Position, key: str
    ) -> None:
        if current.kind != "projection":
            return
        for row in await self.state.failing(current.name):
            if row.build != current.build or row.position > position:
                continue
            is_this_one = row.position == position and row.partition == unknown_key(position)
            if is_this_one or key in ("", row.partition):
                raise ProjectionFailed(name, row.partition, row.position, row.error)

    def _kind_of(self, declaration: Any) -> str:
        return "handler" if declaration.name in self.definition.handlers else "projection"

    async def status(self, name: str) -> ProcessorStatus:
        """Return how far a handler or projection has got.

        ``behind`` is counted up to 10,000 events; a handler that is yet to begin, and begins with
        what comes then, has none.

        Raises:
            Unknown: There is no such handler or projection.
        """
        declaration = processor_declaration(self.definition, name)
        builds = await self.state.processors(declaration.id)
        current = active(builds)
        latest = newest(builds)
        position = current.position if current else 0
        behind = 0
        if current is not None or getattr(declaration, "start_from", "beginning") != "now":
            types = frozenset(declaration.methods)
            behind = await self._count(Selection(start=position, types=types))
        failing = [
            row
            for row in await self.state.failing(declaration.id)
            if current is not None and row.build == current.build
        ]
        return ProcessorStatus(
            name=declaration.name,
            id=declaration.id,
            kind=self._kind_of(declaration),
            position=position,
            behind=behind,
            is_started=current is not None,
            is_replaying=current is not None and _is_replaying(current, latest),
            failing=tuple(failing),
        )

    async def _count(self, selection: Selection, limit: int = 10_000) -> int:
        count = 0
        async for page in self.store.read(selection):
            count += len(page.events)
            if count >= limit:
                break
        return count


def processor_declaration(definition: Definition, name: str) -> Any:
    """Return the declaration of a handler or projection, by class name or id.

    Raises:
        Unknown: There is none.
    """
    for known in (definition.handlers, definition.projections):
        for declaration in known.values():
            if name in (declaration.name, declaration.id):
                return declaration
    names = [*definition.handlers, *definition.projections]
    raise Unknown("event handler or projection", name, names)


def _is_replaying(current: Processor, latest: Processor | None) -> bool:
    """Tell whether a handler is on its way through a replay, or a projection is rebuilt."""
    if latest is not None and latest.build != current.build:
        return True
    return current.replay is not None and current.position < current.replay.until
