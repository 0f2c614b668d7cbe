"""Plans to take back a command: what it did is undone, what its owner did since stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.manifest import Manifest
from dolittle_cli.scaffold.merge import merge
from dolittle_cli.scaffold.plan import Action, FileAction, Kept, Plan, read_text
from dolittle_cli.scaffold.record import RENAME, FileRecord, Record
from dolittle_cli.scaffold.references import importers, module_of
from dolittle_cli.scaffold.renamed_since import moved_by
from dolittle_cli.scaffold.request import PROJECTS

NAMED_MAX: Final = 10
"""How many of the things that depend on a command are named."""


class BuiltUpon(CommandLineError):
    """Something else depends on what is to be taken away.

    Attributes:
        what: What was to be taken away.
        dependents: What depends on it, in words.
    """

    code = "built-upon"

    def __init__(self, what: str, dependents: Collection[str], hint: str) -> None:
        self.what, self.dependents = what, tuple(dependents)
        named = list(self.dependents[:NAMED_MAX])
        if len(self.dependents) > NAMED_MAX:
            named.append(f"and {len(self.dependents) - NAMED_MAX} more")
        super().__init__(f"{what} is built upon by: {', '.join(named)}", hint=hint)


def find_record(manifest: Manifest, which: str) -> Record:
    """Return the record of a command.

    Args:
        manifest: What is remembered.
        which: Its number, or the whole name of its record; empty: the last one.

    Raises:
        WrongUsage: There is none, or two branches have used the number.
    """
    if not manifest.records:
        raise WrongUsage(
            "there is nothing to take back: no command is remembered here",
            hint="what git or another version control remembers is not lost",
        )
    if not which:
        return manifest.records[-1]
    found = [
        record
        for record in manifest.records
        if which in (f"{record.number:04}-{record.slug}", f"{record.number:04}-{record.slug}.json")
        or (which.isdecimal() and int(which) == record.number)
    ]
    if not found:
        raise WrongUsage(
            f"there is no command {which}", hint="see all of them with dolittle undo --list"
        )
    if len(found) > 1:
        names = ", ".join(f"{record.number:04}-{record.slug}" for record in found)
        raise WrongUsage(f"there are several commands {which}", hint=f"name one: {names}")
    return found[0]


def plan_undo(root: Path, manifest: Manifest, record: Record, *, force: bool) -> Plan:
    """Plan to take back one command.

    What it created and nobody changed is deleted, what it edited is edited back, and what it
    deleted is created again. Where the owner has changed something since, the change back is
    merged into it, or, where it cannot be, the file stays and is named.

    Args:
        root: The project's folder.
        manifest: What is remembered.
        record: The command's.
        force: Do it though something is built upon it.

    Raises:
        BuiltUpon: Later commands changed the same files, or made others of them, or others import
            what would go.
        WrongUsage: It is the command that made the whole project, or a renaming whose place has
            been changed since, and ``force`` is not given.
    """
    is_project = any(key.partition(" ")[0] in PROJECTS for key in record.things)
    if is_project and record.command.startswith("dolittle new") and not force:
        raise WrongUsage(
            f"that would take back the project itself: {record.command}",
            hint="if that is meant, say --force, or delete the folder",
        )
    undoing = _Undoing(root, record)
    actions, kept = undoing.actions(moves_back=not force)
    if not force:
        dependents = [
            *_later(manifest, record),
            *_importers(root, actions),
            *_generated_since(root, manifest, record, actions),
        ]
        if dependents:
            raise BuiltUpon(
                f"{record.number} ({record.command})",
                dependents,
                "take those back first, or say --force",
            )
    return Plan(root, tuple(actions), kept=tuple(kept), manifest=(forget(root, record),))


def plan_abort(root: Path, record: Record) -> Plan:
    """Plan to restore what was before an update with conflicts.

    A file with a conflict in it gets its text from before, whatever was done to it since;
    everything else goes back as with :func:`plan_undo`.
    """
    actions, kept = _Undoing(root, record).actions(restores_conflicts=True)
    return Plan(root, tuple(actions), kept=tuple(kept), manifest=(forget(root, record),))


def forget(root: Path, record: Record) -> FileAction:
    """Return the deletion of a record."""
    return FileAction(Action.DELETE, record.path, before=read_text(root, record.path) or "")


def is_shared(root: Path, path: str, deleted: Collection[str]) -> bool:
    """Tell whether a package's ``__init__.py`` is needed by what stays in its folder."""
    place = root / path
    if place.name != "__init__.py":
        return False
    rest = (other for other in place.parent.glob("**/*.py") if other != place)
    return any(other.relative_to(root).as_posix() not in deleted for other in rest)


