"""``dolittle templates``: see what things are generated from, and have templates of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolittle_cli.console import Console
from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, OnConflictOption

app = typer.Typer(
    name="templates",
    help="See the templates, or take one over to change it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(as_json: JsonOption = False, project: ProjectOption = None) -> None:
    """List the templates of each kind, and which of them are the project's own.

    One that is stale was taken over before the shipped one changed; dolittle update merges that.
    """
    from dolittle_cli.scaffold.manifest import Manifest, read_manifest
    from dolittle_cli.scaffold.own_templates import kinds, statuses

    root, console = _project(project), Console()
    manifest = read_manifest(root) if root is not None else Manifest()
    found = [(kind, item) for kind in kinds() for item in statuses(root, manifest, kind)]
    if as_json:
        rows = [{"kind": kind, "template": i.name, "status": i.status} for kind, i in found]
        console.json({"templates": rows})
        return
    console.table(
        ("kind", "template", "status"), [(kind, item.name, item.status) for kind, item in found]
    )


@app.command()
def eject(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="E.g. event.")],
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Copy the templates of a kind into the project, to change them there.

    They stand in dolittle-templates/ and win over the shipped ones; commit them.
    """
    from dolittle_cli.scaffold.opening import open_for_change
    from dolittle_cli.scaffold.outcome import carry_out
    from dolittle_cli.scaffold.own_templates import plan_eject
    from dolittle_cli.scaffold.request import TEMPLATES, request

    opened = open_for_change(project, dry_run=dry_run)
    carry_out(
        plan_eject(opened.root, kind),
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=[],
        diff=diff,
        on_conflict=on_conflict,
        request=request(TEMPLATES, kind),
    )


def _project(project: Path | None) -> Path | None:
    """Return the project's folder, or ``None`` outside of one."""
    from dolittle.errors import ProjectNotFound
    from dolittle_cli.project import locate

    try:
        return locate(project)
    except ProjectNotFound:
        if project is not None:
            raise
        return None
