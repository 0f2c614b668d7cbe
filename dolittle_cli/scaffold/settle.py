"""Settles a plan's conflicts: by a merge with what was generated before, or as its owner says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.manifest import GeneratedFile, Manifest
from dolittle_cli.scaffold.merge import Merged, has_markers, merge, merge_without_base
from dolittle_cli.scaffold.plan import Action, FileAction, Kept, Plan


class Resolution(StrEnum):
    """What to do with a file that cannot be merged."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    MERGE = "merge"


Ask = Callable[[FileAction, bool], Resolution]
"""Asks the owner about one file; tells whether it was generated before, so that it is mergeable."""


@dataclass(frozen=True)
class _Conflict:
    """A file that could not be merged: the action with markers, and whether there was a base."""

    action: FileAction
    has_base: bool


def settle(plan: Plan, manifest: Manifest, owner: str, resolve: Ask) -> Plan:
    """Return the plan with every conflict merged, or resolved as ``resolve`` says.

    Args:
        plan: As the generator made it.
        manifest: What was generated before.
        owner: The key of the thing that is generated.
        resolve: Asked for each file that cannot be merged by itself.

    Raises:
        CommandLineError: ``resolve`` refuses, or a conflict of an earlier command is left.
    """
    thing = manifest.thing(owner)
    files = []
    kept = list(plan.kept)
    for item in plan.files:
        if item.action is not Action.CONFLICT:
            files.append(item)
            continue
        settled = merged_action(item, thing.files.get(item.path) if thing else None)
        if isinstance(settled, _Conflict):
            settled = _resolved(settled, resolve(settled.action, settled.has_base))
        files.append(settled)
        if settled.is_skipped:
            kept.append(Kept(item.path, "stays as it is"))
    return replace(plan, files=tuple(files), kept=tuple(kept))


def merged_action(item: FileAction, known: GeneratedFile | None) -> FileAction | _Conflict:
    """Merge one file with what was generated for it before.

    Args:
        item: A conflict: the owner's text and the generated one.
        known: What was generated before; ``None``: nobody knows.

    Raises:
        CommandLineError: The file still has the markers of an earlier conflict.
    """
    if has_markers(item.before):
        raise CommandLineError(
            f"{item.path} has a conflict of an earlier command in it; nothing was written",
            hint="resolve it first (look for <<<<<<< in it), or take that command back: "
            "dolittle undo",
        )
    if known is None:
        merged = merge_without_base(item.before, item.text)
        return _Conflict(replace(item, text=merged.text), has_base=False)
    merged = merge(known.base, item.before, item.text, is_python=item.path.endswith(".py"))
    if merged.conflicts:
        return _Conflict(replace(item, text=merged.text), has_base=True)
    return _clean(item, merged)


def refuse(item: FileAction, has_base: bool) -> Resolution:
    """Refuse to go on; for where nobody can be asked.

    Raises:
        WrongUsage: Always.
    """
    reason = (
        "was changed in the same place as what is generated now"
        if has_base
        else "exists, with other text"
    )
    raise WrongUsage(
        f"{item.path} {reason}; nothing was written",
        hint="nothing is overwritten unasked: say --on-conflict overwrite, skip or merge, "
        "or take another name",
    )


def resolution_of(text: str) -> Ask:
    """Return what ``--on-conflict`` says.

    Raises:
        WrongUsage: It says nothing that can be done.
    """
    if text not in set(Resolution):
        raise WrongUsage(
            f"--on-conflict {text}: there is no such way", hint="one of: overwrite, skip, merge"
        )
    resolution = Resolution(text)

    def resolve(_: FileAction, __: bool) -> Resolution:
        return resolution

    return resolve


def read_before(root: Path, item: FileAction) -> FileAction:
    """Return an action for a file as it is now: identical, or a conflict to be merged."""
    from dolittle_cli.scaffold.plan import read_text

    found = read_text(root, item.path)
    if found is None:
        return replace(item, action=Action.CREATE, before="")
    action = Action.IDENTICAL if found == item.text else Action.CONFLICT
    return replace(item, action=action, before=found)


def _resolved(conflict: _Conflict, resolution: Resolution) -> FileAction:
    item = conflict.action
    if resolution is Resolution.OVERWRITE:
        text = item.generated.text if item.generated else item.text
        return replace(item, action=Action.EDIT, text=text)
    if resolution is Resolution.SKIP:
        # With a base, the next merge begins with what was generated now, so that the owner is
        # not asked again; without one, the file was never ours.
        made = item.generated if conflict.has_base else None
        return replace(
            item, action=Action.IDENTICAL, text=item.before, generated=made, is_skipped=True
        )
    if not has_markers(item.text):
        action = Action.IDENTICAL if item.text == item.before else Action.EDIT
        return replace(item, action=action)
    return item


def _clean(item: FileAction, merged: Merged) -> FileAction:
    action = Action.IDENTICAL if merged.text == item.before else Action.EDIT
    return replace(item, action=action, text=merged.text)
