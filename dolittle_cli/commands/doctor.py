"""``dolittle doctor``: looks at all that a microservice needs, and says how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dolittle_cli.loop import run_loop
from dolittle_cli.options import JsonOption, ProjectOption


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")
    ] = False,
    json: JsonOption = False,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="NAME", help="Only this one. Default: all.")
    ] = "",
    project: ProjectOption = None,
) -> None:
    """Check what a microservice needs to run.

    Looks at the tool, Python, the project, its configuration and declarations, the port, and
    each tenant's store and state. The exit code is 1 if something is wrong.
    Nothing is changed but with --fix, which then looks again.
    """
    if not run_loop(_doctor(project, tenant, fix=fix, as_json=json)):
        raise typer.Exit(1)


async def _doctor(project: Path | None, tenant: str, *, fix: bool, as_json: bool) -> bool:
    from dolittle_cli.checks import examine
    from dolittle_cli.console import Console

    console = Console()
    fixed = await _fix(project, tenant) if fix else []
    if not as_json:
        for item in fixed:
            mark = "fixed" if item["is_fixed"] else "left"
            console.data(f"{console.bold(mark.ljust(5))}  {item['group']}: {item['text']}")
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
        found = {"is_ok": not wrong, "checks": [check.json() for check in checks]}
        console.json({**found, "fixed": fixed} if fix else found)
    else:
        can_fix = sum(check.apply is not None and check.status != "ok" for check in checks)
        if can_fix and not fix:
            console.note(f"dolittle doctor --fix mends {can_fix} of them without losing anything")
        console.note(f"{wrong} wrong" if wrong else "all is well")
    return not wrong


async def _fix(project: Path | None, tenant: str) -> list[dict[str, Any]]:
    """Apply every fix that loses nothing; return what was done, and what could not be."""
    from dolittle.errors import DolittleError
    from dolittle_cli.checks import examine

    done: list[dict[str, Any]] = []
    for check in [check async for check in examine(project, tenant)]:
        if check.apply is None or check.status == "ok":
            continue
        try:
            text, is_fixed = await check.apply(), True
        except DolittleError as error:
            hint = f" ({error.hint})" if error.hint else ""
            text, is_fixed = f"{check.text}: {error}{hint}", False
        except OSError as error:
            text, is_fixed = f"{check.text}: {error}", False
        done.append({"group": check.group, "is_fixed": is_fixed, "text": text})
    return done
