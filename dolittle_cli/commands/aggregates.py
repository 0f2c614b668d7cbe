"""``dolittle aggregates``: aggregate roots, their instances, and one instance now or as it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice
    from dolittle.store import CommittedEvent
    from dolittle_cli.project import Place

app = typer.Typer(help="See the aggregates.")

EVENTS_SHOWN: Final = 10
"""The last events of an instance that are shown with it."""


@app.command("list")
def list_(
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """List the aggregate roots, with their commands and how many instances there are."""
    from dolittle_cli.project import find_place

    run_loop(_list(find_place(project, tenant), as_json=json))


@app.command("show")
def show(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The aggregate root's class.")],
    source: Annotated[
        str, typer.Argument(metavar="[SOURCE]", help="One instance; default: list them.")
    ] = "",
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="VERSION|@TIME",
            help="As it was: after so many of its events, or at a time (@2026-01-31, @-15m).",
            show_default=False,
        ),
    ] = "",
    diff: Annotated[
        str,
        typer.Option(
            "--diff",
            metavar="A:B",
            help="Which event changed which field, from version or time A to B.",
            show_default=False,
        ),
    ] = "",
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show the instances of an aggregate root, or one of them with its last events.

    --at shows an instance as it was, --diff what its events changed.
    """
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.project import find_place

    if (at or diff) and not source:
        raise WrongUsage("--at and --diff are about one instance: name its SOURCE")
    if at and diff:
        raise WrongUsage("--at and --diff exclude each other")
    if at or diff:
        run_loop(_show_past(project, tenant, (root, source), (at, diff), as_json=json))
        return
    place = find_place(project, tenant)
    if source:
        run_loop(_show_instance(place, root, source, as_json=json))
    else:
        run_loop(_show_root(place, root, as_json=json))


async def _show_past(
    project: Path | None,
    tenant: str,
    names: tuple[str, str],
    wanted: tuple[str, str],
    *,
    as_json: bool,
) -> None:
    from dolittle.execution import SystemClock
    from dolittle_cli.past import changes_between, instance_at, parse_version, parse_versions
    from dolittle_cli.project import find_place, use

    at, diff = wanted
    moment = parse_version(at) if at else 0
    bounds = parse_versions(diff) if diff else (0, 0)
    async with use(find_place(project, tenant), makes_store=False) as microservice:
        if at:
            show = await instance_at(microservice, *names, moment, SystemClock())
        else:
            show = await changes_between(microservice, *names, bounds, SystemClock())
    show(as_json)


async def _list(place: Place, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        found: list[dict[str, Any]] = [
            {
                "aggregate": declaration.name,
                "id": declaration.id,
                "commands": list(declaration.commands),
                "instances": len(await microservice.store.streams(declaration.id)),
            }
            for declaration in microservice.definition.aggregates.values()
        ]
    console = Console()
    if as_json:
        console.json({"aggregates": found})
    elif found:
        rows = [
            (item["aggregate"], item["id"], str(item["instances"]), ", ".join(item["commands"]))
            for item in found
        ]
        console.table(("aggregate", "id", "instances", "commands"), rows)
    else:
        console.note("no aggregates: add one with dolittle add aggregate NAME")


async def _show_root(place: Place, root: str, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.aggregate(root)
        streams = await microservice.store.streams(declaration.id)
    console = Console()
    if as_json:
        instances = [{"source": stream.source, "version": version} for stream, version in streams]
        console.json({"aggregate": declaration.name, "id": declaration.id, "instances": instances})
    elif streams:
        console.table(
            ("source", "version"), [(stream.source, str(version)) for stream, version in streams]
        )
    else:
        console.note(f"{declaration.name} has no instances yet")


async def _show_instance(place: Place, root: str, source: str, *, as_json: bool) -> None:
    from dolittle.runtime.event_json import event_json
    from dolittle_cli.console import Console
    from dolittle_cli.event_lines import EventLines
    from dolittle_cli.past import value_text
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        name, version, fields, events = await _instance(microservice, root, source)
        event_types = microservice.definition.event_types
    console = Console()
    if as_json:
        console.json(
            {
                "aggregate": name,
                "source": source,
                "version": version,
                "state": fields,
                "events": [event_json(event, event_types, place.tenant) for event in events],
            }
        )
        return
    console.facts(
        [
            ("aggregate", name),
            ("source", source),
            ("version", str(version)),
            *((field, value_text(value)) for field, value in fields.items()),
        ]
    )
    console.data("")
    EventLines(console, event_types, with_date=True).write(events, titles=True)
    if version > len(events):
        console.note(f"the last {len(events)} of {version} events")


async def _instance(
    microservice: Microservice, root: str, source: str
) -> tuple[str, int, dict[str, Any], list[CommittedEvent]]:
    """Return name, version, fields and last events of an instance."""
    from dolittle.runtime.field_changes import fields_of
    from dolittle.store import Selection
    from dolittle_cli.past import check_instance

    declaration = microservice.definition.aggregate(root)
    await check_instance(microservice, root, source)
    instance = await microservice.aggregate_state(root, source)
    events = await microservice.store.read_last(
        Selection(source=source, aggregate=declaration.id), EVENTS_SHOWN
    )
    return declaration.name, instance.version, fields_of(instance), events
