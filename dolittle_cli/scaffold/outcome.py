"""Settles a plan, shows it, writes it unless it is a dry run, and says what to type next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

import dolittle
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.journal import is_unfinished, recover
from dolittle_cli.scaffold.manifest import Manifest, read_manifest, record_of, with_record
from dolittle_cli.scaffold.merge import unified
from dolittle_cli.scaffold.plan import Action, FileAction, Plan
from dolittle_cli.scaffold.record import slug_of
from dolittle_cli.scaffold.request import FIELDS, PROJECTS, TEMPLATES, Request
from dolittle_cli.scaffold.settle import Ask, Resolution, refuse, resolution_of, settle
from dolittle_cli.scaffold.write import write_plan

EXIT_CONFLICTS: Final = 3

REMEMBERED_AGAIN: Final = "everything was there already; it is remembered again"

_MENU: Final = {
    "o": "overwrite it with what is generated",
    "s": "skip it: leave it as it is",
    "d": "show the difference",
    "m": "merge, and leave both between markers where they differ",
    "a": "as the next answer, for all that follow",
    "q": "quit; nothing is written",
}


@dataclass(frozen=True)
class Showing:
    """How a plan is shown, and whether it is written.

    Attributes:
        dry_run: Write nothing.
        as_json: Show the plan as one JSON object.
        diff: Show what changes, as a unified diff.
        option: The option by which nothing is written, for people.
    """

    dry_run: bool = False
    as_json: bool = False
    diff: bool = False
    option: str = "--dry-run"


def carry_out(
    plan: Plan,
    console: Console,
    *,
    dry_run: bool,
    as_json: bool,
    follow: Sequence[str],
    diff: bool = False,
    on_conflict: str = "",
    request: Request | None = None,
    manifest: Manifest | None = None,
) -> Plan:
    """Settle a plan for a thing that is generated, and write it or only show it.

    Args:
        plan: What is to be done.
        console: Where to show it: the files on stdout, the rest on stderr.
        dry_run: Write nothing.
        as_json: Show the plan as one JSON object: ``written root files manifest kept conflicts``.
        follow: The commands to type next, shown for people.
        diff: Show a unified diff too.
        on_conflict: ``overwrite``, ``skip`` or ``merge``; empty: ask, or refuse where nobody
            can be asked.
        request: What is made, for the manifest; ``None``: nothing is remembered of it.
        manifest: What is remembered so far; ``None``: it is read.

    Raises:
        CommandLineError: It could not be written, or a conflict was refused; the project is as
            before.
        typer.Exit: Conflicts are left in files; exit code 3.
    """
    resolve = _way(console, on_conflict, can_ask=not as_json)
    manifest = read_manifest(plan.root) if manifest is None else manifest
    if request is not None:
        request = _checked(manifest, request)
        _warn_of_stale(plan, manifest, request, console)
    carry = _carry(plan, request) if request and request.key in manifest.things() else None
    settled = settle(plan, manifest, request.key if request else "", resolve, carry)
    owners: Mapping[str, str] = {}
    if request is not None and request.key in manifest.things() and request.kind not in PROJECTS:
        from dolittle_cli.scaffold.ripple import with_dependents

        ripples = with_dependents(settled, manifest, request.key)
        settled, owners = ripples.plan, ripples.owners
    settled = remember(settled, manifest, request, owners)
    finish(settled, console, Showing(dry_run, as_json, diff), follow=follow)
    return settled


def _carry(plan: Plan, request: Request) -> Callable[[str, str], str] | None:
    """Return what later generations of an event type have done to its files."""
    if request.kind != "event" or not plan.changes:
        return None
    from dolittle_cli.scaffold.project import open_project
    from dolittle_cli.scaffold.steps import carried

    project = open_project(plan.root)
    return lambda path, text: carried(project, request, path)(text)


def carry_out_edit(
    plan: Plan,
    console: Console,
    showing: Showing,
    typed: Request,
    *,
    made: Request | None,
    follow: Sequence[str],
    changed: str = "",
) -> None:
    """Write or show a plan that edits what its owner has, and remember it, so that it is undone.

    Args:
        plan: What is to be done.
        console: Where to show it.
        showing: How.
        typed: The command.
        made: A thing that is generated along with it; ``None``: nothing is.
        follow: The commands to type next.
        changed: The key of a thing whose fields change, so that others follow; empty: none.

    Raises:
        CommandLineError: It could not be written, or a file that would be generated is there
            with another text; the project is as before.
    """
    manifest = read_manifest(plan.root)
    owner = made.key if made else ""
    settled = settle(plan, manifest, owner, refuse)
    owners: Mapping[str, str] = {}
    if changed:
        from dolittle_cli.scaffold.ripple import with_dependents

        ripples = with_dependents(settled, manifest, changed)
        settled, owners = ripples.plan, ripples.owners
    words = typed.words(FIELDS)[:1]
    record = record_of(
        settled,
        manifest,
        typed.command,
        slug_of("add", typed.kind, typed.name, *words),
        dolittle.__version__,
        {made.key: made} if made else {},
        owner=owner,
        owners=owners,
    )
    finish(with_record(settled, record), console, showing, follow=follow)


def remember(
    plan: Plan,
    manifest: Manifest,
    request: Request | None,
    owners: Mapping[str, str] | None = None,
) -> Plan:
    """Return a settled plan with the record of a thing that is made.

    Args:
        plan: Settled.
        manifest: What is remembered so far.
        request: What is made; ``None``: nothing is remembered of it.
        owners: By path, the keys of other things that files belong to.
    """
    if request is None:
        return plan
    verb = "new" if request.kind in PROJECTS else "add"
    if request.kind == TEMPLATES:
        verb = "eject"
    record = record_of(
        plan,
        manifest,
        request.command,
        slug_of(verb, request.kind, request.name),
        dolittle.__version__,
        {request.key: request},
        owner=request.key,
        owners=owners,
    )
    return with_record(plan, record)


def finish(
    plan: Plan,
    console: Console,
    showing: Showing,
    *,
    follow: Sequence[str] = (),
    extra: Mapping[str, object] | None = None,
    nothing: str = "everything was there already; nothing was written",
) -> None:
    """Write a settled plan unless it is a dry run, and show it.

    What is shown is the plan itself, so a dry run shows what would be written.

    Args:
        plan: Settled, with its records.
        console: Where to show it.
        showing: How.
        follow: The commands to type next, shown for people.
        extra: More keys of the JSON object.
        nothing: What is said if nothing changes.

    Raises:
        CommandLineError: It could not be written; the project is as before.
        typer.Exit: Conflicts are left in files; exit code 3.
    """
    if not showing.dry_run:
        write_plan(plan)
    conflicts = [item.path for item in plan.conflicts]
    if showing.as_json:
        value = {"written": not showing.dry_run, **plan.as_json(), "conflicts": conflicts}
        if showing.diff:
            value["diff"] = "".join(f"{line}\n" for line in plan.diff())
        console.json({**value, **(extra or {})})
    else:
        _show(plan, console, showing, follow, nothing)
    if conflicts and not showing.dry_run:
        raise typer.Exit(EXIT_CONFLICTS)


def put_back_first(root: Path, console: Console, *, dry_run: bool) -> None:
    """Take back what a command that was killed half way has left, before anything is planned.

    Raises:
        CommandLineError: It is a dry run, or something could not be put back.
    """
    if not is_unfinished(root):
        return
    if dry_run:
        raise CommandLineError(
            f"a command was killed while it wrote to {root}, and a dry run mends nothing",
            hint="repeat it without --dry-run: that puts back first what was begun",
        )
    if recover(root):
        console.note("a command was killed half way: what it had begun was taken back")


def _show(
    plan: Plan, console: Console, showing: Showing, follow: Sequence[str], nothing: str
) -> None:
    for line in plan.lines():
        console.data(line)
    if showing.diff:
        show_diff(plan, console)
    for kept in plan.kept:
        console.note(f"{kept.path} {kept.reason}")
    if showing.dry_run:
        if not plan.changes:
            console.note(nothing)
        console.note(f"nothing was written ({showing.option})")
        return
    if plan.conflicts:
        for item in plan.conflicts:
            console.note(f"{item.path} has conflicts: look for <<<<<<< in it")
        console.note("resolve them by hand, or take this back: dolittle undo")
        return
    if not plan.changes:
        is_new = any(item.action is Action.CREATE for item in plan.manifest) and plan.files
        console.note(REMEMBERED_AGAIN if is_new else nothing)
    for line in follow:
        console.note(f"next: {line}")


def show_diff(plan: Plan, console: Console) -> None:
    """Write a plan's unified diff to stdout, coloured on a terminal."""
    for line in plan.diff():
        console.data(console.painted_diff(line))


