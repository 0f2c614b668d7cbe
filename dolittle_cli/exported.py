"""Events as lines of a file, whole: JSON Lines of our own and CloudEvents, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from dolittle.runtime.event_json import Aliases, time_json
from dolittle.store import CommittedEvent

SPEC_VERSION: Final = "1.0"
"""Source: CloudEvents, version 1.0.2, section "Required Attributes"."""


class ExportedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as one line: the keys of an event as JSON, and what an import needs beside.

    Attributes:
        content: The stored bytes, as they are.
        commit_events: How many events its commit has.
        microservice_version: Of the microservice that committed it.
        handler: The id of the event handler that made its commit; empty if none did.
    """

    position: int
    time: str
    type: str
    type_id: str
    generation: int = 1
    source: str
    aggregate: str | None = None
    version: int | None = None
    commit: str
    index: int
    correlation: str
    causation: str | None = None
    public: bool = False
    tenant: str
    content: msgspec.Raw
    microservice: str
    commit_events: int
    microservice_version: str = ""
    environment: str = ""
    claims: dict[str, str] = {}
    handler: str = ""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as CloudEvents has it, in its JSON format.

    Sources: CloudEvents 1.0.2; its JSON Event Format 1.0.2; its extensions ``sequence`` and
    ``correlation``. Names of extensions have small letters and digits only, and a value is no
    object: claims are one text of JSON.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    sequence: str
    correlationid: str
    causationid: str = ""
    alias: str = ""
    generation: int = 1
    aggregate: str = ""
    aggregateversion: int = 0
    ispublic: bool = False
    commitid: str
    commitindex: int = 0
    commitevents: int = 0
    microserviceversion: str = ""
    environment: str = ""
    claims: str = ""
    handler: str = ""
    data: msgspec.Raw


def exported(
    event: CommittedEvent,
    aliases: Aliases,
    *,
    microservice: str,
    tenant: str,
    commit_events: int,
    content: bytes = b"",
) -> ExportedEvent:
    """Return an event as a line of an export.

    Args:
        event: As it stands in the log.
        aliases: Of its event types.
        microservice: The name of its microservice.
        tenant: Whose log it stands in.
        commit_events: How many events its commit has.
        content: To be written instead of its own, where something in it is redacted.
    """
    commit = event.commit
    return ExportedEvent(
        position=event.position,
        time=time_json(commit.time),
        type=aliases.alias(event.type_id),
        type_id=event.type_id,
        generation=event.generation,
        source=event.source,
        aggregate=event.aggregate or None,
        version=event.version if event.aggregate else None,
        commit=commit.id,
        index=event.index,
        correlation=commit.correlation,
        causation=commit.causation or None,
        public=event.public,
        tenant=tenant,
        content=msgspec.Raw(content or event.content),
        microservice=microservice,
        commit_events=commit_events,
        microservice_version=commit.version,
        environment=commit.environment,
        claims=dict(commit.claims),
        handler=commit.handler,
    )


def as_cloud_event(event: ExportedEvent) -> CloudEvent:
    """Return a line of an export as CloudEvents has it."""
    claims = msgspec.json.encode(event.claims).decode() if event.claims else ""
    return CloudEvent(
        specversion=SPEC_VERSION,
        id=f"{event.commit}/{event.index}",
        source=f"/{quote(event.microservice, safe='')}/{quote(event.tenant, safe='')}",
        type=event.type_id,
        subject=event.source,
        time=event.time,
        datacontenttype="application/json",
        sequence=str(event.position),
        correlationid=event.correlation,
        causationid=event.causation or "",
        alias=event.type,
        generation=event.generation,
        aggregate=event.aggregate or "",
        aggregateversion=event.version or 0,
        ispublic=event.public,
        commitid=event.commit,
        commitindex=event.index,
        commitevents=event.commit_events,
        microserviceversion=event.microservice_version,
        environment=event.environment,
        claims=claims,
        handler=event.handler,
        data=event.content,
    )


