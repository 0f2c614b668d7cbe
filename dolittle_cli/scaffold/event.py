"""Plans an event type with its test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.fields import parse_fields
from dolittle_cli.scaffold.layout import Group
from dolittle_cli.scaffold.names import check_class_name, snake, words
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.project import (
    Project,
    enum_classes,
    field_lines,
    sample_event,
)
from dolittle_cli.scaffold.samples import entry, stored_sample
from dolittle_cli.scaffold.source import DeclaredClass, Source
from dolittle_cli.scaffold.types import (
    Field,
    definitions,
    limits_of,
    needs_of,
    seen_from_outside,
)


def plan_event(project: Project, name: str, fields: Sequence[str], *, public: bool) -> Plan:
    """Plan an event type.

    Args:
        project: What it is added to.
        name: Like ``DishPrepared``.
        fields: As they are typed: ``dish:str``.
        public: Whether other microservices may read its events.

    Raises:
        WrongUsage: A name or a field cannot be used, is taken, or a file would be overwritten.
    """
    check_class_name("event", name)
    project.source.check_free("event", name)
    parsed = parse_fields(fields, name, values=project.source.values())
    check_enums_free(project.source, name, parsed)
    module = project.module_of("event", name)
    event = DeclaredClass(
        "event", name, module, Path(f"{snake(name)}.py"),
        tuple(seen_from_outside(field, module) for field in parsed),
    )  # fmt: skip
    sample = sample_event(event)
    entries = tuple(
        entry(field.name, stored_sample(field.type, words(field.name))) for field in event.fields
    )
    return project.plan(
        "event",
        name,
        {
            "imports": project.imports(*needs_of(parsed), ("dolittle", "event_type")),
            "name": name,
            "words": words(name),
            "public": public,
            **definitions(parsed),
            "fields": field_lines(parsed),
        },
        {
            "imports": project.imports(sample.code, ("dolittle.testing", "stored_content")),
            "name": name,
            "snake": snake(name),
            "sample": sample.code.node,
            "content": Group("{", entries, "}", "collection"),
        },
    )


def check_enums_free(source: Source, owner: str, fields: Sequence[Field]) -> None:
    """Refuse a field whose enum or alias would have the name of another class.

    Raises:
        WrongUsage: The name is taken.
    """
    defined = [("enum", name) for name, _ in enum_classes(list(fields))]
    defined += [("alias", found.alias) for field in fields for found in limits_of(field.type)]
    for what, name in defined:
        for item in source.classes:
            if item.name == name and item.path.stem != snake(owner):
                raise WrongUsage(
                    f"the {what} of a field would be called {name}, "
                    f"which {item.path.relative_to(source.root)} has already",
                    hint="give the field another name",
                )
