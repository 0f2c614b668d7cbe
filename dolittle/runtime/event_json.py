"""A committed event as the JSON object that people and programs read: one shape everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from dolittle.store import CommittedEvent


class Aliases(Protocol):
    """Tells what people read for a stored event type id; ``EventTypes`` does."""

    def alias(self, type_id: str) -> str:
        """Return the alias, or the id itself where there is none."""
        ...


def event_json(event: CommittedEvent, event_types: Aliases, tenant: str) -> dict[str, Any]:
    """Return a committed event as JSON-like values.

    Args:
        event: The event as it stands in the log.
        event_types: Gives the alias of the stored id; one that it lacks is shown by its id.
        tenant: The tenant whose log it stands in.

    Returns:
        The keys, always all of them, in this order: ``position time type type_id generation
        source aggregate version commit index correlation causation public tenant content``.
        ``aggregate`` and ``version`` are ``None`` where no aggregate root applied the event,
        ``causation`` is ``None`` where nothing is known to have caused it, ``time`` is RFC 3339
        in UTC, and ``content`` holds the event's fields.
    """
    commit = event.commit
    return {
        "position": event.position,
        "time": time_json(commit.time),
        "type": event_types.alias(event.type_id),
        "type_id": event.type_id,
        "generation": event.generation,
        "source": event.source,
        "aggregate": event.aggregate or None,
        "version": event.version if event.aggregate else None,
        "commit": commit.id,
        "index": event.index,
        "correlation": commit.correlation,
        "causation": commit.causation or None,
        "public": event.public,
        "tenant": tenant,
        "content": msgspec.json.decode(event.content),
    }


def time_json(time: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC: ``2026-01-31T10:00:00.000000Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
