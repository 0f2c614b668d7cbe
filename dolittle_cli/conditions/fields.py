"""The fields of an event by name, as conditions and templates take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from dolittle.errors import suggest
from dolittle.runtime.event_json import Aliases, time_json
from dolittle.store import CommittedEvent

Step = str | int
"""A field's name, or a place in a list from 0 (negative: from its end)."""


class Subject:
    """One event of one microservice; its content is decoded when it is first asked for."""

    __slots__ = ("_content", "aliases", "event", "microservice", "tenant")

    def __init__(
        self, event: CommittedEvent, aliases: Aliases, microservice: str, tenant: str
    ) -> None:
        self.event = event
        self.aliases = aliases
        self.microservice = microservice
        self.tenant = tenant
        self._content: Any = None

    @property
    def content(self) -> Any:
        """The event's fields, as JSON values."""
        if self._content is None:
            self._content = msgspec.json.decode(self.event.content)
        return self._content


FIELDS: Final[Mapping[str, Callable[[Subject], Any]]] = {
    "position": lambda subject: subject.event.position,
    "time": lambda subject: time_json(subject.event.commit.time),
    "type": lambda subject: subject.aliases.alias(subject.event.type_id),
    "type_id": lambda subject: subject.event.type_id,
    "generation": lambda subject: subject.event.generation,
    "source": lambda subject: subject.event.source,
    "aggregate": lambda subject: subject.event.aggregate or None,
    "version": lambda subject: subject.event.version if subject.event.aggregate else None,
    "id": lambda subject: subject.event.id,
    "commit": lambda subject: subject.event.commit.id,
    "index": lambda subject: subject.event.index,
    "correlation": lambda subject: subject.event.commit.correlation,
    "causation": lambda subject: subject.event.commit.causation or None,
    "handler": lambda subject: subject.event.commit.handler or None,
    "public": lambda subject: subject.event.public,
    "microservice": lambda subject: subject.microservice,
    "tenant": lambda subject: subject.tenant,
    "content": lambda subject: subject.content,
}
"""The fields: the keys of an event as JSON, and ``id``, ``handler`` and ``microservice``."""


class _Missing:
    """Stands for a field that is not there, which is not the same as ``null``."""


MISSING: Final = _Missing()


def follow(value: Any, steps: Sequence[Step]) -> Any:
    """Return what lies at the end of some steps into JSON values; ``MISSING`` if nothing does."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return MISSING
            value = value[step]
        else:
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return MISSING
            value = value[step]
    return value


def unknown_field(name: str) -> str:
    """Return a hint for a name that is no field of an event."""
    near = suggest(name, FIELDS)
    if near.startswith("did you mean"):
        return near
    return f"a field of the content is content.{name}; others are: {', '.join(FIELDS)}"
