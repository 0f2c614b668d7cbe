"""What a decorator notes down about a class: its kind, its line and what is wrong with it.

A declaration never raises for what its author wrote. It keeps the problem, and loading the
microservice reports all problems together.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Final, TypeVar

import msgspec

MARK: Final = "__dolittle__"
"""The attribute of a decorated class that holds its declaration."""

ON_MARK: Final = "__dolittle_on__"
"""The attribute of a method that holds what it reacts to."""

_MADE_BY_PYTHON: Final = ("__dict__", "__weakref__")
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Problem:
    """Something in a declaration that cannot work: where, what, and how to mend it.

    Attributes:
        path: The source file.
        line: From 1; 0 means the whole file.
    """

    path: str
    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Place:
    """A line of a source file, from 1."""

    path: str
    line: int

    def problem(self, message: str, hint: str = "") -> Problem:
        """Return a problem at this place."""
        return Problem(self.path, self.line, message, hint)


@dataclass
class Declaration:
    """The root of what decorators attach to classes.

    Attributes:
        cls: The class, as users see it.
        place: Where the decorator stands.
        problems: What cannot work; filled by the decorator, reported on loading.
    """

    cls: type
    place: Place
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Reaction:
    """What one ``on`` or ``handles`` says about a method.

    Attributes:
        event_class: The class given to the decorator; checked on loading.
        options: Further keyword arguments, e.g. ``key``.
    """

    event_class: Any
    options: dict[str, Any]


def calling_place(depth: int = 1) -> Place:
    """Return the place of the caller, ``depth`` frames above this function's caller."""
    frame = sys._getframe(depth + 1)
    return Place(frame.f_code.co_filename, frame.f_lineno)


def method_place(function: Callable[..., Any]) -> Place:
    """Return the place where a function is defined."""
    code = function.__code__
    return Place(code.co_filename, code.co_firstlineno)


def on(event_class: type, /, *, key: Any = None) -> Callable[[F], F]:
    """Mark a method of an aggregate root or a projection as the fold of one event type.

    Args:
        event_class: The event type's class.
        key: Projections only: which document the event changes. A field's name, or one of
            ``by_source()``, ``by_property(…)``, ``by_property_and_time(…)``, ``by_static(…)``,
            or a function ``(event, context) -> str``. Default: the event source.
    """
    options = {} if key is None else {"key": key}

    def mark(function: F) -> F:
        reactions = [*getattr(function, ON_MARK, ()), Reaction(event_class, options)]
        setattr(function, ON_MARK, reactions)
        return function

    return mark


def reactions_of(cls: type, mark: str) -> list[tuple[Callable[..., Any], Reaction]]:
    """Return the marked methods of a class and its bases, in the order of definition."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if callable(value) and hasattr(value, mark):
                found[name] = value
            elif name in found:
                del found[name]
    return [(method, reaction) for method in found.values() for reaction in getattr(method, mark)]


def takes_context(function: Callable[..., Any], declaration: Declaration, name: str) -> bool:
    """Tell whether a method takes ``(self, event, context)``; note it down if it takes neither."""
    signature = inspect.signature(function).replace(return_annotation=inspect.Signature.empty)
    parameters = signature.parameters.values()
    count = sum(item.kind in _POSITIONAL for item in parameters)
    if count not in (2, 3) or count != len(parameters):
        declaration.problems.append(
            method_place(function).problem(
                f"{name} must take (self, event) or (self, event, context), it takes {signature}"
            )
        )
    return count == 3


def code_text(code: CodeType) -> str:
    """Return a text that changes when a function's compiled code changes, and only then."""
    consts = [_constant_text(item) for item in code.co_consts]
    return f"{code.co_code.hex()}{code.co_names}{code.co_varnames}{consts}"


def _constant_text(item: object) -> str:
    if isinstance(item, CodeType):
        return code_text(item)
    if isinstance(item, tuple):
        return f"({', '.join(map(_constant_text, item))})"
    if isinstance(item, frozenset):
        # Its order differs from process to process.
        return f"{{{', '.join(sorted(map(_constant_text, item)))}}}"
    return repr(item)


def make_struct(cls: type, *, frozen: bool, namespace: dict[str, Any]) -> type:
    """Rebuild a class with annotated fields as a ``msgspec.Struct``.

    Methods, properties, defaults, docstring and name are kept. An empty list, set or dict as
    a default is copied for each instance (as ``msgspec`` does).

    Raises:
        TypeError: The fields cannot work, e.g. a required field after one with a default.
    """
    members = {k: v for k, v in vars(cls).items() if k not in _MADE_BY_PYTHON}
    if isinstance(cls, type(msgspec.Struct)):
        _take_back_fields(cls, members)
    members.update(namespace)
    bases = tuple(base for base in cls.__bases__ if base is not object)
    if not any(issubclass(base, msgspec.Struct) for base in bases):
        bases = (*bases, msgspec.Struct)
    meta: Any = type(msgspec.Struct)
    made: type = meta(cls.__name__, bases, members, frozen=frozen)
    _let_super_find(made, cls, members)
    return made


def _take_back_fields(cls: Any, members: dict[str, Any]) -> None:
    """Turn the slots of a class derived from a struct into annotated fields with defaults again."""
    fields, defaults = cls.__struct_fields__, cls.__struct_defaults__
    with_default = dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=True))
    for name in members.pop("__slots__", ()):
        members.pop(name, None)
        if name in with_default:
            default = with_default[name]
            factory = (
                getattr(default, "factory", None) if default is not msgspec.NODEFAULT else None
            )
            if factory is not None and type(default).__module__.startswith("msgspec"):
                members[name] = msgspec.field(default_factory=factory)
            elif default is not msgspec.NODEFAULT:
                members[name] = default


def _let_super_find(made: type, cls: type, members: dict[str, Any]) -> None:
    """Point ``super()`` in methods to the class that was made instead of the one written."""
    for member in members.values():
        found = getattr(member, "__func__", getattr(member, "fget", member))
        for cell in getattr(found, "__closure__", None) or ():
            if cell.cell_contents is cls:
                cell.cell_contents = made


def json_problems(cls: type, noun: str = "field") -> list[str]:
    """Return what keeps the fields of a struct class from being stored as JSON.

    Nested structs, dataclasses and containers are searched too. ``noun`` is what one of the
    fields is called in the message.
    """
    try:
        info = msgspec.inspect.type_info(cls)
    except (TypeError, NameError, AttributeError, ValueError) as error:
        return [str(error).splitlines()[0]]
    problems: list[str] = []
    seen: set[int] = set()
    for item in getattr(info, "fields", ()):
        problems += [
            f"{noun} {item.name!r}: {found} cannot be stored as JSON"
            for found in _custom_types(item.type, seen)
        ]
    if not problems:
        try:
            msgspec.json.Decoder(cls)
        except (TypeError, ValueError) as error:
            problems.append(str(error).splitlines()[0])
    return problems


def _custom_types(node: Any, seen: set[int]) -> list[str]:
    if id(node) in seen:
        return []
    seen.add(id(node))
    if isinstance(node, msgspec.inspect.CustomType):
        return [getattr(node.cls, "__name__", str(node.cls))]
    found: list[str] = []
    for name in getattr(node, "__struct_fields__", ()):
        value = getattr(node, name)
        children = value if isinstance(value, tuple) else (value,)
        for child in children:
            if isinstance(child, msgspec.inspect.Field):
                found += _custom_types(child.type, seen)
            elif isinstance(child, msgspec.inspect.Type):
                found += _custom_types(child, seen)
    return found
