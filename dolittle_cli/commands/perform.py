"""``dolittle perform``: a command of an aggregate, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

if TYPE_CHECKING:
    from dolittle.runtime.instances import Performed
    from dolittle.runtime.microservice import Microservice
    from dolittle.serialization import EventTypes
    from dolittle_cli.project import Place


def perform(
    aggregate: Annotated[
        str, typer.Argument(metavar="AGGREGATE", help="The aggregate root's class.")
    ],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The event source: which instance.")
    ],
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="The command method.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its arguments.")
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Perform a command on an aggregate.

    Shows the events that were committed.
    If a rule of the aggregate refuses, nothing is committed, and the exit code is 1.
    """
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.project import find_place
    from dolittle_cli.values import parse_values

    if not source:
        raise WrongUsage("SOURCE is empty", hint="an aggregate is about something: name it")
    arguments = parse_values(values or ())
    place = find_place(project, tenant)
    run_loop(_perform(place, (aggregate, source, command), arguments, as_json=json))


async def _perform(
    place: Place, names: tuple[str, str, str], arguments: dict[str, str], *, as_json: bool
) -> None:
    from dolittle_cli.committed import committed_json, write_committed
    from dolittle_cli.console import Console
    from dolittle_cli.project import commit_with

    async def perform(microservice: Microservice) -> tuple[Performed[Any], EventTypes]:
        performed = await microservice.perform_by_name(*names, arguments, lenient=True)
        return performed, microservice.definition.event_types

    performed, event_types = await commit_with(place, perform)
    if as_json:
        found = committed_json(performed.events, event_types, place.tenant)
        Console().json({**found, "version": performed.version})
    else:
        write_committed(performed.events, event_types)
