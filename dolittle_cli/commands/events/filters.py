"""Which events ``tail`` and ``list`` are asked for, from words to a selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dolittle.execution import Clock
from dolittle.store import EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.ranges import Bound, parse, select


@dataclass(frozen=True)
class Filters:
    """What was asked for; event types by alias or id, not yet looked up."""

    start: Bound | None
    stop: Bound | None
    types: tuple[str, ...]
    source: str
    correlation: str

    @classmethod
    def parse(
        cls,
        start: str | None,
        stop: str | None,
        types: Sequence[str] | None,
        source: str,
        correlation: str,
    ) -> Filters:
        """Read the options.

        Raises:
            WrongUsage: ``start`` or ``stop`` is no place in an event log.
        """
        return cls(
            parse(start) if start is not None else None,
            parse(stop) if stop is not None else None,
            tuple(types or ()),
            source,
            correlation,
        )

    async def selection(self, store: EventStore, aliases: Aliases, clock: Clock) -> Selection:
        """Look up what was asked for in a log.

        Raises:
            Unknown: An event type is neither declared nor stored, or no event has an id.
            CommandLineError: A position is beyond the end.
        """
        stored = await store.type_counts() if self.types else {}
        within = Selection(
            types=frozenset(aliases.type_id(name, stored) for name in self.types),
            source=self.source,
            correlation=self.correlation,
        )
        return await select(store, clock, self.start, self.stop, within)
