"""``dolittle doctor``: looks at all that a microservice needs, and says how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption


def doctor(
    json: JsonOption = False,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="NAME", help="Only this one. Default: all.")
    ] = "",
    project: ProjectOption = None,
) -> None:
    """Check what a microservice needs to run.

    Looks at the tool, Python, the project, its configuration and declarations, the port, and
    each tenant's store and state. The exit code is 1 if something is wrong.
    """
    if not run_loop(_doctor(project, tenant, as_json=json)):
        raise typer.Exit(1)


async def _doctor(project: Path | None, tenant: str, *, as_json: bool) -> bool:
    from dataclasses import asdict

    from dolittle_cli.checks import examine
    from dolittle_cli.console import Console

    console = Console()
    checks = []
    async for check in examine(project, tenant):
        checks.append(check)
        if as_json:
            continue
        mark = {"ok": "ok", "note": "note", "wrong": "WRONG"}[check.status]
        console.data(f"{console.bold(mark.ljust(5))}  {check.group}: {check.text}")
        if check.fix and check.status != "ok":
            console.data(f"       fix: {check.fix}")
    wrong = sum(check.status == "wrong" for check in checks)
    if as_json:
        console.json({"is_ok": not wrong, "checks": [asdict(check) for check in checks]})
    else:
        console.note(f"{wrong} wrong" if wrong else "all is well")
    return not wrong
