"""``dolittle rename``: rename a thing with everything that refers to it."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption


def rename(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="E.g. event or handler.")],
    old: Annotated[str, typer.Argument(metavar="OLD", help="E.g. DishPrepared.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="E.g. DishServed.")],
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Rename a thing and every reference to it.

    Its files and tests are renamed too.

    What is stored keeps its id: the class gets its old name as its id. Strings, comments and
    prose are left as they are, and named.

    Example: dolittle rename event DishPrepared DishServed
    """
    from dolittle_cli.console import Console
    from dolittle_cli.scaffold.manifest import read_manifest
    from dolittle_cli.scaffold.opening import open_for_change
    from dolittle_cli.scaffold.outcome import Showing, finish
    from dolittle_cli.scaffold.rename import plan_rename

    opened = open_for_change(project, dry_run=dry_run)
    plan = plan_rename(opened, read_manifest(opened.root), kind, old, new)
    finish(plan, Console(), Showing(dry_run, json, diff))
