"""``dolittle add value``, ``command`` and ``generation``: what fields and methods are made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from dolittle_cli.scaffold.outcome import Showing, carry_out, carry_out_edit
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
    users = opened.source.users(name)
    follow = [f"dolittle add event OrderPlaced 'items:list[{name}]:min_length=1'"]
    if users:
        follow = [f"pytest  # what is stored of {', '.join(users)} changes with {name}"]
    carry_out(
        plan_request(opened, made),
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )


def command(
    aggregate: Annotated[str, typer.Argument(metavar="AGGREGATE", help="One that is there.")],
    method: Annotated[str, typer.Argument(metavar="METHOD", help="E.g. prepare_dish.")],
    fields: FieldsArgument = None,
    event: Annotated[
        str,
        typer.Option(
            "--event",
            metavar="EVENT",
            help="The event it applies, one that is there or a new one. "
            "Default: made of METHOD, prepare_dish gives DishPrepared.",
            show_default=False,
        ),
    ] = "",
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add a command to an aggregate root that is there, with its event and a test.

    The class is edited at places that its syntax tree names; where that is not sure, the lines
    to paste are printed, and nothing is written.

    Example: dolittle add command Kitchen prepare_dish dish:str chef:str
    """
    from dolittle_cli.scaffold.command import plan_command
    from dolittle_cli.scaffold.project import typed_values

    opened = open_for_change(project, dry_run=dry_run)
    with _pasted():
        planned = plan_command(opened, aggregate, method, fields or [], event)
    typed = request("command", aggregate, fields=[method, *(fields or [])], event=event)
    values = typed_values(planned.event.fields)
    perform = " ".join([f'dolittle perform {aggregate} "a source" {method}', *values])
    carry_out_edit(
        planned.plan,
        Console(),
        Showing(dry_run, as_json, diff),
        typed,
        made=request("event", planned.event.name, fields=fields) if planned.is_new else None,
        follow=["dolittle run", perform],
    )


def generation(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="One that is there.")],
    fields: FieldsArgument = None,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add the next generation of an event type: new fields, an upcaster and a test.

    Events that are stored stay as they are; the upcaster says what they are read with, which is
    the default of each new field. Without fields, it is for you to change.

    Example: dolittle add generation DishPrepared minutes:int=0
    """
    from dolittle_cli.scaffold.generation import plan_generation

    opened = open_for_change(project, dry_run=dry_run)
    with _pasted():
        plan = plan_generation(opened, event, fields or [])
    carry_out_edit(
        plan,
        Console(),
        Showing(dry_run, as_json, diff),
        request("generation", event, fields=fields),
        made=None,
        follow=["dolittle types list", "dolittle run"],
        changed=f"event {event}",
    )


@contextmanager
def _pasted() -> Iterator[None]:
    """Print what its owner is to paste into a file that is not edited."""
    from dolittle_cli.scaffold.editing import NotSure

    try:
        yield
    except NotSure as error:
        for line in error.lines:
            Console().data(line)
        raise
