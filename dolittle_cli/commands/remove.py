"""``dolittle remove``: remove a thing that was added."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, ForceOption


def remove(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="E.g. event or handler.")],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="E.g. DishPrepared; api, ci and compose have none."),
    ] = "",
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Remove a thing that was added.

    What was generated for it and nobody changed goes, its tests too.

    What you have changed stays and is named. If something else imports it, nothing is done. With
    api goes what it put into pyproject.toml, unless something else imports it.

    Example: dolittle remove handler DishHandler
    """
    from dolittle_cli.console import Console
    from dolittle_cli.project import locate
    from dolittle_cli.scaffold.manifest import read_manifest
    from dolittle_cli.scaffold.outcome import Showing, finish, put_back_first
    from dolittle_cli.scaffold.project import open_project
    from dolittle_cli.scaffold.remove import plan_remove

    root, console = locate(project), Console()
    put_back_first(root, console, dry_run=dry_run)
    plan = plan_remove(open_project(root), read_manifest(root), kind, name, force=force)
    nothing = "its files were gone already; it is forgotten"
    finish(plan, console, Showing(dry_run, json, diff), nothing=nothing)
