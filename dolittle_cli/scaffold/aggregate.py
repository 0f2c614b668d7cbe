"""Plans an aggregate root with its commands and their tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dolittle.aggregates import AggregateRoot
from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.event import check_enums_free
from dolittle_cli.scaffold.fields import parse_fields
from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.layout import Node, call, definition, keyword, prefixed
from dolittle_cli.scaffold.names import check_class_name, check_method_name, snake
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.project import (
    Project,
    event_import,
    field_lines,
    sample_event,
)
from dolittle_cli.scaffold.samples import sample
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.types import (
    Code,
    Field,
    annotation,
    definitions,
    needs_of,
    nothing,
    seen_from_outside,
    take_over,
    without_limits,
)

TITLE_CHARACTERS_MAX: Final = 75
"""Characters of a test's name, so that its ``def`` fits on a line."""

OWN_NAMES: Final = frozenset(
    {"on", *(name for name in dir(AggregateRoot) if not name.startswith("_"))}
)


@dataclass(frozen=True)
class CommandMethod:
    """A command method, and the event type that it applies."""

    name: str
    event: DeclaredClass

    @property
    def fold(self) -> str:
        """The name of the ``@on`` method of its event type."""
        return f"on_{snake(self.event.name)}"

    @property
    def imports(self) -> frozenset[Import]:
        """What the parameters and their defaults need."""
        parts = [annotation(field.type) for field in self.parameters]
        parts += [f.default for f in self.parameters if f.default is not None and f.is_constant]
        return frozenset[Import]().union(*(part.imports for part in parts))

    @property
    def parameters(self) -> list[Field]:
        """The event's fields, but for those whose default can neither be repeated nor made up."""
        return [
            field
            for field in self.event.fields
            if field.is_constant or sample(field.type, field.name) is not None
        ]


def plan_aggregate(
    project: Project, name: str, fields: Sequence[str], commands: Sequence[str]
) -> Plan:
    """Plan an aggregate root.

    Args:
        project: What it is added to.
        name: Like ``Kitchen``.
        fields: As they are typed: ``ingredients:int=2``.
        commands: As they are typed: ``prepare_dish=DishPrepared``.

    Raises:
        WrongUsage: A name, a field or a command cannot be used, there is no such event, or a
            file would be overwritten.
        CommandLineError: No test value can be made up for a field of an event.
    """
    check_class_name("aggregate", name)
    project.source.check_free("aggregate", name)
    methods = _commands(project, name, commands)
    taken = OWN_NAMES.union(*((method.name, method.fold) for method in methods))
    parsed = [
        _with_default(field)
        for field in parse_fields(fields, name, taken=taken, values=project.source.values())
    ]
    for method in methods:
        parsed = [_shared(field, method.event) for field in parsed]
    check_enums_free(project.source, name, parsed)
    return project.plan(
        "aggregate",
        name,
        _code(project, name, parsed, methods),
        _test(project, name, parsed, methods),
    )


def _commands(project: Project, name: str, commands: Sequence[str]) -> list[CommandMethod]:
    methods: list[CommandMethod] = []
    for text in commands:
        method_name, equals, event_name = text.partition("=")
        if not equals or not event_name:
            raise WrongUsage(
                f"{text!r} is no command", hint="write method=Event: prepare_dish=DishPrepared"
            )
        check_command_name(method_name, [item.name for item in methods])
        found = CommandMethod(method_name, project.source.event(event_name))
        if found.fold in [item.fold for item in methods]:
            raise WrongUsage(
                f"two commands of {name} apply {event_name}",
                hint="give each event to one command here, and write the other one by hand",
            )
        methods.append(found)
    return methods


def check_command_name(name: str, taken: Collection[str]) -> None:
    """Refuse what cannot name a command.

    Raises:
        WrongUsage: It is no name, is taken, or is that of a fold.
    """
    check_method_name(name, taken=[*OWN_NAMES, *taken])
    if name.startswith("on_"):
        raise WrongUsage(
            f"{name!r} is no name for a command: on_ is for what follows from events",
            hint="name a command in the imperative: prepare_dish",
        )


