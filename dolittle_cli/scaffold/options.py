"""Options of every command that changes a project, each defined once."""

from __future__ import annotations

from typing import Annotated

import typer

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show it, and write nothing.")]
DiffOption = Annotated[
    bool, typer.Option("--diff", help="Show what changes in each file, as a unified diff.")
]
OnConflictOption = Annotated[
    str,
    typer.Option(
        "--on-conflict",
        metavar="overwrite|skip|merge",
        help="What to do with a file that differs in the same place. Default: ask on a "
        "terminal, refuse elsewhere.",
        show_default=False,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Do it though something else depends on it.")
]
