"""Shows a plan, writes it unless it is a dry run, and says what to type next."""

from __future__ import annotations

from collections.abc import Sequence

from dolittle_cli.console import Console
from dolittle_cli.scaffold.plan import Plan
from dolittle_cli.scaffold.write import write_plan


def carry_out(
    plan: Plan, console: Console, *, dry_run: bool, as_json: bool, follow: Sequence[str]
) -> None:
    """Write a plan and show it, or only show it.

    What is shown is the plan itself, so a dry run shows what would be written.

    Args:
        plan: What is to be done.
        console: Where to show it: the files on stdout, the rest on stderr.
        dry_run: Write nothing.
        as_json: Show the plan as one JSON object: ``written root files``.
        follow: The commands to type next, shown for people.

    Raises:
        CommandLineError: It could not be written; the project is as before.
    """
    if not dry_run:
        write_plan(plan)
    if as_json:
        console.json({"written": not dry_run, **plan.as_json()})
        return
    for line in plan.lines():
        console.data(line)
    if dry_run:
        console.note("nothing was written (--dry-run)")
        return
    if not plan.changes:
        console.note("everything was there already; nothing was written")
    for line in follow:
        console.note(f"next: {line}")
