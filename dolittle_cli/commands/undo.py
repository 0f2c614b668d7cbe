"""``dolittle undo``: take back a command that changed the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, ForceOption

if TYPE_CHECKING:
    from dolittle_cli.console import Console
    from dolittle_cli.scaffold.manifest import Manifest


def undo(
    command: Annotated[
        str,
        typer.Argument(metavar="NUMBER", help="Of a command, see --list. Default: the last one."),
    ] = "",
    list_: Annotated[
        bool, typer.Option("--list", help="List the commands that can be taken back.")
    ] = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Take back a command that changed the project.

    By default the last one.

    What was generated and nobody changed goes; what you have changed stays and is named.
    Once more walks back further.
    """
    from dolittle_cli.console import Console
    from dolittle_cli.project import locate
    from dolittle_cli.scaffold.manifest import read_manifest
    from dolittle_cli.scaffold.outcome import Showing, finish, put_back_first
    from dolittle_cli.scaffold.undo import find_record, plan_undo

    root, console = locate(project), Console()
    if list_:
        _list(read_manifest(root), console, as_json=json)
        return
    put_back_first(root, console, dry_run=dry_run)
    manifest = read_manifest(root)
    record = find_record(manifest, command)
    plan = plan_undo(root, manifest, record, force=force)
    if not json:
        console.note(f"taking back {record.number}: {record.command}")
    finish(
        plan,
        console,
        Showing(dry_run, json, diff),
        extra={"command": record.command, "number": record.number},
        nothing="there was nothing to change back; the command is forgotten",
    )


def _list(manifest: Manifest, console: Console, *, as_json: bool) -> None:
    if as_json:
        commands = [
            {
                "number": record.number,
                "name": f"{record.number:04}-{record.slug}",
                "command": record.command,
                "version": record.version,
                "files": sorted(record.files),
            }
            for record in manifest.records
        ]
        console.json({"commands": commands})
        return
    rows = [(str(item.number), str(len(item.files)), item.command) for item in manifest.records]
    if rows:
        console.table(("number", "files", "command"), rows)
    else:
        console.note("no command is remembered here")