@dataclass(frozen=True)
class _Undoing:
    """A project's folder, and the command to take back."""

    root: Path
    record: Record

    def actions(
        self, *, restores_conflicts: bool = False, moves_back: bool = False
    ) -> tuple[list[FileAction], list[Kept]]:
        """Return what to do to each file, and what stays."""
        moved = self._moved_back() if moves_back else []
        actions, done_with = list(moved), {item.path for item in moved}
        kept: list[Kept] = []
        for path, file in sorted(self.record.files.items()):
            if file.before == file.after or path in done_with:
                continue
            found = read_text(self.root, path)
            if restores_conflicts and found is not None and _had_conflict(file):
                done: FileAction | str = _back(path, found, file.before)
            else:
                done = _undone(path, file, found)
            if isinstance(done, str):
                kept.append(Kept(path, done))
            else:
                actions.append(done)
        deleted = {item.path for item in actions if item.action is Action.DELETE}
        for item in list(actions):
            if item.action is Action.DELETE and is_shared(self.root, item.path, deleted):
                actions.remove(item)
                kept.append(Kept(item.path, "stays: other things are in its folder"))
        return sorted(actions, key=lambda item: item.path), kept

    def _moved_back(self) -> list[FileAction]:
        """Return how files that a renaming moved, and their owner changed, go back as they are.

        Left where it is, such a file would say what the one that comes back says, once more.
        """
        if not self.record.command.startswith(RENAME):
            return []
        kind, old, new = self.record.command.removeprefix(RENAME).split()[:3]
        actions = []
        files = self.record.files
        for place, moved in moved_by(self.record, old, new).items():
            if moved not in files:
                continue
            before, after = files[place].before, files[moved].after
            found = read_text(self.root, moved)
            is_free = read_text(self.root, place) is None
            if not is_free or before is None or after is None or found in (None, after):
                continue
            merged = merge(after, found, before, is_python=moved.endswith(".py"))
            if merged.conflicts:
                raise WrongUsage(
                    f"{moved} was changed since, in the lines that the renaming changed",
                    hint=f"rename it once more: dolittle rename {kind} {new} {old}",
                )
            actions += [_back(place, None, merged.text), _back(moved, found, None)]
        return actions


def _undone(path: str, file: FileRecord, found: str | None) -> FileAction | str:
    """Return what to do to a file, or in words why it stays."""
    if found == file.before:
        return FileAction(Action.IDENTICAL, path, found or "", found or "")
    if file.before is None:
        if found is None or found == file.after:
            return _back(path, found, None)
        return "stays: it was changed since it was generated"
    if file.after is None:
        if found is None:
            return replace(_back(path, None, file.before), is_crlf=file.is_crlf)
        return "stays: somebody has made it again since"
    if found is None:
        return "stays deleted"
    if found == file.after:
        return _back(path, found, file.before)
    merged = merge(file.after, found, file.before, is_python=path.endswith(".py"))
    if merged.conflicts:
        return "stays: it was changed since, in the same place"
    return _back(path, found, merged.text)


def _back(path: str, found: str | None, text: str | None) -> FileAction:
    if text is None:
        if found is None:
            return FileAction(Action.IDENTICAL, path)
        return FileAction(Action.DELETE, path, before=found)
    if found is None:
        return FileAction(Action.CREATE, path, text)
    action = Action.IDENTICAL if found == text else Action.EDIT
    return FileAction(action, path, text, found)


def _had_conflict(file: FileRecord) -> bool:
    from dolittle_cli.scaffold.merge import has_markers

    return file.after is not None and has_markers(file.after)


def _later(manifest: Manifest, record: Record) -> list[str]:
    """Name the later commands that changed the same files."""
    place = manifest.records.index(record)
    return [
        f"{later.number} ({later.command})"
        for later in manifest.records[place + 1 :]
        if set(later.files) & {p for p, f in record.files.items() if f.before != f.after}
    ]


def _generated_since(
    root: Path, manifest: Manifest, record: Record, actions: list[FileAction]
) -> list[str]:
    """Name the files that later commands have made of what would change.

    A test that was made up of an event's fields, for example, after a generation of it was added.
    """
    if record is manifest.records[-1] or not any(item.path.endswith(".py") for item in actions):
        return []
    from dolittle_cli.scaffold.ripple import with_dependents

    plan = Plan(root, tuple(actions))
    ripples = with_dependents(plan, manifest, "").plan
    texts = {item.path: item.text for item in plan.files}
    changed = [item.path for item in ripples.files if texts.get(item.path) != item.text]
    return sorted({*changed, *(item.path for item in ripples.kept)})


def _importers(root: Path, actions: list[FileAction]) -> list[str]:
    deleted = {item.path for item in actions if item.action is Action.DELETE}
    modules = {module_of(path) for path in deleted if path.endswith(".py")}
    texts = {item.path: item.text for item in actions if item.action is not Action.DELETE}
    return list(map(str, importers(root, modules, deleted, texts)))