def _with_default(field: Field) -> Field:
    if field.default is not None:
        return field
    default = nothing(field.type)
    if default is None:
        of = annotation(without_limits(field.type)).node
        raise WrongUsage(
            f"field {field.name!r}: an aggregate begins with a value for each field, "
            f"and there is no plain one for a {of}",
            hint=f"give a default, or let it be absent at first: '{field.name}:{of}?'",
        )
    return replace(field, default=default)


def _shared(field: Field, event: DeclaredClass) -> Field:
    """Let a field use the enum class of an event's field of the same name and words."""
    for found in event.fields:
        if found.name == field.name:
            return take_over(field, found.type) or field
    return field


def _matching(fields: Sequence[Field], event: DeclaredClass) -> list[str]:
    """Return the fields that take over a value of an event."""
    types = {found.name: found.type for found in event.fields}
    matching = []
    for field in fields:
        taken = take_over(field, types[field.name]) if field.name in types else None
        if taken is not None and taken.type == field.type:
            matching.append(field.name)
    return matching


def _code(
    project: Project, name: str, fields: list[Field], methods: list[CommandMethod]
) -> dict[str, Any]:
    needs: list[Any] = [("dolittle", "AggregateRoot"), ("dolittle", "aggregate_root")]
    needs += needs_of(fields)
    if methods:
        needs.append(("dolittle", "on"))
    for method in methods:
        needs += [event_import(method.event)]
        needs += [Code("", method.imports)]
    return {
        "imports": project.imports(*needs),
        "name": name,
        **definitions(fields),
        "fields": field_lines(fields),
        "commands": [code_of(method, fields) for method in methods],
    }


def code_of(method: CommandMethod, fields: Sequence[Field]) -> dict[str, Any]:
    """Return what a template is given of a command.

    Args:
        method: The command.
        fields: Those of its aggregate root.
    """
    return {
        "event": method.event.name,
        "fold": method.fold,
        "definition": definition(method.name, _parameters(method.parameters)),
        "applied": call(method.event.name, [f"{f.name}={f.name}" for f in method.parameters]),
        "matching": _matching(fields, method.event),
    }


def test_of(
    name: str, method: CommandMethod, fields: Sequence[Field]
) -> tuple[dict[str, Any], Code]:
    """Return what the template of a command's test is given, and the event that it expects.

    Args:
        name: Of the aggregate root.
        method: The command.
        fields: Those of the aggregate root.

    Raises:
        CommandLineError: No test value can be made up for a field of the event.
    """
    event = sample_event(method.event)
    values = [keyword(field, value.node) for field, value in event.values.items()]
    state = [keyword(f, event.values[f].node) for f in _matching(fields, method.event)
             if f in event.values]  # fmt: skip
    title = f"{method.name}_applies_{snake(method.event.name)}"
    found = {
        "title": title if len(title) <= TITLE_CHARACTERS_MAX else method.name,
        "when": call(f'given({name}, "a source").when', [f"{name}.{method.name}", *values]),
        "then": call("done.then", [event.code.node]),
        "then_state": call("done.then_state", state) if state else "",
    }
    return found, event.code


def _parameters(fields: Sequence[Field]) -> list[Node]:
    """Return fields as parameters of a method, those with a default last."""
    required: list[Node] = []
    optional: list[Node] = []
    for field in fields:
        parameter = f"{field.name}: {annotation(field.type).node}"
        if field.default is not None and field.is_constant:
            optional.append(prefixed(f"{parameter} = ", field.default.node))
        else:
            required.append(parameter)
    return ["self", *required, *optional]


def _test(
    project: Project, name: str, fields: list[Field], methods: list[CommandMethod]
) -> dict[str, Any]:
    module = project.module_of("aggregate", name)
    needs: list[Any] = [("dolittle.testing", "given"), (module, name)]
    outside = [seen_from_outside(field, module) for field in fields]
    needs += [field.default for field in outside]
    begins = [keyword(field.name, field.default.node) for field in outside if field.default]
    commands = []
    for method in methods:
        tested, expected = test_of(name, method, fields)
        commands.append(tested)
        needs.append(expected)
    if not begins and not methods:
        begins = ["version=0"]
    return {
        "imports": project.imports(*needs),
        "name": name,
        "snake": snake(name),
        "has_fields": bool(fields),
        "begins": call(f'given({name}, "a source").then_state', begins) if begins else "",
        "commands": commands,
    }
