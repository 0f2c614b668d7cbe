"""What ``dolittle events`` and its commands take; the work is in the files beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dolittle_cli.commands.events.options import (
    CorrelationOption,
    FromOption,
    GrepOption,
    OutputOption,
    SourcesOption,
    ToOption,
    TypesOption,
    WhereOption,
    output_form,
)
from dolittle_cli.commands.events.replay import replay
from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption

app = typer.Typer(help="See, trace, export, record, append and replay events.")


@app.command("tail")
def tail(
    count: Annotated[
        int | None,
        typer.Option("-n", min=0, help="The last so many events. Default: 10, or all with --from."),
    ] = None,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            "-f",
            help="Wait for more. Default: on a terminal.",
            show_default=False,
        ),
    ] = None,
    start: FromOption = None,
    stop: ToOption = None,
    types: TypesOption = None,
    sources: SourcesOption = None,
    correlation: CorrelationOption = "",
    where: WhereOption = None,
    grep: GrepOption = None,
    output: OutputOption = "short",
    group_by: Annotated[
        Literal["source", "correlation"] | None,
        typer.Option("--group-by", help="Show together what is of one source or correlation."),
    ] = None,
    is_counted: Annotated[
        bool, typer.Option("--count", help="Write only how many there are.")
    ] = False,
    has_statistics: Annotated[
        bool, typer.Option("--stats", help="Write how many there are of each type, how often.")
    ] = False,
    cursor_file: Annotated[
        Path | None,
        typer.Option(
            "--cursor-file", metavar="F", help="Go on where the last tail with F stopped."
        ),
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show the last events, and those that come.

    In the folder of an application: of all its microservices at once.
    With --json one event is one line, flushed as it comes.
    Ctrl-C ends it (130), and so does a closed pipe (0).
    """
    from dolittle_cli.commands.events.filters import Filters
    from dolittle_cli.commands.events.tail import TailWish, tail_events
    from dolittle_cli.cursors import Cursor
    from dolittle_cli.places import find_places

    filters = Filters.parse(
        start=start,
        stop=stop,
        types=types,
        sources=sources,
        correlation=correlation,
        where=where,
        grep=grep,
    )
    wish = TailWish(
        filters,
        count=count,
        follow=follow,
        output=output_form(output, as_json=json),
        group_by=group_by or "",
        is_counted=is_counted,
        has_statistics=has_statistics,
        cursor=Cursor(cursor_file) if cursor_file else None,
    )
    run_loop(tail_events(find_places(project, tenant), wish))


@app.command("list")
def list_(
    start: FromOption = None,
    stop: ToOption = None,
    count: Annotated[int, typer.Option("-n", min=1, help="At most so many events.")] = 100,
    types: TypesOption = None,
    sources: SourcesOption = None,
    correlation: CorrelationOption = "",
    where: WhereOption = None,
    grep: GrepOption = None,
    output: OutputOption = "short",
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """List events: the last ones, or with --from the first ones from there.

    In the folder of an application: those of all its microservices, in the order of their times.
    With --json one event is one line.
    """
    from dolittle_cli.commands.events.filters import Filters
    from dolittle_cli.commands.events.listing import list_events
    from dolittle_cli.places import find_places

    filters = Filters.parse(
        start=start,
        stop=stop,
        types=types,
        sources=sources,
        correlation=correlation,
        where=where,
        grep=grep,
    )
    form = output_form(output, as_json=json)
    run_loop(list_events(find_places(project, tenant), filters, count=count, output=form))


@app.command("show")
def show(
    position: Annotated[
        str, typer.Argument(metavar="POSITION", help="A position, or evt:ID.", show_default=False)
    ],
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Show one event whole."""
    from dolittle_cli.commands.events.listing import show_event
    from dolittle_cli.project import find_place
    from dolittle_cli.ranges import parse

    bound = parse(position)
    run_loop(show_event(find_place(project, tenant), bound, as_json=json))


@app.command("append")
def append(
    event_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="The event type: its class, or its stored id.")
    ],
    source: Annotated[str, typer.Option("--source", metavar="S", help="The event source.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Its fields.")
    ] = None,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Commit one event that no aggregate guards.

    The fields are checked against the event type's class.
    """
    from dolittle_cli.commands.events.appending import append_event
    from dolittle_cli.project import find_place
    from dolittle_cli.values import parse_values

    fields = parse_values(values or ())
    place = find_place(project, tenant)
    run_loop(append_event(place, event_type, source, fields, as_json=json))


@app.command("verify")
def verify(
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Check every stored event: checksums, positions, versions, index.

    The exit code is 1 if anything is wrong. Nothing is changed.
    """
    from dolittle_cli.commands.events.verifying import verify_store
    from dolittle_cli.project import find_place

    if run_loop(verify_store(find_place(project, tenant), as_json=json)):
        raise typer.Exit(1)


@app.command("repair")
def repair(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Cut a damaged event log where it is damaged; what stands behind goes too.

    Says first what would be lost, keeps a copy of every file that it touches, and asks on a
    terminal; elsewhere it needs --yes. A backup of the damaged file is better, if there is one.
    """
    from dolittle_cli.commands.events.repairing import repair_store
    from dolittle_cli.project import find_place

    run_loop(repair_store(find_place(project, tenant), dry_run=dry_run, yes=yes, as_json=json))


app.command("replay")(replay)
