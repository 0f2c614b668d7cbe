"""Plans a value object with its test."""

from __future__ import annotations

from collections.abc import Sequence

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.event import check_enums_free
from dolittle_cli.scaffold.fields import parse_fields
from dolittle_cli.scaffold.names import check_class_name, snake
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.project import Project, field_lines
from dolittle_cli.scaffold.samples import sample, stored_sample
from dolittle_cli.scaffold.source import is_made_of
from dolittle_cli.scaffold.types import Valued, definitions, needs_of, seen_from_outside


def plan_value(project: Project, name: str, fields: Sequence[str]) -> Plan:
    """Plan a value object.

    Args:
        project: What it is added to.
        name: Like ``Line``.
        fields: As they are typed: ``quantity:int:ge=1``; one at least.

    Raises:
        WrongUsage: The name or a field cannot be used, is taken, there is no field, or the value
            object would hold itself.
    """
    check_class_name("value", name)
    project.source.check_free("value", name)
    others = {key: found for key, found in project.source.values().items() if key != name}
    parsed = parse_fields(fields, name, values=others)
    if not parsed:
        raise WrongUsage(
            f"what does the value object {name} hold?", hint="name a field or more: amount:Decimal"
        )
    for field in parsed:
        if is_made_of(field.type, name):
            raise WrongUsage(
                f"the value object {name} would hold itself, by its field {field.name!r}",
                hint=f"hold a key instead, by which the other one is found: '{field.name}_key:str'",
            )
    check_enums_free(project.source, name, parsed)
    module = project.module_of("value", name)
    made = Valued(name, module, tuple(seen_from_outside(field, module) for field in parsed))
    value = sample(made, "")
    return project.plan(
        "value",
        name,
        {
            "imports": project.imports(*needs_of(parsed), ("dolittle", "value")),
            "name": name,
            **definitions(parsed),
            "fields": field_lines(parsed),
        },
        {
            "imports": project.imports(value, ("dolittle.testing", "stored_content")),
            "name": name,
            "snake": snake(name),
            "sample": value.node if value else name,
            "content": stored_sample(made, ""),
        },
    )
