"""Projections: folds over events that give read models, one document per key."""

from __future__ import annotations

import enum
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform, overload

import msgspec

from dolittle.constraints import constraint_problems, violation_of
from dolittle.declarations import (
    MARK,
    ON_MARK,
    Declaration,
    Place,
    calling_place,
    code_text,
    json_problems,
    make_struct,
    method_place,
    reactions_of,
    takes_context,
)
from dolittle.events import EventContext, event_type_reacted_to

T = TypeVar("T")


class Outcome(enum.Enum):
    """What an ``@on`` method of a projection may return instead of nothing.

    Nothing (``None``) stores the document as it is after the method.
    """

    KEEP = "keep"
    """Leave the stored document as it was."""
    DELETE = "delete"
    """Delete the document."""


@dataclass(frozen=True)
class Key:
    """Chooses the document that an event changes.

    Attributes:
        text: Names the choice; part of what a changed projection is recognised by.
        fields: The event's fields that it reads, so that a missing one is found on loading.
        reads_context: Whether it looks at the context; making one costs as much as decoding.
    """

    text: str
    select: Callable[[Any, EventContext], str]
    fields: tuple[str, ...] = ()
    reads_context: bool = True


def by_source() -> Key:
    """Key by event source; the default."""
    return Key("source", lambda _event, context: context.source)


def by_property(name: str) -> Key:
    """Key by a field of the event; ``key="dish"`` says the same."""
    return Key(
        f"property:{name}",
        lambda event, _context: key_text(getattr(event, name)),
        (name,),
        reads_context=False,
    )


def by_property_and_time(name: str, time_format: str) -> Key:
    """Key by a field of the event and the time of its commit, joined by ``_``.

    Args:
        name: The field.
        time_format: As for ``datetime.strftime``, e.g. ``"%Y-%m-%d"`` for a document a day (UTC).
    """
    return Key(
        f"property:{name}:time:{time_format}",
        lambda event, context: (
            f"{key_text(getattr(event, name))}_{context.time.strftime(time_format)}"
        ),
        (name,),
    )


def by_static(key: str) -> Key:
    """One document for everything, under a fixed key."""
    return Key(f"static:{key}", lambda _event, _context: key, reads_context=False)


def by_function(function: Callable[[Any, EventContext], str]) -> Key:
    """Key by a function of the event and its context; giving the function says the same."""
    code = getattr(function, "__code__", None)
    text = code_text(code) if code else repr(function)
    return Key(f"function:{text}", lambda event, context: key_text(function(event, context)))


def key_text(value: object) -> str:
    """Return a key's text: the value of an enum, else ``str(value)``."""
    return str(value.value) if isinstance(value, enum.Enum) else str(value)


@dataclass(frozen=True)
class ProjectionMethod:
    """One ``@on`` method of a projection."""

    name: str
    event_class: type
    function: Callable[..., Any]
    key: Key
    takes_context: bool

    @property
    def reads_context(self) -> bool:
        """Whether folding an event looks at its context."""
        return self.takes_context or self.key.reads_context


@dataclass
class ProjectionDeclaration(Declaration):
    """What ``@projection`` attaches to a class.

    Attributes:
        id: Names its documents and position in the state; the class name unless given.
        methods: By event type id.
        fingerprint: Changes when the code that makes the read model changes; then it is
            rebuilt. It covers the fields, the methods' code and the keys of this class.
    """

    id: str = ""
    methods: Mapping[str, ProjectionMethod] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """What people call it: the class name."""
        return self.cls.__name__


@overload
def projection(cls: type[T], /) -> type[T]: ...


@overload
def projection(id: str, /) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(kw_only_default=False)
def projection(cls_or_id: Any, /) -> Any:
    """Declare a class to be a projection; its annotated fields are the read model's document.

    A new document begins with the fields' defaults; a field without one must be set by the first
    ``@on`` method that touches the document. ``@on`` methods take ``(self, event)`` or
    ``(self, event, context)``, change fields, and return nothing or an ``Outcome``. They read no
    clock, no random numbers and nothing outside: replaying them must give the same.
    """
    place = calling_place()
    if isinstance(cls_or_id, type):
        return _declare(cls_or_id, place, cls_or_id.__name__)
    return lambda cls: _declare(cls, place, cls_or_id)


def projection_declaration_of(cls: type) -> ProjectionDeclaration | None:
    """Return the declaration of a projection, or ``None`` if the class is none."""
    found = cls.__dict__.get(MARK)
    return found if isinstance(found, ProjectionDeclaration) else None


def new_document(cls: Any) -> Any:
    """Return a document with its defaults; fields without one hold ``msgspec.UNSET`` so far."""
    required = (item.name for item in msgspec.structs.fields(cls) if item.required)
    return cls(**dict.fromkeys(required, msgspec.UNSET))


def unset_fields(document: Any) -> list[str]:
    """Return the fields of a document that have no value yet, so that it cannot be stored."""
    names = type(document).__struct_fields__
    return [name for name in names if getattr(document, name) is msgspec.UNSET]


def select_key(declaration: ProjectionDeclaration, event: Any, context: EventContext) -> str:
    """Return the key of the document that an event changes.

    Raises:
        KeyError: The projection has no ``@on`` method for this event's type.
        ValueError: The key is empty, so that nobody could ask for the document.
    """
    return key_by(declaration, declaration.methods[context.event_type.id], event, context)


