"""What an event log shows: which aggregate applied what, and which events caused which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from dolittle.store import CommittedEvent, EventStore, Selection

EVENTS_DEFAULT: Final = 100_000
"""How many of the last events are looked at unless told otherwise."""

CAUSES_KEPT_MAX: Final = 200_000
"""Types of earlier events that are remembered, to find what caused an event."""


@dataclass(frozen=True)
class Seen:
    """Counts of what an event log shows, by stored ids.

    Attributes:
        applied: By aggregate root's id and event type's id.
        caused: By the event type's id of the cause (empty where it is not in the log), that of
            what it caused, and the id of the handler that made it (empty where not recorded).
        published: By event type's id, events that are public.
        types: How many events of each event type's id the whole log has.
    """

    applied: Counter[tuple[str, str]] = field(default_factory=Counter)
    caused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    has_more: bool = False


async def look_at(store: EventStore, count: int) -> Seen:
    """Look at the last ``count`` events of a log, 0 or more.

    Causes are found among them, and otherwise by the commit that the causation names. A
    causation that names no event (a request of a caller) is passed over, unless a handler is
    recorded.
    """
    types = Counter(await store.type_counts())
    total = types.total()
    applied: Counter[tuple[str, str]] = Counter()
    caused: Counter[tuple[str, str, str]] = Counter()
    published: Counter[str] = Counter()
    known: dict[str, str] = {}
    looked_at = 0
    if count:
        selection = await _last(store, count, total)
        async for page in store.read(selection):
            for event in page.events:
                looked_at += 1
                if event.aggregate:
                    applied[event.aggregate, event.type_id] += 1
                cause, handler = await _cause(store, event, known), event.commit.handler
                if cause or handler:
                    caused[cause, event.type_id, handler] += 1
                if event.public:
                    published[event.type_id] += 1
                if len(known) < CAUSES_KEPT_MAX:
                    known[event.id] = event.type_id
    return Seen(applied, caused, published, types, looked_at, has_more=looked_at < total)


async def _last(store: EventStore, count: int, total: int) -> Selection:
    if count >= total:
        return Selection()
    first = (await store.read_last(Selection(), count))[0]
    return Selection(start=first.position)


async def _cause(store: EventStore, event: CommittedEvent, known: dict[str, str]) -> str:
    """Return the event type id of what caused an event; empty if it is no event of this log."""
    causation = event.commit.causation
    if not causation:
        return ""
    if causation not in known:
        commit_id, _, index = causation.partition("/")
        committed = await store.find_commit(commit_id)
        found = [item for item in committed.events if str(item.index) == index] if committed else []
        known[causation] = found[0].type_id if found else ""
    return known[causation]
