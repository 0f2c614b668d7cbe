"""``dolittle projections``: how far they are, and the read models that they have made."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

if TYPE_CHECKING:
    from dolittle.runtime.microservice import ProcessorStatus
    from dolittle_cli.project import Place

app = typer.Typer(help="See the projections; retry or skip.")


@app.command("list")
def list_(
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """List the projections, how far they are, and how many read models they have."""
    from dolittle_cli.project import find_place

    run_loop(_list(find_place(project, tenant), as_json=json))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The projection's class.")],
    key: Annotated[
        str, typer.Argument(metavar="[KEY]", help="One read model; default: list them.")
    ] = "",
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="POSITION|@TIME",
            help="As it was after the event there, or at a time (@2026-01-31, @-15m).",
            show_default=False,
        ),
    ] = "",
    count: Annotated[int, typer.Option("-n", min=1, help="At most so many read models.")] = 100,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show the read models of a projection, or the one of a key.

    --at shows it as it was: folded anew from the events, the stored one is not looked at.
    """
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.project import find_place

    if at and not key:
        raise WrongUsage("--at is about one read model: name its KEY")
    if at:
        run_loop(_show_past(project, tenant, name, key, at, as_json=json))
        return
    place = find_place(project, tenant)
    if key:
        run_loop(_show_document(place, name, key, as_json=json))
    else:
        run_loop(_show(place, name, count, as_json=json))


@app.command("retry")
def retry(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The projection's class.")],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Only this one. Default: all failing."),
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Try failing keys again now; the exit code is 1 if one still fails."""
    from dolittle_cli.mending import mend
    from dolittle_cli.project import find_place

    run_loop(mend(find_place(project, tenant), "retry", "projection", name, key, as_json=json))


@app.command("skip")
def skip(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The projection's class.")],
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Which; it must be named.")
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Leave out the event that a key fails at, and go on behind it."""
    from dolittle_cli.mending import mend
    from dolittle_cli.project import find_place

    run_loop(mend(find_place(project, tenant), "skip", "projection", name, key, as_json=json))


async def _show_past(
    project: Path | None, tenant: str, name: str, key: str, at: str, *, as_json: bool
) -> None:
    from dolittle.execution import SystemClock
    from dolittle_cli.past import document_at, parse_position
    from dolittle_cli.project import find_place, use

    bound = parse_position(at)
    async with use(find_place(project, tenant), makes_store=False) as microservice:
        show = await document_at(microservice, name, key, bound, SystemClock())
    show(as_json)


async def _list(place: Place, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.processors import lag_text, position_text, status_json, status_word
    from dolittle_cli.project import use
    from dolittle_cli.shadowed import say_shadow, shadow_json, shadows_of

    async with use(place, makes_store=False) as microservice:
        shadows = await shadows_of(microservice, place, [*microservice.definition.projections])
        found = [
            (
                await microservice.processor_status(name),
                await microservice.projection_by_name(name).count(),
            )
            for name in microservice.definition.projections
        ]
    console = Console()
    if as_json:
        rows_json = [
            {
                **status_json(status),
                "read_models": count,
                "shadow": shadow_json(shadows.get(status.name)),
            }
            for status, count in found
        ]
        console.json({"projections": rows_json})
    elif found:
        rows = [
            (
                status.name,
                status.id,
                status_word(status),
                position_text(status),
                lag_text(status),
                str(len(status.failing)),
                str(count),
            )
            for status, count in found
        ]
        console.table(
            ("projection", "id", "status", "position", "lag", "failing", "read models"), rows
        )
    else:
        console.note("no projections: add one with dolittle add projection NAME --on EVENT")
    for shadow in shadows.values():
        say_shadow(console, shadow)


async def _show(place: Place, name: str, count: int, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.processors import failing_json, status_json, write_failing
    from dolittle_cli.project import use
    from dolittle_cli.shadowed import say_shadow, shadow_json, shadows_of

    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.projection(name)
        status = await microservice.processor_status(declaration.name)
        shadow = (await shadows_of(microservice, place, [name])).get(declaration.name)
        models = microservice.projection_by_name(name)
        total = await models.count()
        page = await models.raw_page(limit=count)
    documents = [(key, json_module.loads(content)) for key, content in page]
    console = Console()
    if as_json:
        console.json(
            {
                **status_json(status),
                "failing": [failing_json(row) for row in status.failing],
                "read_models": total,
                "shadow": shadow_json(shadow),
                "documents": [{"key": key, "document": document} for key, document in documents],
            }
        )
    else:
        if documents:
            console.table(("key", "document"), [(key, _text(item)) for key, item in documents])
        else:
            console.note(f"{status.name} has no read models yet")
        write_failing(console, status.failing)
    if total > len(documents):
        console.note(f"the first {len(documents)} of {total} read models; for more: -n {total}")
    _say_lag(status)
    if shadow is not None:
        say_shadow(console, shadow)


async def _show_document(place: Place, name: str, key: str, *, as_json: bool) -> None:
    from dolittle.errors import Unknown
    from dolittle_cli.console import Console
    from dolittle_cli.project import use

    async with use(place, makes_store=False) as microservice:
        declaration = microservice.definition.projection(name)
        status = await microservice.processor_status(declaration.name)
        models = microservice.projection_by_name(name)
        content = await models.raw(key)
        known = [item for item, _ in await models.raw_page()] if content is None else []
    _say_lag(status)
    if content is None:
        raise Unknown(f"read model of {declaration.name} with the key", key, known)
    document = json_module.loads(content)
    console = Console()
    if as_json:
        console.json({"key": key, "document": document})
    else:
        console.data(json_module.dumps(document, ensure_ascii=False, indent=2))


def _say_lag(status: ProcessorStatus) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.processors import lag_text

    if status.behind:
        Console().note(
            f"{status.name} lags: events still to come: {lag_text(status)}. Is the microservice "
            "running (dolittle run)?"
        )


def _text(document: Any) -> str:
    return json_module.dumps(document, ensure_ascii=False)
