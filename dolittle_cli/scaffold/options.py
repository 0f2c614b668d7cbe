"""Options of every command that changes a project, each defined once."""

from __future__ import annotations

from typing import Annotated

import typer

FIELDS_HELP = (
    "Fields: name:type or name:type=default. "
    "Types: str int float bool Decimal date datetime UUID, list[str], dict[str,int], "
    "enum(new,paid) and value objects, each with ? where it may be absent. Limits stand behind the "
    "type, those of entries in the brackets: quantity:int:ge=1:default=1, sizes:list[int:ge=1]. "
    "Put these in quotes: 'note:str?'."
)

FieldsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="FIELD:TYPE=DEFAULT", help=FIELDS_HELP)
]
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
