"""Follows a change into what depends on it: one more field reaches commands, read models, tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.functions import followed, pieces_of
from dolittle_cli.scaffold.manifest import GeneratedFile, Manifest, Thing
from dolittle_cli.scaffold.merge import has_markers, merge
from dolittle_cli.scaffold.plan import Action, FileAction, Generated, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project, open_project
from dolittle_cli.scaffold.request import PROJECTS, TEMPLATES, plan_once
from dolittle_cli.scaffold.steps import Carry, carried

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
    """Add to a settled plan what it changes in what else was generated.

    Each thing is generated from the source as it was and as it will be, and so is what commands
    wrote into modules that are there. What differs is merged into the file as it is now; where
    that cannot be, the file stays and is named.

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
        found, stuck = _followed(before, thing, _differences(before, after, thing), set(texts))
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
    files = {item.path: item for item in (*plan.files, *actions.values())}
    kept += _with_functions(files, before, after, _commands_of(manifest), own)
    ordered = sorted(files.values(), key=lambda item: item.path)
    return Ripples(replace(plan, files=tuple(ordered), kept=(*plan.kept, *kept)), owners)


def _commands_of(manifest: Manifest) -> set[str]:
    """Return the commands that came with their aggregate root, as the names of pieces."""
    return {
        f"{key} {command.partition('=')[0]}"
        for key, thing in manifest.things().items()
        for command in thing.request.words("command")
    }


def _with_functions(
    files: dict[str, FileAction],
    before: Project,
    after: Project,
    leave_out: Collection[str],
    own: str,
) -> list[Kept]:
    """Let what commands wrote into modules follow, in the files of a plan; return what cannot."""

    def read_before(path: str) -> str | None:
        return read_text(before.root, path)

    def read_after(path: str) -> str | None:
        return files[path].text if path in files else read_before(path)

    kept: list[Kept] = []
    will_be = pieces_of(after, read_after)
    for name, piece in pieces_of(before, read_before).items():
        if name in leave_out or name not in will_be:
            continue
        texts, stuck = followed(piece, will_be[name], read_after, before.package)
        for place in stuck:
            reason = f"it depends on the {own}, and you have changed it: see to it"
            kept.append(Kept(place.path, f"keeps {place.name} as it is: {reason}"))
        if stuck:
            continue
        for path, text in texts.items():
            if path in files:
                files[path] = _edited(files[path], text)
            elif text != read_before(path):
                files[path] = FileAction(Action.EDIT, path, text, read_before(path) or "")
    return kept


def _edited(item: FileAction, text: str) -> FileAction:
    """Return a file's action with another text; one that was identical becomes an edit."""
    if item.action is Action.IDENTICAL and text != item.before:
        return replace(item, action=Action.EDIT, text=text)
    return replace(item, text=text)


def _followed(
    before: Project, thing: Thing, differences: _Differences, leave_out: Collection[str]
) -> tuple[dict[str, FileAction], list[str]]:
    """Return what changes in a thing's files, and the files in which it cannot."""
    actions: dict[str, FileAction] = {}
    stuck: list[str] = []
    for path, (was, will_be) in differences.items():
        found = None if path in leave_out else read_text(before.root, path)
        if found is None:
            continue
        carry = carried(before, thing.request, path)
        item = _merged(path, thing.files[path], found, was, will_be, carry)
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
    plan = plan_once(project, thing.request)
    return {item.path: item.generated for item in plan.files if item.generated is not None}


def _merged(
    path: str, file: GeneratedFile, found: str, was: str, will_be: Generated, carry: Carry
) -> FileAction | None:
    """Return the file with what differs merged into it; ``None``: that cannot be."""
    is_python = path.endswith(".py")
    if has_markers(found):
        return None
    merged = merge(carry(was), found, carry(will_be.text), is_python=is_python)
    if merged.conflicts:
        return None
    # The base moves by the same difference, so that what else has moved since, by the owner's
    # hand or by a newer template, is still to come.
    base = merge(was, file.base, will_be.text, is_python=is_python)
    text = base.text
    if base.conflicts:
        # What the file really holds, or what was there: a base with more in it than the file ever
        # had would make an owner's deletion of what is still to come.
        text = will_be.text if merged.text == will_be.text else file.base
    made = replace(will_be, text=text, digest=file.digest)
    action = Action.IDENTICAL if merged.text == found else Action.EDIT
    return FileAction(action, path, merged.text, found, made)
