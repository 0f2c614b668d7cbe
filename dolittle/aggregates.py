"""Aggregate roots: classes that guard rules for one event source and apply events."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints, overload

import msgspec

from dolittle.constraints import (
    CLASSES_MAX,
    Check,
    check_of_type,
    constraint_problems,
    type_problems,
)
from dolittle.declarations import (
    MARK,
    ON_MARK,
    Declaration,
    Place,
    calling_place,
    json_problems,
    method_place,
    reactions_of,
)
from dolittle.errors import RuleViolation, Unknown
from dolittle.events import event_type_of, event_type_reacted_to
from dolittle.serialization import from_values

T = TypeVar("T")
Fold = Callable[[Any, Any], None]


class AggregateRoot:
    """The base of every aggregate root.

    Fields are annotated on the class with a default; each instance gets its own copy. Command
    methods check rules and call :meth:`apply`; methods marked ``@on(EventType)`` change fields.
    """

    def __init__(self, event_source: str) -> None:
        self._event_source = event_source
        self._version = 0
        self._applied: list[object] = []
        self._broken = ""
        for name, default in _defaults(type(self)).items():
            setattr(self, name, copy.deepcopy(default))

    @property
    def event_source(self) -> str:
        """What this instance is about."""
        return self._event_source

    @property
    def version(self) -> int:
        """How many events this instance has, those applied and not yet committed included."""
        return self._version

    @property
    def applied_events(self) -> tuple[object, ...]:
        """The events applied since the instance was loaded, not yet committed.

        Raises:
            RuleViolation: One of them broke a constraint, even if that was caught since.
        """
        if self._broken:
            raise RuleViolation(self._broken)
        return tuple(self._applied)

    def apply(self, event: object) -> None:
        """Apply an event: note it down for the commit, and fold it into the fields.

        A constraint on a field is a rule: an event that would lead to a state that breaks it is
        refused. Events that are stored already are folded without a check.

        Raises:
            TypeError: The event's class is no event type.
            RuleViolation: A field's constraint would be broken.
        """
        if event_type_of(event) is None:
            raise TypeError(
                f"{type(event).__name__} is no event type: decorate the class with @event_type"
            )
        self._applied.append(event)
        self._fold(event)
        self._broken = self._broken or self._violation()
        if self._broken:
            raise RuleViolation(self._broken)

    def _violation(self) -> str:
        cls: type = type(self)
        for name, check in _constraints_of(cls):
            reason = check(getattr(self, name, None), name)
            if reason:
                return f"{type(self).__name__}: {reason}"
        return ""

    def _fold(self, event: object) -> None:
        declaration = declaration_of(type(self))
        fold = declaration.folds.get(type(event)) if declaration else None
        if fold is not None:
            fold(self, event)
        self._version += 1


@dataclass
class AggregateRootDeclaration(Declaration):
    """What ``@aggregate_root`` attaches to a class.

    Attributes:
        id: The stored identity; the class name unless given.
        folds: The ``@on`` method of each event class.
        commands: The public methods by name.
    """

    id: str = ""
    folds: Mapping[type, Fold] = field(default_factory=dict)
    commands: Mapping[str, Command] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it: the class name."""
        return self.cls.__name__


@dataclass(frozen=True)
class Command:
    """A command method and the arguments it takes.

    Attributes:
        arguments: A struct class with a field for each parameter.
    """

    name: str
    function: Callable[..., Any]
    arguments: type[msgspec.Struct]

    @property
    def is_async(self) -> bool:
        """Whether the method must be awaited."""
        return inspect.iscoroutinefunction(self.function)


@overload
def aggregate_root(cls: type[T], /) -> type[T]: ...


@overload
def aggregate_root(id: str, /) -> Callable[[type[T]], type[T]]: ...


def aggregate_root(cls_or_id: Any, /) -> Any:
    """Declare a class to be an aggregate root, by its name or by an id of its own.

    The id is what the store remembers; it may stay when the class is renamed.
    """
    place = calling_place()
    if isinstance(cls_or_id, type):
        return _declare(cls_or_id, place, cls_or_id.__name__)
    return lambda cls: _declare(cls, place, cls_or_id)


def declaration_of(cls: type) -> AggregateRootDeclaration | None:
    """Return the declaration of an aggregate root, or ``None`` if the class is none."""
    found = cls.__dict__.get(MARK)
    return found if isinstance(found, AggregateRootDeclaration) else None


def rehydrate(cls: type[T], event_source: str, events: Iterable[object]) -> T:
    """Make an instance and fold its events into it, in order."""
    instance: Any = cls(event_source)  # type: ignore[call-arg]
    fold = instance._fold
    for event in events:
        fold(event)
    return instance  # type: ignore[no-any-return]


def arguments_for(
    command: Command, values: Mapping[str, Any], *, what: str, lenient: bool = False
) -> dict[str, Any]:
    """Turn JSON-like values into the arguments of a command.

    Args:
        command: The command.
        values: By parameter name.
        what: Names the command in the message, e.g. ``Kitchen.prepare_dish``.
        lenient: Whether text may stand for numbers (a command line's values).

    Raises:
        PayloadDoesNotFit: An argument is missing, unknown or of the wrong type.
    """
    built = from_values(
        command.arguments, dict(values), what=what, lenient=lenient, noun="argument"
    )
    return {name: getattr(built, name) for name in command.arguments.__struct_fields__}


def command_of(declaration: AggregateRootDeclaration, name: str) -> Command:
    """Return a command by its name.

    Raises:
        Unknown: The aggregate root has no such command.
    """
    command = declaration.commands.get(name)
    if command is None:
        raise Unknown(f"command of {declaration.name}", name, declaration.commands)
    return command


