"""``dolittle graph``: commands, aggregates, events, handlers and projections, drawn."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption, TenantOption


def graph(
    format: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="mermaid, dot, svg or json."),
    ] = "mermaid",
    events: Annotated[
        int,
        typer.Option(
            "--events", min=0, help="Look at the last so many events of the log; 0: at none."
        ),
    ] = 100_000,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Draw what leads to what: commands, aggregates, events, handlers, projections.

    In an application's folder, of all its microservices. What the code declares and what the
    event log shows are drawn differently, and the legend says how.
    """
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.graph.drawing import draw

    if json and format not in ("mermaid", "json"):
        raise WrongUsage(f"--json and --format {format} exclude each other")
    chosen = "json" if json else format
    asyncio.run(draw(project, tenant, format=chosen, events=events))