def _checked(manifest: Manifest, request: Request) -> Request:
    """Return a request with the stored id that its thing has.

    Raises:
        WrongUsage: The thing is there, and has what this command leaves out; a merge would take
            that away.
    """
    known = manifest.thing(request.key)
    if known is None:
        return request
    missing = request.left_out(known.request)
    if missing:
        raise WrongUsage(
            f"the {request.key} is there already, and this command leaves out what it has: "
            f"{', '.join(missing)}",
            hint="repeat that too, take another name, or take the thing away first: "
            f"dolittle remove {request.key}",
        )
    return request.with_id_of(known.request)


def _warn_of_stale(plan: Plan, manifest: Manifest, request: Request, console: Console) -> None:
    """Say that the project's own template is older than the shipped one."""
    if f"{TEMPLATES} {request.kind}" not in manifest.things():
        return
    from dolittle_cli.scaffold.own_templates import stale

    for name in stale(plan.root, manifest, request.kind):
        console.warning(
            f"the shipped template {name} has changed since yours was made of it: "
            "dolittle update merges that"
        )


def _way(console: Console, on_conflict: str, *, can_ask: bool) -> Ask:
    if on_conflict:
        return resolution_of(on_conflict)
    return _Menu(console).ask if can_ask and console.can_ask else refuse


class _Menu:
    """Asks about each conflict on a terminal; remembers an answer that is for all."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._for_all: Resolution | None = None

    def ask(self, item: FileAction, _: bool) -> Resolution:
        """Ask what to do with a file.

        Raises:
            CommandLineError: The answer is to quit.
        """
        if self._for_all is not None:
            return self._for_all
        is_for_all = False
        while True:
            scope = "all" if is_for_all else item.path
            answer = self._console.ask(f"conflict in {scope} [o/s/d/m/a/q, ? for help]")
            match "q" if answer is None else answer[:1].lower():
                case "o":
                    found = Resolution.OVERWRITE
                case "s":
                    found = Resolution.SKIP
                case "m":
                    found = Resolution.MERGE
                case "a":
                    is_for_all = True
                    continue
                case "d":
                    self._show_difference(item)
                    continue
                case "q":
                    raise CommandLineError("you have quit; nothing was written")
                case _:
                    for key, meaning in _MENU.items():
                        self._console.note(f"  {key}  {meaning}")
                    continue
            self._for_all = found if is_for_all else None
            return found

    def _show_difference(self, item: FileAction) -> None:
        generated = item.generated.text if item.generated else item.text
        for line in unified(item.path, item.before, generated):
            self._console.note(line)
