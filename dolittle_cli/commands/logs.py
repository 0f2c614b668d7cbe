"""``dolittle logs``: what ``dolittle run`` has said of one microservice, or of all."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption


def logs(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Microservices of an application; all of them."),
    ] = None,
    count: Annotated[int, typer.Option("-n", min=0, help="The last so many lines.")] = 100,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Wait for more.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Not older than this: 15m, 2026-01-31T10:00Z."
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Show the logs of dolittle run, also of runs that have ended.

    They are in .dolittle/logs of each microservice.
    """
    from dolittle_cli.log_lines import parse_since, show_logs
    from dolittle_cli.loop import run_loop
    from dolittle_cli.places import find_configurations

    moment = parse_since(since) if since is not None else None
    found = find_configurations(project, names or ())
    run_loop(show_logs(found, count=count, follow=follow, since=moment, as_json=json))
