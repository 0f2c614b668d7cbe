"""Settles a plan's conflicts: by a merge with what was generated before, or as its owner says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.manifest import GeneratedFile, Manifest
from dolittle_cli.scaffold.merge import has_markers, merge, merge_without_base
from dolittle_cli.scaffold.plan import Action, FileAction, Kept, Plan


class Resolution(StrEnum):
    """What to do with a file that cannot be merged."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    MERGE = "merge"


Ask = Callable[[FileAction, bool], Resolution]
"""Asks the owner about one file; tells whether it was generated before, so that it is mergeable."""


def settle(
    plan: Plan,
    manifest: Manifest,
    owner: str,
    resolve: Ask,
    carry: Callable[[str, str], str] | None = None,
) -> Plan:
    """Return the plan with every conflict merged, or resolved as ``resolve`` says.

    Args:
        plan: As the generator made it.
        manifest: What was generated before.
        owner: The key of the thing that is generated.
        resolve: Asked for each file that cannot be merged by itself.
        carry: Does to a file's generated text, given its path, what later commands did to the
            file.

    Raises:
        CommandLineError: ``resolve`` refuses, or a conflict of an earlier command is left.
    """
    thing = manifest.thing(owner)
    files = []
    kept = list(plan.kept)
    for item in plan.files:
        if item.action is Action.CREATE and carry:
            # Its owner deleted it; what comes back knows what was done to it meanwhile.
            item = replace(item, text=carry(item.path, item.text))
        if item.action is not Action.CONFLICT:
            files.append(item)
            continue
        known = thing.files.get(item.path) if thing else None
        settled = (_carried(item, known, carry) if known and carry else None) or settle_one(
            item, known, resolve
        )
        files.append(settled)
        if settled.is_skipped:
            kept.append(Kept(item.path, "stays as it is"))
    return replace(plan, files=tuple(files), kept=tuple(kept))


def _carried(
    item: FileAction, known: GeneratedFile, carry: Callable[[str, str], str]
) -> FileAction | None:
    """Merge a file in which later commands have changed what is generated; ``None``: none have."""
    base, made = carry(item.path, known.base), carry(item.path, item.text)
    if base == known.base or has_markers(item.before):
        return None
    merged = merge(base, item.before, made, is_python=item.path.endswith(".py"))
    if merged.conflicts:
        return None
    action = Action.IDENTICAL if merged.text == item.before else Action.EDIT
    return replace(item, action=action, text=merged.text)


def settle_one(item: FileAction, known: GeneratedFile | None, resolve: Ask) -> FileAction:
    """Merge one file with what was generated for it before, or resolve its conflict.

    Args:
        item: The owner's text and the generated one; what is no conflict is returned as it is.
        known: What was generated before; ``None``: nobody knows.
        resolve: Asked if it cannot be merged by itself.

    Raises:
        CommandLineError: ``resolve`` refuses, or the file still has the markers of an earlier
            conflict.
    """
    if item.action is not Action.CONFLICT:
        return item
    if has_markers(item.before):
        raise CommandLineError(
            f"{item.path} has a conflict of an earlier command in it; nothing was written",
            hint="resolve it first (look for <<<<<<< in it), or take that command back: "
            "dolittle undo",
        )
    if known is None:
        merged = merge_without_base(item.before, item.text)
        with_both = replace(item, text=merged.text)
        return _resolved(with_both, resolve(with_both, False), has_base=False)
    merged = merge(known.base, item.before, item.text, is_python=item.path.endswith(".py"))
    if merged.conflicts:
        with_both = replace(item, text=merged.text)
        return _resolved(with_both, resolve(with_both, True), has_base=True)
    action = Action.IDENTICAL if merged.text == item.before else Action.EDIT
    return replace(item, action=action, text=merged.text)


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


def _resolved(item: FileAction, resolution: Resolution, *, has_base: bool) -> FileAction:
    if resolution is Resolution.OVERWRITE:
        text = item.generated.text if item.generated else item.text
        return replace(item, action=Action.EDIT, text=text)
    if resolution is Resolution.SKIP:
        # With a base, the next merge begins with what was generated now, so that the owner is
        # not asked again; without one, the file was never ours.
        made = item.generated if has_base else None
        return replace(
            item, action=Action.IDENTICAL, text=item.before, generated=made, is_skipped=True
        )
    if not has_markers(item.text):
        action = Action.IDENTICAL if item.text == item.before else Action.EDIT
        return replace(item, action=action)
    return item
