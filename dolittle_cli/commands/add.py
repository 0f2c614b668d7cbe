"""``dolittle add``: add an event, an aggregate, a handler or a projection to a microservice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from dolittle_cli.commands.add_to_code import command, generation, value
from dolittle_cli.commands.add_to_project import api, ci, compose
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

if TYPE_CHECKING:
    from dolittle_cli.scaffold.project import Project

app = typer.Typer(
    name="add",
    help="Add a thing to a microservice.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OnOption = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="EVENT", help="An event type; may be given several times."),
]


@app.command()
def event(
    name: Annotated[str, typer.Argument(metavar="NAME", help="In the past tense: DishPrepared.")],
    fields: FieldsArgument = None,
    public: Annotated[
        bool, typer.Option("--public", help="Other microservices may read its events.")
    ] = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add an event type, with a test.

    Example: dolittle add event DishPrepared dish:str chef:str
    """
    from dolittle_cli.scaffold.fields import parse_fields
    from dolittle_cli.scaffold.project import typed_values

    opened = open_for_change(project, dry_run=dry_run)
    made = request("event", name, fields=fields, public=public)
    plan = plan_request(opened, made)
    known = opened.source.values()
    values = typed_values(parse_fields(fields or [], name, values=known))
    follow = [
        f"dolittle add handler {name}Handler --on {name}",
        " ".join([f'dolittle events append {name} --source "a source"', *values]),
    ]
    carry_out(
        plan,
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )


@app.command()
def aggregate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. Kitchen.")],
    fields: FieldsArgument = None,
    command: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            metavar="METHOD=EVENT",
            help="A command and the event it applies; may be given several times.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add an aggregate root with its commands, and a test for each.

    Example: dolittle add aggregate Kitchen ingredients:int=2 --command prepare_dish=DishPrepared
    """
    from dolittle_cli.scaffold.fields import is_field

    given, more = _parted(fields, command, is_field)
    opened = open_for_change(project, dry_run=dry_run)
    made = request("aggregate", name, fields=given, command=more)
    plan = plan_request(opened, made)
    follow = ["dolittle run"]
    if more:
        method, _, event_name = more[0].partition("=")
        follow.append(_perform(opened, name, method, event_name))
    carry_out(
        plan,
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )


@app.command()
def handler(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. DishHandler.")],
    events: Annotated[
        list[str] | None, typer.Argument(metavar="EVENT", help="More events for --on.")
    ] = None,
    on: OnOption = None,
    unpartitioned: Annotated[
        bool,
        typer.Option(
            "--unpartitioned",
            help="Keep order over everything, not per event source; wait at a failing event.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add an event handler, with a test for each of its events.

    Example: dolittle add handler DishHandler --on DishPrepared
    """
    opened = open_for_change(project, dry_run=dry_run)
    named = [*(on or []), *(events or [])]
    made = request("handler", name, on=named, unpartitioned=unpartitioned)
    plan = plan_request(opened, made)
    follow = ["dolittle run", f"dolittle handlers show {name}"]
    carry_out(
        plan,
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )


@app.command()
def projection(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. DishCounter.")],
    fields: FieldsArgument = None,
    on: OnOption = None,
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="source|FIELD",
            help="A document for each event source, or for each value of the events' FIELD.",
        ),
    ] = "source",
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Add a projection, with a test for each of its events.

    A field that is called like one of the event's takes its value, count:int=0 counts, and
    source:str is the event source. Without fields: the key, and a count.

    Example: dolittle add projection DishCounter --on DishPrepared --key dish
    """
    from dolittle_cli.scaffold.fields import is_field

    given, more = _parted(fields, on, is_field)
    opened = open_for_change(project, dry_run=dry_run)
    named_key = "" if key == "source" else key
    made = request("projection", name, fields=given, on=more, key=named_key)
    plan = plan_request(opened, made)
    follow = ["dolittle run", f"dolittle projections show {name}"]
    carry_out(
        plan,
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
        manifest=opened.manifest,
    )


for _command in (value, command, generation, api, compose, ci):
    app.command()(_command)


def _parted(
    words: list[str] | None, option: list[str] | None, is_field: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Part fields from what follows the first value of an option: ``--on DishPrepared DishSold``.

    Without the option, every word is meant to be a field.
    """
    words = words or []
    if not option:
        return words, []
    return [w for w in words if is_field(w)], [*option, *(w for w in words if not is_field(w))]


def _perform(project: Project, aggregate: str, method: str, event_name: str) -> str:
    """Return the command line that performs a command with made-up values."""
    from dolittle_cli.scaffold.project import typed_values

    values = typed_values(project.source.event(event_name).fields)
    return " ".join([f'dolittle perform {aggregate} "a source" {method}', *values])
