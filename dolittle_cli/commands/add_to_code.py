"""``dolittle add value``, ``command`` and ``generation``: what fields and methods are made of."""

from __future__ import annotations

from typing import Annotated

import typer

from dolittle_cli.console import Console
from dolittle_cli.options import JsonOption, ProjectOption
from dolittle_cli.scaffold.opening import open_for_change
from dolittle_cli.scaffold.options import (
    DiffOption,
    DryRunOption,
    FieldsArgument,
    OnConflictOption,
)
from dolittle_cli.scaffold.outcome import carry_out
from dolittle_cli.scaffold.request import plan_request, request


def value(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. Line.")],
    fields: FieldsArgument = None,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add a value object, with a test: what fields of events and others may be made of.

    Example: dolittle add value Line sku:str quantity:int:ge=1
    """
    opened = open_for_change(project, dry_run=dry_run)
    made = request("value", name, fields=fields)
    carry_out(
        plan_request(opened, made),
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=[f"dolittle add event OrderPlaced 'items:list[{name}]:min_length=1'"],
        diff=diff,
        on_conflict=on_conflict,
        request=made,
    )
