"""Gathers the graph of a microservice, or of all members of an application, and writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dolittle.errors import Unknown
from dolittle.runtime.configuration import load_configuration
from dolittle_cli.console import Console
from dolittle_cli.errors import WrongUsage
from dolittle_cli.graph.dot import dot
from dolittle_cli.graph.gathering import gather
from dolittle_cli.graph.mermaid import mermaid
from dolittle_cli.graph.model import Graph, graph_json, merged
from dolittle_cli.graph.seen import Seen, look_at
from dolittle_cli.graph.svg import svg
from dolittle_cli.project import Place, load, locate, members, open_log
from dolittle_cli.sources import read_sources


def _json(graph: Graph) -> str:
    return json.dumps(graph_json(graph), ensure_ascii=False) + "\n"


FORMATS: Final[dict[str, Callable[[Graph], str]]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "json": _json,
}


async def draw(project: Path | None, tenant: str, *, format: str, events: int) -> None:
    """Write the graph to stdout.

    Args:
        project: As ``--project``: of a microservice or an application.
        tenant: Whose event log is looked at; empty: ``development``.
        format: One of ``FORMATS``.
        events: How many of the last events of each log are looked at; 0: none.

    Raises:
        WrongUsage: There is no such format.
        Unknown: No microservice has the tenant.
        DeclarationErrors: A microservice cannot be loaded.
    """
    if format not in FORMATS:
        raise WrongUsage(
            f"--format {format!r} is not known", hint=f"it is one of: {', '.join(FORMATS)}"
        )
    graphs = [await _graph(place, events) for place in places(locate(project), tenant)]
    graph = merged(graphs)
    console = Console()
    console.data(FORMATS[format](graph).rstrip("\n"))
    if graph.has_more and events:
        console.note(
            f"the last {events:,} events of a log were looked at; for more: --events N, "
            "or --events 0 for none"
        )
    if not graph.nodes:
        console.note("nothing is declared yet: see dolittle add --help")


def places(folder: Path, tenant: str) -> list[Place]:
    """Return the microservices of a project that have a tenant.

    Raises:
        Unknown: None of them has the tenant.
        CommandLineError: It is an application without microservices.
    """
    configurations = [load_configuration(member) for member in members(folder)]
    known = sorted({name for item in configurations for name in item.tenants})
    if tenant not in known:
        raise Unknown("tenant", tenant, known)
    return [
        Place(item, tenant, item.tenant_folder(tenant))
        for item in configurations
        if tenant in item.tenants
    ]


async def _graph(place: Place, events: int) -> Graph:
    configuration = place.configuration
    definition = load(place)
    sources = read_sources(configuration.project, configuration.package)
    seen = Seen()
    if events and place.has_store:
        async with open_log(place) as store:
            seen = await look_at(store, events)
    return gather(configuration.name, configuration.project, definition, sources, seen)
