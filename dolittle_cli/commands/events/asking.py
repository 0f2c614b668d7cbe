"""What ``dolittle events search``, ``stats``, ``diff`` and ``trace`` take."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from dolittle_cli.commands.events.app import app
from dolittle_cli.commands.events.options import (
    CorrelationOption,
    FromOption,
    OutputOption,
    SourcesOption,
    ToOption,
    TypesOption,
    WhereOption,
    output_form,
)
from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption


@app.command("search")
def search(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Capitals or not.", show_default=False)
    ],
    start: FromOption = None,
    stop: ToOption = None,
    count: Annotated[int, typer.Option("-n", min=1, help="At most so many events.")] = 100,
    types: TypesOption = None,
    sources: SourcesOption = None,
    output: OutputOption = "short",
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Find events by a text in their type, source, content or ids: the last ones.

    With --from the first ones from there.
    In the folder of an application: those of all its microservices.
    """
    import re

    from dolittle_cli.commands.events.filters import Filters
    from dolittle_cli.commands.events.listing import list_events
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.places import find_places

    if not text:
        raise WrongUsage("the text to search for is empty")
    filters = Filters.parse(
        start=start, stop=stop, types=types, sources=sources, grep=re.escape(text.lower())
    )
    form = output_form(output, as_json=json)
    run_loop(list_events(find_places(project, tenant), filters, count=count, output=form))


@app.command("stats")
def stats(
    group: Annotated[
        Literal["type", "source", "correlation", "aggregate"],
        typer.Option("--by", help="By what events are counted."),
    ] = "type",
    start: FromOption = None,
    stop: ToOption = None,
    count: Annotated[int, typer.Option("-n", min=1, help="At most so many lines.")] = 20,
    types: TypesOption = None,
    sources: SourcesOption = None,
    correlation: CorrelationOption = "",
    where: WhereOption = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Count events by type, source, correlation or aggregate: how many, how often, since when.

    In the folder of an application: those of all its microservices, each on its own.
    """
    from dolittle_cli.commands.events.filters import Filters
    from dolittle_cli.commands.events.statistics import show_statistics
    from dolittle_cli.places import find_places

    filters = Filters.parse(
        start=start, stop=stop, types=types, sources=sources, correlation=correlation, where=where
    )
    places = find_places(project, tenant)
    run_loop(show_statistics(places, filters, group, count=count, as_json=json))


@app.command("diff")
def diff(
    range_: Annotated[
        str,
        typer.Argument(
            metavar="A..B", help="Two places: 3..7, @-1h..end, evt:ID..evt:ID.", show_default=False
        ),
    ],
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show what lies between two places, and in which fields the events there differ."""
    from dolittle_cli.commands.events.comparing import compare_places
    from dolittle_cli.project import find_place

    run_loop(compare_places(find_place(project, tenant), range_, as_json=json))


@app.command("trace")
def trace(
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT", help="A position, an event's id, or a correlation.", show_default=False
        ),
    ],
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show what caused what: the tree of the events that belong together.

    With the handlers and projections that get them, over all microservices of an application.
    """
    from dolittle_cli.commands.events.tracing import trace_event
    from dolittle_cli.places import find_places

    run_loop(trace_event(find_places(project, tenant), event, as_json=json))
