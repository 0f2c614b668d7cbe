"""``dolittle check``: what a compiler would say about a microservice."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dolittle_cli.options import JsonOption, ProjectOption


def check(
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, sarif or github.")
    ] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Mend the source where that is safe, and write to the lock what stored events "
            "survive.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --fix: show what would change as a diff.")
    ] = False,
    locked: Annotated[
        bool,
        typer.Option(
            "--locked", help="Write nothing; a lock that is missing or outdated is an error."
        ),
    ] = False,
    update_lock: Annotated[
        bool, typer.Option("--update-lock", help="Write the lock anew, whatever it breaks.")
    ] = False,
    against_store: Annotated[
        bool, typer.Option("--against-store", help="Try every stored event too.")
    ] = False,
    json: JsonOption = False,
    tenant: Annotated[
        str,
        typer.Option(
            "--tenant", metavar="NAME", help="With --against-store: only its events. Default: all."
        ),
    ] = "",
    project: ProjectOption = None,
) -> None:
    """Check names, folds, commands, upcasters and schemas; the exit code is 1 with an error.

    event-types.lock, which is committed, keeps the schema of every event type. It is made where
    it is missing; a change that stored events would not survive is an error.
    """
    from dolittle_cli.checking.running import Wish, check_all
    from dolittle_cli.errors import WrongUsage

    if json and format not in ("text", "json"):
        raise WrongUsage(f"--json and --format {format} exclude each other")
    modes = {"--locked": "locked", "--fix": "fix", "--update-lock": "update"}
    asked = [
        option
        for option, is_asked in zip(modes, (locked, fix, update_lock), strict=True)
        if is_asked
    ]
    if len(asked) > 1:
        raise WrongUsage(f"{asked[0]} and {asked[1]} exclude each other")
    if dry_run and not fix:
        raise WrongUsage("--dry-run shows what --fix would change: it needs --fix")
    wish = Wish(
        format="json" if json else format,
        lock=modes[asked[0]] if asked else "create",
        is_dry=dry_run,
        is_strict=strict,
        against_store=against_store,
        tenant=tenant,
    )
    if not asyncio.run(check_all(project, wish)):
        raise typer.Exit(1)
