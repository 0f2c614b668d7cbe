"""Plans to move a project to the templates of the installed version, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dolittle
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.manifest import GeneratedFile, Manifest, Thing, file_record, with_record
from dolittle_cli.scaffold.merge import has_markers
from dolittle_cli.scaffold.microservice import plan_project_again
from dolittle_cli.scaffold.plan import Action, FileAction, Generated, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project, open_project
from dolittle_cli.scaffold.record import RENAME, FileRecord, Record, slug_of
from dolittle_cli.scaffold.render import render, template_digest
from dolittle_cli.scaffold.request import PROJECTS, TEMPLATES, plan_once
from dolittle_cli.scaffold.settle import Ask, settle_one

COMMAND: Final = "dolittle update"
PACKAGE_TEMPLATE: Final = "/package.py.jinja"
"""How the template of a package's ``__init__.py`` is called, for every kind."""


def plan_update(root: Path, manifest: Manifest, resolve: Ask) -> Plan:
    """Plan to bring what was generated up to the templates of this version.

    Whatever comes from another version, or from templates that have changed since, is generated
    again from its remembered answers and the project as it is now; what that changes is merged
    into each file. A file that its owner deleted stays deleted.

    Args:
        root: The project's folder.
        manifest: What is remembered.
        resolve: Asked for each file that cannot be merged by itself.

    Raises:
        CommandLineError: An earlier update is unfinished, or something cannot be read.
        WrongUsage: Nothing is remembered here.
    """
    unfinished = find_unfinished(root, manifest)
    if unfinished is not None:
        raise CommandLineError(
            "an update is not finished yet, these have conflicts in them: "
            f"{', '.join(conflicted(root, unfinished))}",
            hint="resolve them (look for <<<<<<<), or go back: dolittle update --abort",
        )
    if not manifest.records:
        raise WrongUsage(
            "nothing is remembered here, so that nothing can be updated",
            hint="type the dolittle new and dolittle add commands again that made the project: "
            "what is as generated is remembered again",
        )
    updating = _Update(root, manifest, resolve)
    plan = updating.plan()
    return with_record(plan, updating.record(plan))


def things_behind(root: Path, manifest: Manifest) -> list[str]:
    """Return the keys of the things that another version or other templates made."""
    return [key for key, thing in manifest.things().items() if is_behind(root, thing)]


def is_behind(root: Path, thing: Thing) -> bool:
    """Tell whether a thing was made by another version of dolittle, or by other templates."""
    if not thing.files:
        return False
    if thing.version != dolittle.__version__:
        return True
    digests = {file.template: file.digest for file in thing.files.values()}
    # A project's own templates were made of the shipped ones.
    project = None if thing.request.kind == TEMPLATES else root
    return any(_digest(name, project) != digest for name, digest in digests.items() if digest)


def find_unfinished(root: Path, manifest: Manifest) -> Record | None:
    """Return the update whose conflicts are not all resolved; ``None``: there is none."""
    for record in reversed(manifest.records):
        if record.command == COMMAND and conflicted(root, record):
            return record
    return None


def conflicted(root: Path, record: Record) -> list[str]:
    """Return the files in which a command left conflicts that are still there."""
    return [
        path
        for path, file in sorted(record.files.items())
        if file.after is not None
        and has_markers(file.after)
        and has_markers(read_text(root, path) or "")
    ]


@dataclass(frozen=True)
class _Owned:
    """An action, and the thing that its file belongs to."""

    action: FileAction
    thing: str