def from_cloud_event(event: CloudEvent) -> ExportedEvent:
    """Return what a CloudEvent says, if it is one of ours.

    Raises:
        ValueError: It lacks what an import needs.
    """
    parts = event.source.split("/")
    if event.specversion != SPEC_VERSION or len(parts) != 3 or parts[0]:
        raise ValueError(f"a CloudEvent of source {event.source!r} was not exported by dolittle")
    claims = msgspec.json.decode(event.claims, type=dict[str, str]) if event.claims else {}
    return ExportedEvent(
        position=int(event.sequence),
        time=event.time,
        type=event.alias or event.type,
        type_id=event.type,
        generation=event.generation,
        source=event.subject,
        aggregate=event.aggregate or None,
        version=event.aggregateversion if event.aggregate else None,
        commit=event.commitid,
        index=event.commitindex,
        correlation=event.correlationid,
        causation=event.causationid or None,
        public=event.ispublic,
        tenant=unquote(parts[2]),
        content=event.data,
        microservice=unquote(parts[1]),
        commit_events=event.commitevents,
        microservice_version=event.microserviceversion,
        environment=event.environment,
        claims=claims,
        handler=event.handler,
    )


_own: Final = msgspec.json.Decoder(ExportedEvent)
_cloud: Final = msgspec.json.Decoder(CloudEvent)


def read_line(line: bytes) -> ExportedEvent:
    """Return what a line of an export says.

    Raises:
        ValueError: It is none; the message says why (msgspec's errors are ``ValueError``).
    """
    is_cloud = b'"specversion"' in line
    event = from_cloud_event(_cloud.decode(line)) if is_cloud else _own.decode(line)
    content: Any = msgspec.json.decode(event.content)
    if not isinstance(content, dict):
        raise ValueError("the content is no object")
    moment(event)
    return event


def moment(event: ExportedEvent) -> datetime:
    """Return the time of an exported event.

    Raises:
        ValueError: It is none, or has no offset.
    """
    time = datetime.fromisoformat(event.time)
    if time.tzinfo is None:
        raise ValueError(f"the time {event.time!r} has no offset")
    return time.astimezone(UTC)


# Redaction


class Redaction:
    """Fields of the content whose values are not to leave.

    A value is replaced by one of its own kind, so that the event type's class still reads it: a
    text by ``[redacted]``, a number by 0, ``true`` by ``false``, a list or object by an empty
    one. ``null`` stays.
    """

    def __init__(self, fields: Mapping[str, tuple[str, ...]]) -> None:
        """Make it; ``fields`` gives for each name as it was typed its steps into the content."""
        self._fields = fields
        self._found: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._fields)

    @property
    def missing(self) -> list[str]:
        """The fields that no event had so far."""
        return [name for name in self._fields if name not in self._found]

    def content(self, content: bytes) -> bytes:
        """Return an event's content with the values replaced."""
        value = msgspec.json.decode(content)
        has_any = False
        for name, steps in self._fields.items():
            if _redact(value, steps):
                self._found.add(name)
                has_any = True
        return msgspec.json.encode(value) if has_any else content


def _redact(value: Any, steps: tuple[str, ...]) -> bool:
    """Replace what lies at the end of some steps; through lists, in each of their items."""
    if isinstance(value, list):
        # Every one of them, so no `any`, which stops at the first.
        return sum(_redact(item, steps) for item in value) > 0
    if not isinstance(value, dict) or steps[0] not in value:
        return False
    if len(steps) > 1:
        return _redact(value[steps[0]], steps[1:])
    value[steps[0]] = _blank(value[steps[0]])
    return True


def _blank(value: Any) -> Any:
    if isinstance(value, bool):
        return False
    blanks: dict[type, Any] = {str: "[redacted]", int: 0, float: 0.0, list: [], dict: {}}
    return blanks.get(type(value))
