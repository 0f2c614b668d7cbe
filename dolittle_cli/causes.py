"""The tree of what caused what, among events that belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dolittle.runtime.explaining import Explanation
from dolittle.store import CommittedEvent


@dataclass
class Caused:
    """An event in the tree.

    Attributes:
        microservice: In whose log it stands.
        cause: What caused it, as far as it is among the events.
        processors: The handlers and projections that take it, where that is known.
        emitters: The handlers of its microservice whose source commits its event type, or
            performs a command that applies it.
        maker: The name of the handler that made it; empty if that was not recorded.
    """

    microservice: str
    event: CommittedEvent
    cause: Caused | None = None
    effects: list[Caused] = field(default_factory=list)
    processors: Sequence[Explanation] = ()
    emitters: frozenset[str] = frozenset()
    maker: str = ""

    @property
    def after_s(self) -> float | None:
        """Seconds between its cause and itself, by the clocks of their logs."""
        if self.cause is None:
            return None
        return (self.event.commit.time - self.cause.event.commit.time).total_seconds()

    @property
    def handlers(self) -> list[str]:
        """The handler that made it, or where that was not recorded those that may have.

        Those may have that take its cause, in its microservice; those of them alone whose
        source emits it, where there is any.
        """
        if self.maker:
            return [self.maker]
        if self.cause is None or self.cause.microservice != self.microservice:
            return []
        taking = [
            item.name
            for item in self.cause.processors
            if item.kind == "handler" and item.method and item.gets is not False
        ]
        return [name for name in taking if name in self.emitters] or taking


def make_tree(items: Sequence[Caused]) -> list[Caused]:
    """Link events to their causes and return those that nothing among them caused, by time.

    Events that would cause one another in a circle, which only a forged log has, are roots too.
    """
    by_id = {item.event.id: item for item in items}
    ordered = sorted(items, key=_time)
    for item in ordered:
        cause = by_id.get(item.event.commit.causation)
        if cause is not None and not _is_within(item, cause):
            item.cause = cause
            cause.effects.append(item)
    return [item for item in ordered if item.cause is None]


def _is_within(item: Caused, cause: Caused) -> bool:
    """Tell whether an event is above (or is) what is to be its cause."""
    above: Caused | None = cause
    while above is not None:
        if above is item:
            return True
        above = above.cause
    return False


def walk(roots: Sequence[Caused]) -> Iterator[Caused]:
    """Yield every event of a tree, causes before their effects."""
    waiting = list(reversed(roots))
    while waiting:
        item = waiting.pop()
        yield item
        waiting.extend(reversed(item.effects))


def _time(item: Caused) -> tuple[object, str, int]:
    return item.event.commit.time, item.microservice, item.event.position
