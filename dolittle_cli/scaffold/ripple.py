"""Follows a change into what depends on it: one more field reaches commands, read models, tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.manifest import GeneratedFile, Manifest, Thing
from dolittle_cli.scaffold.merge import has_markers, merge
from dolittle_cli.scaffold.plan import Action, FileAction, Generated, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project, open_project
from dolittle_cli.scaffold.request import PROJECTS, TEMPLATES, plan_request

_Differences = dict[str, tuple[str, Generated]]
"""By path, what is generated before and after."""


@dataclass(frozen=True)
class Ripples:
    """A plan with what follows from it.

    Attributes:
        owners: By path, the key of the thing that a file belongs to which is not the plan's own.
    """

    plan: Plan
    owners: Mapping[str, str]


def with_dependents(plan: Plan, manifest: Manifest, own: str) -> Ripples:
    """Add to a settled plan what it changes in the other things that were generated.

    Each of them is generated from the source as it was and as it will be. What differs is merged
    into the file as it is now; where that cannot be, the file stays and is named.

    Args:
        plan: Settled.
        manifest: What is remembered.
        own: The key of the plan's own thing.
    """
    texts: dict[str, str | None] = {item.path: item.text for item in plan.changes}
    if not texts or plan.conflicts:
        return Ripples(plan, {})
    before, after = open_project(plan.root), open_project(plan.root, texts)
    actions: dict[str, FileAction] = {}
    owners: dict[str, str] = {}
    kept: list[Kept] = []
    for key, thing in manifest.things().items():
        if key == own or thing.request.kind in (*PROJECTS, TEMPLATES):
            continue
        found, stuck = _followed(plan.root, thing, _differences(before, after, thing), set(texts))
        if stuck:
            # All of a thing or nothing: its tests belong to its code.
            reason = f"depends on the {own}, and you have changed it: see to it"
            kept += [Kept(path, reason) for path in stuck]
            kept += [
                Kept(path, f"depends on it too, and is left with {stuck[0]}") for path in found
            ]
            continue
        actions |= found
        owners |= dict.fromkeys(found, key)
    files = sorted([*plan.files, *actions.values()], key=lambda item: item.path)
    return Ripples(replace(plan, files=tuple(files), kept=(*plan.kept, *kept)), owners)


def _followed(
    root: Path, thing: Thing, differences: _Differences, leave_out: Collection[str]
) -> tuple[dict[str, FileAction], list[str]]:
    """Return what changes in a thing's files, and the files in which it cannot."""
    actions: dict[str, FileAction] = {}
    stuck: list[str] = []
    for path, (was, will_be) in differences.items():
        found = None if path in leave_out else read_text(root, path)
        if found is None:
            continue
        item = _merged(path, thing.files[path], found, was, will_be)
        if item is None:
            stuck.append(path)
        elif item.action is not Action.IDENTICAL:
            actions[path] = item
    return actions, stuck


def _differences(before: Project, after: Project, thing: Thing) -> _Differences:
    """Return what is generated for a thing before and after, by path, where that differs."""
    try:
        was, will_be = _rendered(before, thing), _rendered(after, thing)
    except CommandLineError:
        return {}  # it cannot be generated any more, so that nothing follows into it
    return {
        path: (was[path].text, made)
        for path, made in will_be.items()
        if path in was and path in thing.files and was[path].text != made.text
    }


def _rendered(project: Project, thing: Thing) -> dict[str, Generated]:
    plan = plan_request(project, thing.request)
    return {item.path: item.generated for item in plan.files if item.generated is not None}


def _merged(
    path: str, file: GeneratedFile, found: str, was: str, will_be: Generated
) -> FileAction | None:
    """Return the file with what differs merged into it; ``None``: that cannot be."""
    is_python = path.endswith(".py")
    if has_markers(found):
        return None
    merged = merge(was, found, will_be.text, is_python=is_python)
    if merged.conflicts:
        return None
    # The base moves by the same difference, so that what else has moved since, by the owner's
    # hand or by a newer template, is still to come.
    base = merge(was, file.base, will_be.text, is_python=is_python)
    made = replace(will_be, text=will_be.text if base.conflicts else base.text, digest=file.digest)
    action = Action.IDENTICAL if merged.text == found else Action.EDIT
    return FileAction(action, path, merged.text, found, made)
