"""``dolittle update``: move a project to the templates of the installed version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, OnConflictOption

if TYPE_CHECKING:
    from dolittle_cli.console import Console
    from dolittle_cli.scaffold.manifest import Manifest
    from dolittle_cli.scaffold.outcome import Showing

EXIT_WOULD_CHANGE: Final = 2


def update(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 2 if something would change.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Restore what was before an update with conflicts.")
    ] = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Move a project to this version's templates.

    What the templates changed is merged into what you have made of the files. Where both
    changed the same lines, both are left between markers, and the exit code is 3.
    """
    from dolittle_cli.console import Console
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.project import locate
    from dolittle_cli.scaffold.manifest import read_manifest
    from dolittle_cli.scaffold.outcome import Showing, finish, put_back_first
    from dolittle_cli.scaffold.settle import Resolution, resolution_of
    from dolittle_cli.scaffold.update import plan_update

    if check and abort:
        raise WrongUsage("--check and --abort exclude each other", hint="give one of them")
    root, console = locate(project), Console()
    put_back_first(root, console, dry_run=dry_run or check)
    manifest = read_manifest(root)
    showing = Showing(dry_run or check, json, diff, "--check" if check else "--dry-run")
    if abort:
        _abort(root, manifest, console, showing)
        return
    plan = plan_update(root, manifest, resolution_of(on_conflict or Resolution.MERGE))
    nothing = "everything that is remembered is as this version generates it"
    finish(plan, console, showing, extra={"would_change": bool(plan.changes)}, nothing=nothing)
    if check and plan.changes:
        raise typer.Exit(EXIT_WOULD_CHANGE)


def _abort(root: Path, manifest: Manifest, console: Console, showing: Showing) -> None:
    from dolittle_cli.errors import WrongUsage
    from dolittle_cli.scaffold.outcome import finish
    from dolittle_cli.scaffold.undo import plan_abort
    from dolittle_cli.scaffold.update import find_unfinished

    record = find_unfinished(root, manifest)
    if record is None:
        raise WrongUsage(
            "there is no unfinished update to go back from",
            hint="an update that is finished is taken back with dolittle undo",
        )
    finish(plan_abort(root, record), console, showing)