def check_aggregate_root(declaration: AggregateRootDeclaration) -> None:
    """Add to a declaration what can only be known once every module is imported."""
    for method, reaction in reactions_of(declaration.cls, ON_MARK):
        place = method_place(method)
        name = f"{declaration.name}.{method.__name__}"
        event_type_reacted_to(reaction, method, declaration, "on")
        if reaction.options:
            declaration.problems.append(
                place.problem(f"{name}: key= is for projections, an aggregate has none")
            )
        if inspect.iscoroutinefunction(method):
            declaration.problems.append(
                place.problem(f"{name}: an @on method cannot be async: it only changes fields")
            )
        signature = inspect.signature(method).replace(return_annotation=inspect.Signature.empty)
        if len(signature.parameters) != 2:
            declaration.problems.append(
                place.problem(f"{name} must take (self, event), it takes {signature}")
            )
    for command in declaration.commands.values():
        _check_command(declaration, command)
    for field_name in _without_default(declaration.cls):
        declaration.problems.append(
            declaration.place.problem(
                f"aggregate root {declaration.name}: field {field_name!r} has no default",
                "a new instance begins with the defaults of its fields",
            )
        )
    _check_fields(declaration)


def _check_fields(declaration: AggregateRootDeclaration) -> None:
    """Add what is wrong with the constraints of the fields, and with defaults within them."""
    defaults = _defaults(declaration.cls)
    for name, of in _described(declaration.cls):
        problems = type_problems(of)
        check = check_of_type(of)
        reason = check(defaults[name], name) if check and not problems else ""
        problems += [f"its default does not fit: {reason}"] if reason else []
        declaration.problems += [
            declaration.place.problem(f"aggregate root {declaration.name}.{name}: {problem}")
            for problem in problems
        ]


@functools.lru_cache(maxsize=CLASSES_MAX)
def _constraints_of(cls: type) -> tuple[tuple[str, Check], ...]:
    """Return the check of each field that is constrained."""
    checks = ((name, check_of_type(of)) for name, of in _described(cls))
    return tuple((name, check) for name, check in checks if check)


def _described(cls: type) -> list[tuple[str, Any]]:
    """Return the fields with types that can be described; the others have no constraints."""
    try:
        hints = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return []
    found = []
    for name in _defaults(cls):
        try:
            check_of_type(hints[name])
        except (TypeError, ValueError, KeyError):
            continue
        found.append((name, hints[name]))
    return found


def _declare(cls: type, place: Place, id: str) -> type:
    declaration = AggregateRootDeclaration(cls, place, id=id)
    if not issubclass(cls, AggregateRoot):
        declaration.problems.append(
            place.problem(
                f"aggregate root {cls.__name__} does not derive from AggregateRoot",
                f"write: class {cls.__name__}(AggregateRoot):",
            )
        )
    folds: dict[type, Fold] = {}
    for method, reaction in reactions_of(cls, ON_MARK):
        if not isinstance(reaction.event_class, type):
            continue  # reported on loading
        if reaction.event_class in folds:
            declaration.problems.append(
                method_place(method).problem(
                    f"{cls.__name__}: two methods are marked @on({reaction.event_class.__name__})",
                    "keep one of them",
                )
            )
        folds[reaction.event_class] = method
    declaration.folds = folds
    declaration.commands = _commands(cls)
    setattr(cls, MARK, declaration)
    return cls


def _commands(cls: type) -> dict[str, Command]:
    commands: dict[str, Command] = {}
    for base in reversed(cls.__mro__):
        if base in (object, AggregateRoot):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or not inspect.isfunction(value) or hasattr(value, ON_MARK):
                continue
            commands[name] = Command(name, value, _Unchecked)
    return commands


class _Unchecked(msgspec.Struct):
    """Stands for the arguments of a command until the declaration is checked."""


def _check_command(declaration: AggregateRootDeclaration, command: Command) -> None:
    """Build the struct that a command's arguments are checked with."""
    name = f"{declaration.name}.{command.name}"
    place = method_place(command.function)
    fields: list[Any] = []
    try:
        signature = inspect.signature(command.function, eval_str=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        declaration.problems.append(place.problem(f"{name}: {error}"))
        return
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            declaration.problems.append(
                place.problem(
                    f"{name}: *{parameter.name} cannot be checked: name each argument",
                    "or start the method's name with an underscore, then it is no command",
                )
            )
            return
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        if parameter.default is parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            fields.append((parameter.name, annotation, parameter.default))
    try:
        struct = msgspec.defstruct(command.name, fields, kw_only=True)
        found = [
            *json_problems(struct, "argument"),
            *constraint_problems(struct, "argument"),
        ]
        declaration.problems += [place.problem(f"{name}: {reason}") for reason in found]
        declaration.commands = {
            **declaration.commands,
            command.name: Command(command.name, command.function, struct),
        }
    except (TypeError, ValueError) as error:
        declaration.problems.append(
            place.problem(
                f"{name}: an argument cannot be stored as JSON: {str(error).splitlines()[0]}"
            )
        )


def _defaults(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base in (object, AggregateRoot):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            if name in vars(base) and not _is_class_variable(annotation):
                found[name] = vars(base)[name]
    return found


def _without_default(cls: type) -> list[str]:
    """Return the annotated fields that no class in the line gives a default."""
    return [
        name
        for base in cls.__mro__
        if base not in (object, AggregateRoot)
        for name, annotation in inspect.get_annotations(base).items()
        if not hasattr(cls, name) and not _is_class_variable(annotation)
    ]


def _is_class_variable(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return text.split("[")[0].rpartition(".")[2] == "ClassVar"