def key_by(
    declaration: ProjectionDeclaration, method: ProjectionMethod, event: Any, context: EventContext
) -> str:
    """Return the key of the document that a method changes for an event.

    Raises:
        ValueError: The key is empty, so that nobody could ask for the document.
    """
    key = method.key.select(event, context)
    if not key:
        raise ValueError(
            f"the key of {declaration.name}.{method.name} ({method.key.text}) is empty"
        )
    return key


def fold(
    declaration: ProjectionDeclaration, document: Any, event: Any, context: EventContext
) -> Outcome | None:
    """Fold one event into a document; return what the ``@on`` method returned.

    Raises:
        KeyError: The projection has no ``@on`` method for this event's type.
        TypeError: The method returned something else than nothing or an ``Outcome``.
        ValueError: The document to be stored breaks a constraint.
    """
    method = declaration.methods[context.event_type.id]
    return fold_by(declaration, method, document, event, context)


def fold_by(
    declaration: ProjectionDeclaration,
    method: ProjectionMethod,
    document: Any,
    event: Any,
    context: EventContext,
) -> Outcome | None:
    """Fold one event into a document by its method, as :func:`fold` does."""
    if method.takes_context:
        outcome = method.function(document, event, context)
    else:
        outcome = method.function(document, event)
    if outcome is not None and not isinstance(outcome, Outcome):
        raise TypeError(
            f"{declaration.name}.{method.name} returned {outcome!r}; "
            "it returns nothing, Outcome.KEEP or Outcome.DELETE"
        )
    broken = violation_of(document) if outcome is None else ""
    if broken:
        raise ValueError(f"{declaration.name}.{method.name}: {broken}")
    return outcome


def check_projection(declaration: ProjectionDeclaration) -> None:
    """Add to a declaration what can only be known once every module is imported."""
    name = declaration.name
    if not declaration.problems:
        declaration.problems += [
            declaration.place.problem(f"projection {name}: {reason}")
            for reason in [
                *json_problems(declaration.cls),
                *constraint_problems(declaration.cls),
            ]
        ]
    methods: dict[str, ProjectionMethod] = {}
    for function, reaction in reactions_of(declaration.cls, ON_MARK):
        where = method_place(function)
        method = f"{name}.{function.__name__}"
        event_type = event_type_reacted_to(reaction, function, declaration, "on")
        if event_type is None:
            continue
        if inspect.iscoroutinefunction(function):
            declaration.problems.append(
                where.problem(f"{method}: an @on method cannot be async: it only changes fields")
            )
        if event_type.id in methods:
            declaration.problems.append(
                where.problem(
                    f"{name}: two methods are marked @on({event_type.alias})", "keep one of them"
                )
            )
        key = _key(reaction.options.get("key"), declaration, where, method)
        fields = getattr(reaction.event_class, "__struct_fields__", ())
        for missing in [item for item in key.fields if item not in fields]:
            declaration.problems.append(
                where.problem(
                    f"{method}: {event_type.alias} has no field {missing!r} to key by",
                    f"its fields are: {', '.join(fields)}",
                )
            )
        methods[event_type.id] = ProjectionMethod(
            function.__name__,
            reaction.event_class,
            function,
            key,
            takes_context(function, declaration, method),
        )
    if not methods and not declaration.problems:
        declaration.problems.append(
            declaration.place.problem(
                f"projection {name} projects nothing", "mark a method with @on(EventType)"
            )
        )
    declaration.methods = methods
    declaration.fingerprint = _fingerprint(declaration)


def _key(given: Any, declaration: Declaration, place: Place, name: str) -> Key:
    if given is None:
        return by_source()
    if isinstance(given, Key):
        return given
    if isinstance(given, str):
        return by_property(given)
    if callable(given):
        return by_function(given)
    declaration.problems.append(
        place.problem(
            f"{name}: key={given!r} is no key",
            "give a field's name, by_source(), by_property_and_time(…), by_static(…) or a function",
        )
    )
    return by_source()


def _declare(cls: type, place: Place, id: str) -> type:
    declaration = ProjectionDeclaration(cls, place, id=id)
    try:
        made = make_struct(cls, frozen=False, namespace={MARK: declaration})
    except TypeError as error:
        declaration.problems.append(place.problem(f"projection {cls.__name__}: {error}"))
        setattr(cls, MARK, declaration)
        return cls
    declaration.cls = made
    return made


def _fingerprint(declaration: ProjectionDeclaration) -> str:
    """Digest what makes the read model: fields, defaults, methods' code and keys."""
    parts = [*_field_texts(declaration.cls)]
    for base in declaration.cls.__mro__:
        if base.__module__.partition(".")[0] != "msgspec":
            for name, value in sorted(vars(base).items()):
                if inspect.isfunction(value):
                    parts.append(name + code_text(value.__code__))
    for type_id, method in sorted(declaration.methods.items()):
        parts.append(f"{type_id}={method.name}:{method.key.text}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _field_texts(cls: type) -> list[str]:
    """Describe the fields of a document: names, types down to nested ones, and defaults."""
    try:
        described = msgspec.json.schema(cls)
    except (TypeError, ValueError, NameError, AttributeError):
        described = {}  # they cannot be stored, which is reported as a problem
    return [
        repr(getattr(cls, "__struct_fields__", ())),
        repr(getattr(cls, "__struct_defaults__", ())),
        repr(_without_docstrings(described)),
    ]


def _without_docstrings(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_docstrings(v) for k, v in schema.items() if k != "description"}
    if isinstance(schema, list):
        return [_without_docstrings(item) for item in schema]
    return schema
