"""Events to bytes and back; JSON payloads checked against the classes they are meant for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from dolittle.constraints import violation_of
from dolittle.errors import PayloadDoesNotFit, UnreadableEvent, suggest
from dolittle.events import EventContext, EventType, event_type_of
from dolittle.store import CommittedEvent, EventClasses, UnbuiltEvents, encoded

NESTING_MAX: Final = 64
"""How deep JSON from outside may nest."""


class EventTypes:
    """The event types of one microservice: classes by stored id, and back.

    A stored event of an older generation is read through the upcasters of its type.
    """

    def __init__(
        self,
        classes: Iterable[type] = (),
        upcasters: Mapping[str, Sequence[Callable[[dict[str, Any]], dict[str, Any]]]] | None = None,
    ) -> None:
        """Make a set of event types.

        Args:
            classes: Of the event types.
            upcasters: By event type id, the functions from generation 1 on, without a hole.
        """
        self._upcasters = upcasters or {}
        self._by_id: dict[str, tuple[type, EventType, msgspec.json.Decoder[Any]]] = {}
        self._classes: EventClasses = ()
        for cls in classes:
            self.add(cls)

    def add(self, cls: type) -> None:
        """Add an event type; the newest generation of an id wins."""
        event_type = event_type_of(cls)
        if event_type is None:
            raise TypeError(f"{cls.__qualname__} is no event type: decorate it with @event_type")
        known = self._by_id.get(event_type.id)
        if known is None or known[1].generation <= event_type.generation:
            self._by_id[event_type.id] = (cls, event_type, msgspec.json.Decoder(cls))
            self._classes = tuple(
                (id, of.generation, cls) for id, (cls, of, _) in self._by_id.items()
            )

    def __iter__(self) -> Iterator[EventType]:
        return iter(sorted((entry[1] for entry in self._by_id.values()), key=lambda t: t.alias))

    def __contains__(self, type_id: str) -> bool:
        return type_id in self._by_id

    def class_of(self, type_id: str) -> type | None:
        """Return the class of a stored id, or ``None``."""
        entry = self._by_id.get(type_id)
        return entry[0] if entry else None

    def event_type(self, type_id: str) -> EventType | None:
        """Return the event type of a stored id, or ``None``."""
        entry = self._by_id.get(type_id)
        return entry[1] if entry else None

    def find(self, name: str) -> tuple[type, EventType] | None:
        """Return an event type by its alias or its stored id, or ``None``."""
        for cls, event_type, _ in self._by_id.values():
            if name in (event_type.alias, event_type.id):
                return cls, event_type
        return None

    def alias(self, type_id: str) -> str:
        """Return what people read for a stored id; the id itself where no class has it."""
        entry = self._by_id.get(type_id)
        return entry[1].alias if entry else type_id

    def decode(self, event: CommittedEvent) -> Any:
        """Turn a stored event into its class.

        Raises:
            UnreadableEvent: No class has this id, the stored generation is newer than the
                class, no upcaster takes it, an upcaster failed, or the content does not fit.
        """
        entry = self._by_id.get(event.type_id)
        if entry is None:
            raise UnreadableEvent(
                event.position, event.type_id, event.generation, "no class has this event type id"
            )
        if event.generation != entry[1].generation:
            return self._upcast(event, entry[0], entry[1])
        try:
            return entry[2].decode(event.content)
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise UnreadableEvent(
                event.position, event.type_id, event.generation, str(error)
            ) from error

    def decode_all(self, events: Sequence[CommittedEvent]) -> list[Any]:
        """Turn stored events into their classes; half the cost of asking for each of a page.

        Raises:
            UnreadableEvent: For the first that cannot be decoded, as :meth:`decode` does.
        """
        if isinstance(events, UnbuiltEvents):
            contents = events.contents(self._classes)
            if contents is not None:
                return contents
        by_id = self._by_id
        decoded: list[Any] = []
        append = decoded.append
        try:
            for event in encoded(events):
                _, event_type, decoder = by_id[event.type_id]
                if event.generation == event_type.generation:
                    append(decoder.decode(event.content))
                else:
                    append(self.decode(events[len(decoded)]))
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError):
            # Asked once more, and said with its position.
            self.decode(events[len(decoded)])
            raise
        return decoded

    def _upcast(self, event: CommittedEvent, cls: type, event_type: EventType) -> Any:
        steps = self._upcasters.get(event.type_id, ())
        needed = steps[event.generation - 1 : event_type.generation - 1]
        if len(needed) != event_type.generation - event.generation:
            raise UnreadableEvent(
                event.position,
                event.type_id,
                event.generation,
                f"the class {event_type.alias} is generation {event_type.generation}",
            )
        try:
            content = msgspec.json.decode(event.content)
            for step in needed:
                content = step(content)
            return msgspec.convert(content, cls)
        except Exception as error:  # an upcaster is the user's code: it may raise anything
            raise UnreadableEvent(
                event.position, event.type_id, event.generation, f"{type(error).__name__}: {error}"
            ) from error


def encode(event: object) -> bytes:
    """Encode an event's content as one JSON object.

    Raises:
        PayloadDoesNotFit: A value cannot be stored as JSON, or would be read back as something
            else (a wrong type in a field), or breaks a constraint.
    """
    kind = "event type" if event_type_of(event) else "value"
    what = f"{kind} {type(event).__name__}"
    try:
        content = msgspec.json.encode(event)
        again = msgspec.json.decode(content, type=type(event))
    except (msgspec.MsgspecError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PayloadDoesNotFit(what, _reason(error)) from error
    if again != event:
        raise PayloadDoesNotFit(what, _difference(event, again))
    reason = violation_of(event)
    if reason:
        raise PayloadDoesNotFit(what, reason)
    return content


def from_values(
    cls: type, values: Any, *, what: str, lenient: bool = False, noun: str = "field"
) -> Any:
    """Build an instance of a struct class from JSON-like values, and refuse what does not fit.

    Args:
        cls: A struct class.
        values: A dict of JSON values; where ``lenient``, of texts.
        what: What the values are meant for, for the message.
        lenient: Whether texts may stand for other values, as on a command line: ``3`` for a
            number, ``["a", "b"]`` for a list.
        noun: What one value is called in the message.

    Raises:
        PayloadDoesNotFit: One is missing, unknown, of the wrong type or breaks a constraint, or
            the values nest deeper than ``NESTING_MAX``.
    """
    fields = {item.name: item.type for item in msgspec.structs.fields(cls)}
    known = f"its {noun}s are: {', '.join(fields)}" if fields else f"it has no {noun}s"
    if not isinstance(values, dict):
        raise PayloadDoesNotFit(
            what, f"expected an object, got {type(values).__name__}", hint=known
        )
    if _depth(values) > NESTING_MAX:
        raise PayloadDoesNotFit(what, f"the values nest deeper than {NESTING_MAX} levels")
    for name in values:
        if name not in fields:
            hint = suggest(str(name), fields) if fields else known
            raise PayloadDoesNotFit(what, f"there is no {noun} {name!r}", hint=hint)
    if lenient:
        values = {name: _from_text(value, fields[name]) for name, value in values.items()}
    try:
        made: Any = msgspec.convert(values, cls, strict=not lenient, str_keys=True)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        reason = _reason(error).replace("object missing required field", f"missing {noun}")
        raise PayloadDoesNotFit(what, reason, hint=known) from error
    broken = violation_of(made)
    if broken:
        raise PayloadDoesNotFit(what, broken)
    return made


def _from_text(value: Any, field_type: Any) -> Any:
    """Read a text as JSON where its field is no text and the text looks like JSON."""
    if field_type is str or not isinstance(value, str) or value[:1] not in ("[", "{", "n"):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def context_of(
    event: CommittedEvent,
    event_type: EventType,
    *,
    tenant: str,
    microservice: str,
    is_replay: bool = False,
) -> EventContext:
    """Build what a handler is told about a stored event."""
    commit = event.commit
    # By place, in the order of the fields: by name costs twice as much for every event.
    return EventContext(
        event.position,
        commit.time,
        event_type,
        event.source,
        event.aggregate,
        event.version,
        commit.id,
        event.id,
        commit.correlation,
        commit.causation,
        event.public,
        tenant,
        microservice,
        is_replay,
    )


def _difference(event: object, again: object) -> str:
    """Say which field would be read back as something else, e.g. a Decimal in a field for text."""
    for name in type(event).__struct_fields__:  # type: ignore[attr-defined]
        given, read = getattr(event, name), getattr(again, name)
        if given != read:
            return f"{name}={given!r} would be read back as {read!r}"
    return "it would be read back as something else"


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[0].lower() + text[1:]


def _depth(values: Any) -> int:
    deepest, level = 0, [values]
    while level:
        deepest += 1
        if deepest > NESTING_MAX:
            return deepest
        level = [
            child
            for value in level
            if isinstance(value, (dict, list))
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    return deepest
