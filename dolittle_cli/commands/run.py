"""``dolittle run``: serve a microservice, or every one of an application, and deliver events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

LOOPBACK: Final = "127.0.0.1"


def run(
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65_535,
            help="The port to listen on; 0: any free one. Default: [http] port in dolittle.toml, "
            "else 8000 or the next free one.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="The address to listen on; 0.0.0.0 in a container, with --allowed-host.",
        ),
    ] = LOOPBACK,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            metavar="HOST",
            help="A further Host header to answer for: NAME or NAME:PORT; *: any. Repeatable.",
        ),
    ] = None,
    no_reload: Annotated[
        bool,
        typer.Option("--no-reload", help="Do not load the code again when it changes."),
    ] = False,
    ephemeral: Annotated[
        bool,
        typer.Option("--ephemeral", help="Keep everything in memory, write nothing to disk."),
    ] = False,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="The folder of a microservice or an application. "
            "Default: the nearest one with a dolittle.toml.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a microservice, or all of an application.

    Serves its commands, read models and events over HTTP, and delivers events to its handlers and
    projections. Files that change are loaded again; while they are broken, the code from before
    goes on serving.
    Stops with Ctrl-C (exit code 130) or SIGTERM (0), after the event in hand.
    """
    from dolittle.runtime.configuration import is_application
    from dolittle_cli.hosting import Asked, run_application, run_here, run_watched
    from dolittle_cli.project import locate

    asked = Asked(
        project=locate(project),
        address=host,
        port=port,
        allowed_hosts=tuple(allowed_host or ()),
        reloads=not no_reload,
        ephemeral=ephemeral,
    )
    if is_application(asked.project):
        code = asyncio.run(run_application(asked))
    elif asked.reloads:
        code = asyncio.run(run_watched(asked))
    else:
        code = asyncio.run(run_here(asked))
    raise typer.Exit(code)
