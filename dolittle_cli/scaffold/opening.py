"""Opens the project that a command changes, once nothing half done is left in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dolittle_cli.console import Console
from dolittle_cli.scaffold.outcome import put_back_first

if TYPE_CHECKING:
    from dolittle_cli.scaffold.project import Project


def open_for_change(project: Path | None, *, dry_run: bool) -> Project:
    """Find a project, take back what a killed command has left, and read its source.

    Args:
        project: As it was typed with ``--project``; ``None``: the current folder's.
        dry_run: Mend nothing.

    Raises:
        CommandLineError: There is none, it cannot be read, or something is half done.
    """
    from dolittle_cli.project import locate
    from dolittle_cli.scaffold.project import open_project

    root = locate(project)
    put_back_first(root, Console(), dry_run=dry_run)
    return open_project(root)
