"""What ``dolittle events export``, ``import``, ``record`` and ``play`` take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dolittle_cli.commands.events.app import app
from dolittle_cli.commands.events.options import (
    CorrelationOption,
    FromOption,
    GrepOption,
    SourcesOption,
    ToOption,
    TypesOption,
    WhereOption,
)
from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption


@app.command("export")
def export(
    to_file: Annotated[
        Path | None, typer.Option("--to-file", metavar="F", help="Write to a file, not stdout.")
    ] = None,
    form: Annotated[
        Literal["jsonl", "cloudevents"], typer.Option("--format", help="Of the lines.")
    ] = "jsonl",
    redacted: Annotated[
        list[str] | None,
        typer.Option(
            "--redact", metavar="FIELD", help="Blank this field of the content; repeatable."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    whole_commits: Annotated[
        bool,
        typer.Option("--whole-commits", help="With an event, the others of its commit too."),
    ] = False,
    start: FromOption = None,
    stop: ToOption = None,
    types: TypesOption = None,
    sources: SourcesOption = None,
    correlation: CorrelationOption = "",
    where: WhereOption = None,
    grep: GrepOption = None,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Write events as lines of JSON, whole: ids, times, content.

    In the folder of an application: those of all its microservices, in the order of their times.
    Without anything that chooses events, `dolittle events import` takes the file; where events
    are chosen, with --whole-commits.
    """
    from dolittle_cli.commands.events.exporting import ExportWish, export_events
    from dolittle_cli.commands.events.filters import Filters
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
    wish = ExportWish(filters, form, to_file, overwrite, tuple(redacted or ()), whole_commits)
    run_loop(export_events(find_places(project, tenant), wish))


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="Of an export; - for stdin.", show_default=False)
    ],
    foreign: Annotated[
        bool, typer.Option("--foreign", help="Take events of another microservice too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check, and say what would be done.")
    ] = False,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Commit the events of an export, with their ids and times.

    All of a file or nothing; commits that are there already are left alone.
    In the folder of an application: into each microservice what is of it.
    """
    from dolittle_cli.commands.events.importing import import_events
    from dolittle_cli.places import find_places

    places = find_places(project, tenant)
    run_loop(import_events(places, source, foreign=foreign, dry_run=dry_run, as_json=json))


@app.command("record")
def record(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the scenario.")],
    as_test: Annotated[
        bool, typer.Option("--as-test", help="Write a given/when/then test too.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    start: FromOption = None,
    stop: ToOption = None,
    types: TypesOption = None,
    sources: SourcesOption = None,
    correlation: CorrelationOption = "",
    where: WhereOption = None,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Record events to scenarios/NAME.jsonl, to be played again.

    With --from or --to those of the past; without, what comes until Ctrl-C.
    """
    from dolittle_cli.commands.events.filters import Filters
    from dolittle_cli.commands.events.recording import RecordWish, record_scenario
    from dolittle_cli.project import find_place

    filters = Filters.parse(
        start=start, stop=stop, types=types, sources=sources, correlation=correlation, where=where
    )
    wish = RecordWish(name, filters, as_test, overwrite)
    run_loop(record_scenario(find_place(project, tenant), wish))


@app.command("play")
def play(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the scenario.")],
    speed: Annotated[
        str, typer.Option("--speed", metavar="S", help="original, 10x, 0.5x or max.")
    ] = "max",
    with_caused: Annotated[
        bool, typer.Option("--with-caused", help="Commit what handlers made, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check, and say what would be done.")
    ] = False,
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Commit the events of scenarios/NAME.jsonl again, as new ones.

    Every event is checked against its class first. Works while the microservice runs.
    """
    from dolittle_cli.commands.events.playing import PlayWish, parse_speed, play_scenario
    from dolittle_cli.project import find_place

    wish = PlayWish(name, parse_speed(speed), with_caused, dry_run)
    run_loop(play_scenario(find_place(project, tenant), wish, as_json=json))
