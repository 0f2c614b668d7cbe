"""``dolittle new``: make a microservice or an application."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import typer

from dolittle.errors import suggest
from dolittle_cli.console import Console
from dolittle_cli.errors import WrongUsage
from dolittle_cli.options import JsonOption
from dolittle_cli.scaffold.options import DiffOption, DryRunOption, OnConflictOption
from dolittle_cli.scaffold.outcome import Showing, carry_out, put_back_first
from dolittle_cli.scaffold.request import plan_new, request

if TYPE_CHECKING:
    from dolittle_cli.scaffold.foreign import Foreign

app = typer.Typer(
    name="new",
    help="Make a new microservice or application.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EXAMPLES: Final = ("kitchen",)
"""What a new microservice may begin with."""

IntoOption = Annotated[
    Path,
    typer.Option(
        "--into",
        metavar="DIR",
        help="Put the new folder in DIR. Default: here.",
        show_default=False,
    ),
]


@app.command()
def microservice(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. kitchen or order-desk.")],
    into: IntoOption = Path(),
    example: Annotated[
        str, typer.Option("--example", metavar="kitchen", help="Begin with the tutorial's kitchen.")
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="PATH_OR_GIT",
            help="Use this copier template instead of dolittle's own.",
        ),
    ] = "",
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="NAME=VALUE",
            help="An answer to a question of --template; may be given several times.",
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let --template run code: tasks and extensions.")
    ] = False,
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a microservice: package, tests and Dockerfile.

    In an application's folder it becomes a part of that application.
    """
    if template:
        if example:
            raise WrongUsage("--example is for dolittle's own template", hint="leave it out")
        foreign = _foreign(template, data or [], trust=trust, asks=not as_json)
        showing = Showing(dry_run, as_json, diff)
        _make_of_foreign(name, into, foreign, showing, on_conflict)
        return
    if data or trust:
        raise WrongUsage("--data and --trust are for a --template", hint="name one, or leave them")
    if example and example not in EXAMPLES:
        raise WrongUsage(f"there is no example {example!r}", hint=suggest(example, EXAMPLES))
    made = request("microservice", name, example=example)
    put_back_first(into / name, Console(), dry_run=dry_run)
    plan = carry_out(
        plan_new(made, into),
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=_follow(name, into, example),
        diff=diff,
        on_conflict=on_conflict,
        request=made,
    )
    if not dry_run and not as_json and plan.changes:
        _tell_about_wheel(Console())


@app.command()
def application(
    name: Annotated[str, typer.Argument(metavar="NAME", help="E.g. restaurant.")],
    into: IntoOption = Path(),
    dry_run: DryRunOption = False,
    diff: DiffOption = False,
    on_conflict: OnConflictOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make an application: a folder for several microservices."""
    made = request("application", name)
    put_back_first(into / name, Console(), dry_run=dry_run)
    follow = [f"cd {shlex.quote(str(into / name))}", "dolittle new microservice kitchen"]
    carry_out(
        plan_new(made, into),
        Console(),
        dry_run=dry_run,
        as_json=as_json,
        follow=follow,
        diff=diff,
        on_conflict=on_conflict,
        request=made,
    )


def _follow(name: str, into: Path, example: str) -> list[str]:
    """Return the commands to type next."""
    enter = f"cd {shlex.quote(str(into / name))}"
    if not example:
        return [enter, "dolittle add event DishPrepared dish:str chef:str", "dolittle run"]
    return [
        enter,
        "dolittle run",
        'dolittle perform Kitchen "Dolittle Tacos" prepare_dish '
        'dish="Bean Blaster Taco" chef="Mr. Taco"    # in a second terminal',
    ]


def _foreign(template: str, data: list[str], *, trust: bool, asks: bool) -> Foreign:
    """Return the template that was named.

    Raises:
        WrongUsage: An answer is not written as ``NAME=VALUE``.
    """
    from dolittle_cli.scaffold.foreign import Foreign

    answers = {}
    for item in data:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise WrongUsage(f"--data {item}: this is no answer", hint="write NAME=VALUE")
        answers[key] = value
    return Foreign(template, answers, trust, asks and Console().can_ask)


def _make_of_foreign(
    name: str, into: Path, template: Foreign, showing: Showing, on_conflict: str
) -> None:
    from dolittle.runtime.configuration import FILE_NAME
    from dolittle_cli.scaffold.microservice import plan_foreign

    put_back_first(into / name, Console(), dry_run=showing.dry_run)
    plan = plan_foreign(name, into, template)
    carry_out(
        plan,
        Console(),
        dry_run=showing.dry_run,
        as_json=showing.as_json,
        follow=[f"cd {shlex.quote(str(into / name))}"],
        diff=showing.diff,
        on_conflict=on_conflict,
        request=request("microservice", name, template=template.name),
    )
    if all(item.path != FILE_NAME for item in plan.files):
        Console().warning(f"the template makes no {FILE_NAME}, so that this is no microservice yet")


def _tell_about_wheel(console: Console) -> None:
    """Say how to get the wheel that pip and Docker need, where this was not from an index."""
    try:
        origin = distribution("dolittle-cli").read_text("direct_url.json")
    except PackageNotFoundError:
        origin = None
    if origin:
        console.note(
            "to install or ship it, put the wheel of dolittle-cli into it: "
            + wheel_command(json.loads(origin))
        )


def wheel_command(origin: Mapping[str, Any]) -> str:
    """Return the command that puts the wheel of dolittle-cli into a project's ``wheels/``.

    Args:
        origin: Where the distribution was installed from. Source: PEP 610, ``direct_url.json``.
    """
    url = str(origin["url"])
    if "vcs_info" in origin:
        found = origin["vcs_info"]
        url = f"{found['vcs']}+{url}@{found['commit_id']}"
    elif urlsplit(url).scheme == "file":
        url = unquote(urlsplit(url).path)
    if url.endswith(".whl") and "://" not in url:
        return f"cp {shlex.quote(url)} wheels/"
    return f"pip wheel --no-deps -w wheels {shlex.quote(url)}"
