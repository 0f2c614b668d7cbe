"""``dolittle explain``: which handlers and projections get an event, and why others do not."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption, TenantOption


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="EVENT|TYPE",
            help="A position, an event's id, or an event type (its class or stored id).",
            show_default=False,
        ),
    ],
    json: JsonOption = False,
    tenant: TenantOption = "development",
    project: ProjectOption = None,
) -> None:
    """Say who gets an event, and why others do not.

    Of one event: which handlers and projections have handled it, wait for it or fail at it,
    and the key that it goes to.
    Of an event type: who takes it, with which method, and how far they are.
    """
    from dolittle_cli.explaining import explain_it
    from dolittle_cli.project import find_place

    run_loop(explain_it(find_place(project, tenant), what, as_json=json))
