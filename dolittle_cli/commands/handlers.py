"""``dolittle handlers``: event handlers, how far they are, and what to do about failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

if TYPE_CHECKING:
    from dolittle.handlers import EventHandlerDeclaration
    from dolittle.serialization import EventTypes
    from dolittle_cli.project import Place

app = typer.Typer(help="See the event handlers; retry or skip.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The handler's class.")]


@app.command("list")
def list_(
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """List the event handlers and how far they are."""
    from dolittle_cli.project import find_place

    run_loop(_list(find_place(project, tenant), as_json=json))


@app.command("show")
def show(
    name: NameArgument,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show one handler and its failing partitions; with --json their tracebacks too."""
    from dolittle_cli.project import find_place

    run_loop(_show(find_place(project, tenant), name, as_json=json))


@app.command("retry")
def retry(
    name: NameArgument,
    partition: Annotated[
        str | None,
        typer.Option("--partition", metavar="P", help="Only this one. Default: all failing."),
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Try failing partitions again now; the exit code is 1 if one still fails."""
    from dolittle_cli.mending import mend
    from dolittle_cli.project import find_place

    run_loop(mend(find_place(project, tenant), "retry", "handler", name, partition, as_json=json))


@app.command("skip")
def skip(
    name: NameArgument,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition", metavar="P", help="Which; needed unless the handler is unpartitioned."
        ),
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Leave out the event that a partition fails at, and go on behind it."""
    from dolittle_cli.mending import mend
    from dolittle_cli.project import find_place

    run_loop(mend(find_place(project, tenant), "skip", "handler", name, partition, as_json=json))


async def _list(place: Place, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.processors import lag_text, position_text, status_json, status_word
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        found = [
            (declaration, await microservice.processor_status(declaration.name))
            for declaration in microservice.definition.handlers.values()
        ]
    console = Console()
    if as_json:
        console.json(
            {"handlers": [{**status_json(s), "partitioned": d.partitioned} for d, s in found]}
        )
    elif found:
        rows = [
            (
                status.name,
                status.id,
                "yes" if declaration.partitioned else "no",
                status_word(status),
                position_text(status),
                lag_text(status),
                str(len(status.failing)),
            )
            for declaration, status in found
        ]
        console.table(
            ("handler", "id", "partitioned", "status", "position", "lag", "failing"), rows
        )
    else:
        console.note("no handlers: add one with dolittle add handler NAME --on EVENT")


async def _show(place: Place, name: str, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.processors import (
        failing_json,
        lag_text,
        position_text,
        status_json,
        status_word,
        write_failing,
    )
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.handler(name)
        status = await microservice.processor_status(declaration.name)
        methods = _methods(declaration, microservice.definition.event_types)
    console = Console()
    if as_json:
        console.json(
            {
                **status_json(status),
                "partitioned": declaration.partitioned,
                "concurrency": declaration.concurrency,
                "start_from": declaration.start_from,
                "methods": methods,
                "failing": [failing_json(row) for row in status.failing],
            }
        )
        return
    console.facts(
        [
            ("handler", status.name),
            ("id", status.id),
            ("partitioned", "yes" if declaration.partitioned else "no"),
            ("concurrency", str(declaration.concurrency)),
            ("starts from", declaration.start_from),
            ("status", status_word(status)),
            ("position", position_text(status)),
            ("lag", lag_text(status)),
            *((f"on {item['type']}", _method_text(item)) for item in methods),
        ]
    )
    write_failing(console, status.failing)


def _methods(declaration: EventHandlerDeclaration, event_types: EventTypes) -> list[dict[str, Any]]:
    return [
        {
            "type": event_types.alias(type_id),
            "method": method.name,
            "is_side_effect": method.is_side_effect,
        }
        for type_id, method in declaration.methods.items()
    ]


def _method_text(method: dict[str, Any]) -> str:
    return f"{method['method']} (side effect)" if method["is_side_effect"] else method["method"]
