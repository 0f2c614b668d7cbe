"""``dolittle types``: the event types that are declared, and those that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

if TYPE_CHECKING:
    from dolittle_cli.project import Place

app = typer.Typer(help="See the event types.")


@app.callback()
def types() -> None:
    """See the event types."""


@app.command("list")
def list_(
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """List the event types, and how many events there are of each.

    They are read from the source, which need not import; a type that is stored and no longer
    declared is listed too.
    """
    from dolittle_cli.project import find_place

    run_loop(_list(find_place(project, tenant), as_json=json))


async def _list(place: Place, *, as_json: bool) -> None:
    from dolittle_cli.console import Console
    from dolittle_cli.project import aliases_of, open_log

    aliases = aliases_of(place)
    async with open_log(place) as store:
        counts = await store.type_counts()
    found: list[dict[str, Any]] = []
    for type_id in sorted({*aliases.by_id, *counts}, key=lambda item: (aliases.alias(item), item)):
        written = aliases.by_id.get(type_id)
        found.append(
            {
                "type": aliases.alias(type_id),
                "type_id": type_id,
                "generation": written.generation if written else None,
                "public": written.public if written else None,
                "events": counts.get(type_id, 0),
                "declared": f"{written.path}:{written.line}" if written else None,
            }
        )
    console = Console()
    if as_json:
        console.json({"types": found})
        return
    if not found:
        console.note("no event types: add one with dolittle add event NAME [field:type ...]")
        return
    rows = [
        (
            item["type"],
            item["type_id"],
            str(item["generation"] or "-"),
            "yes" if item["public"] else "no",
            str(item["events"]),
            "yes" if item["declared"] else "no",
        )
        for item in found
    ]
    console.table(("type", "id", "generation", "public", "events", "declared"), rows)
