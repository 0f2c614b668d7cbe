"""Plans to remove a thing: what was generated for it and nobody changed."""

from __future__ import annotations

from collections.abc import Mapping

import dolittle
from dolittle.errors import suggest
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.manifest import Manifest, Thing, record_of, with_record
from dolittle_cli.scaffold.names import snake
from dolittle_cli.scaffold.plan import Action, FileAction, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project
from dolittle_cli.scaffold.record import slug_of
from dolittle_cli.scaffold.references import importers, module_of
from dolittle_cli.scaffold.request import PROJECTS, Request
from dolittle_cli.scaffold.surroundings import without_needs
from dolittle_cli.scaffold.undo import BuiltUpon, is_shared


def plan_remove(project: Project, manifest: Manifest, kind: str, name: str, *, force: bool) -> Plan:
    """Plan to remove a thing that was generated.

    Args:
        project: What it is removed from.
        manifest: What is remembered.
        kind: ``event``, ``handler`` …
        name: The class; empty for a kind of which there is but one, such as ``api``.
        force: Remove it though others import it.

    Raises:
        WrongUsage: There is no such thing, or nothing is remembered of it.
        BuiltUpon: Others import what would go.
        CommandLineError: Its owner has changed all of its files.
    """
    thing = find_thing(project, manifest, kind, name)
    actions, kept = _files(project, thing)
    if not actions and kept:
        raise CommandLineError(
            f"nothing of the {thing.request.key} can be removed: "
            + ", ".join(f"{item.path} {item.reason}" for item in kept),
            hint="delete what you no longer need by hand",
        )
    deleted = {item.path for item in actions}
    used = importers(project.root, {module_of(path) for path in deleted}, deleted)
    if used and not force:
        raise BuiltUpon(
            f"the {thing.request.key}",
            list(map(str, used)),
            "change those first, or say --force",
        )
    if thing.request.kind == "api":
        edits, needed = without_needs(project, manifest, deleted)
        actions, kept = sorted([*actions, *edits], key=lambda item: item.path), [*kept, *needed]
    plan = Plan(project.root, tuple(actions), kept=tuple(kept))
    record = record_of(
        plan,
        manifest,
        f"dolittle remove {thing.request.key}",
        slug_of("remove", kind, name),
        dolittle.__version__,
        {thing.request.key: None},
    )
    return with_record(plan, record)


def _files(project: Project, thing: Thing) -> tuple[list[FileAction], list[Kept]]:
    """Return which files of a thing go, and which stay."""
    actions: list[FileAction] = []
    kept: list[Kept] = []
    paths = set(thing.files)
    for path, file in sorted(thing.files.items()):
        found = read_text(project.root, path)
        if found is None:
            continue
        if is_shared(project.root, path, paths):
            kept.append(Kept(path, "stays: other things are in its folder"))
        elif file.is_untouched(found):
            actions.append(FileAction(Action.DELETE, path, before=found))
        else:
            kept.append(Kept(path, "stays: it was changed since it was generated"))
    return actions, kept


def find_thing(project: Project, manifest: Manifest, kind: str, name: str) -> Thing:
    """Return a thing that was generated.

    Raises:
        WrongUsage: There is no such thing, or nothing is remembered of it.
    """
    things = {
        key: thing for key, thing in manifest.things().items() if thing.request.kind not in PROJECTS
    }
    found = things.get(f"{kind} {name}".strip())
    if found is not None:
        return found
    _check_named(things, kind, name)
    for item in project.source.classes:
        if (item.kind, item.name) == (kind, name):
            place = item.path.relative_to(project.root).as_posix()
            came = _came_with_the_project(manifest, kind, name, place)
            if came is not None:
                return came
            raise WrongUsage(
                f"nothing is remembered of the {kind} {name} in {place}: it was written by hand, "
                "or its record is gone",
                hint="type the dolittle add command that makes it again, and it is remembered; "
                "or change the file by hand",
            )
    kinds = {thing.request.kind for thing in things.values()}
    if kind not in kinds and not any(item.kind == kind for item in project.source.classes):
        raise WrongUsage(
            f"there is no {kind} here", hint=suggest(kind, sorted(kinds)) if kinds else ""
        )
    names = [thing.request.name for thing in things.values() if thing.request.kind == kind]
    raise WrongUsage(
        f"there is no {kind} {name!r} in {project.package}", hint=suggest(name, sorted(names))
    )


def _check_named(things: Mapping[str, Thing], kind: str, name: str) -> None:
    """Refuse a kind without a name where it has some, and a name where it has none."""
    names = sorted(t.request.name for t in things.values() if t.request.kind == kind)
    if not name and any(names):
        raise WrongUsage(f"which {kind}?", hint=f"name it; there is: {', '.join(names)}")
    if name and kind in things:
        raise WrongUsage(f"there is but one {kind}, without a name", hint=f"dolittle remove {kind}")


def _came_with_the_project(manifest: Manifest, kind: str, name: str, path: str) -> Thing | None:
    """Return a thing of the example that a project was made with; ``None``: it is none."""
    for thing in manifest.things().values():
        if thing.request.kind in PROJECTS and path in thing.files:
            test = f"test_{snake(name)}.py"
            files = {
                place: file
                for place, file in thing.files.items()
                if place == path or (place.startswith("tests/") and place.endswith(f"/{test}"))
            }
            return Thing(Request(kind, name, {}), files, thing.version)
    return None