class _Update:
    """One update, worked out thing by thing."""

    def __init__(self, root: Path, manifest: Manifest, resolve: Ask) -> None:
        self._root, self._manifest, self._resolve = root, manifest, resolve
        self._version = dolittle.__version__
        # A path that was known once and is not any more was deleted or renamed on purpose.
        self._seen = {path for record in manifest.records for path in record.files}
        # What came with a project and was renamed is generated under its old name, if at all.
        self._renamed = {
            path
            for record in manifest.records
            if record.command.startswith(RENAME)
            for path, file in record.files.items()
            if file.before is None
        }
        self._owned: dict[str, _Owned] = {}
        self._kept: list[Kept] = []
        self._project: Project | None = None

    def plan(self) -> Plan:
        """Return the plan, without its record."""
        for key, thing in self._manifest.things().items():
            if not is_behind(self._root, thing):
                continue
            try:
                generated = self._generated(thing)
            except CommandLineError as error:
                self._kept.append(Kept(key, f"is left as it is: {error}"))
                continue
            self._update(key, thing, generated)
        actions = [owned.action for _, owned in sorted(self._owned.items())]
        return Plan(self._root, tuple(actions), kept=tuple(self._kept))

    def record(self, plan: Plan) -> Record | None:
        """Return the record of the plan; ``None`` where nothing changed."""
        if not plan.files:
            return None
        files: dict[str, FileRecord] = {
            item.path: file_record(item, self._owned[item.path].thing) for item in plan.files
        }
        things = self._manifest.things()
        keys = sorted({owned.thing for owned in self._owned.values()})
        return Record(
            self._manifest.next_number(),
            slug_of("update", self._version),
            COMMAND,
            self._version,
            {key: things[key].request for key in keys},
            files,
        )

    def _generated(self, thing: Thing) -> Mapping[str, Generated]:
        made = thing.request
        if made.text("template"):
            raise CommandLineError("it was made with a template of its own, see copier update")
        if made.kind in PROJECTS:
            return self._renamed_since(_generated(plan_project_again(self._root, made)))
        if self._project is None:
            self._project = open_project(self._root)
        plan = plan_once(self._project, made)
        return {**_generated(plan), **self._packages(thing)}

    def _renamed_since(self, generated: Mapping[str, Generated]) -> Mapping[str, Generated]:
        if not any(item.command.startswith(RENAME) for item in self._manifest.records):
            return generated
        from dolittle_cli.scaffold.renamed_since import renamed_since

        package = open_project(self._root).package
        return renamed_since(self._root, package, self._manifest, generated)

    def _packages(self, thing: Thing) -> dict[str, Generated]:
        """Return the packages that came with a thing; a plan leaves out those that are there."""
        found = {}
        for path, file in thing.files.items():
            if file.template.endswith(PACKAGE_TEMPLATE):
                text = render(file.template, {"package": self._package()}, self._root)
                found[path] = Generated(text, file.template, _digest(file.template, self._root))
        return found

    def _package(self) -> str:
        return self._project.package if self._project else ""

    def _update(self, key: str, thing: Thing, generated: Mapping[str, Generated]) -> None:
        for path, made in generated.items():
            file = thing.files.get(path)
            found = read_text(self._root, path)
            if file is None:
                if path not in self._seen:
                    self._add(key, path, made, found)
            elif file.base != made.text and found is not None:
                self._change(key, path, file, made, found)
        for path, file in thing.files.items():
            if path in generated:
                continue
            if path in self._renamed:
                self._kept.append(Kept(path, "was renamed, and is left as it is"))
            else:
                self._drop(key, path, file)

    def _add(self, key: str, path: str, made: Generated, found: str | None) -> None:
        if found is not None and found != made.text:
            self._kept.append(Kept(path, "is new, and is left: there is such a file already"))
            return
        action = Action.CREATE if found is None else Action.IDENTICAL
        item = FileAction(action, path, made.text, found or "", made)
        self._owned[path] = _Owned(item, key)

    def _change(
        self, key: str, path: str, file: GeneratedFile, made: Generated, found: str
    ) -> None:
        action = Action.IDENTICAL if found == made.text else Action.CONFLICT
        item = FileAction(action, path, made.text, found, made)
        settled = settle_one(item, file, self._resolve)
        if settled.is_skipped:
            self._kept.append(Kept(path, "stays as it is"))
        self._owned[path] = _Owned(settled, key)

    def _drop(self, key: str, path: str, file: GeneratedFile) -> None:
        found = read_text(self._root, path)
        if found is None:
            return
        if file.is_untouched(found):
            item = FileAction(Action.DELETE, path, before=found)
            self._owned[path] = _Owned(item, key)
        else:
            reason = "is no longer generated, and stays: it was changed"
            self._kept.append(Kept(path, reason))


def _generated(plan: Plan) -> dict[str, Generated]:
    return {item.path: item.generated for item in plan.files if item.generated is not None}


def _digest(template: str, root: Path | None) -> str:
    try:
        return template_digest(template, root)
    except CommandLineError:
        return ""  # a template that is gone; what it made is generated by another one now
