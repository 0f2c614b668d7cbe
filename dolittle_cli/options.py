"""Options that several commands have, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="The microservice's folder. Default: the nearest one with a dolittle.toml.",
        show_default=False,
    ),
]
TenantOption = Annotated[str, typer.Option("--tenant", metavar="NAME", help="The tenant.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON.")]
