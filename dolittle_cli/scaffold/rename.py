"""Plans to rename a thing: its class, module, tests, and every reference by syntax tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import dolittle
from dolittle.errors import suggest
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.line_ends import has_crlf
from dolittle_cli.scaffold.manifest import Manifest, Thing, file_record, with_record
from dolittle_cli.scaffold.merge import merge
from dolittle_cli.scaffold.names import check_class_name, snake
from dolittle_cli.scaffold.plan import Action, FileAction, Generated, Kept, Plan, read_text
from dolittle_cli.scaffold.project import Project, open_project
from dolittle_cli.scaffold.record import RENAME, FileRecord, Record, slug_of
from dolittle_cli.scaffold.references import module_of, python_files
from dolittle_cli.scaffold.renaming import Renaming, mentions, renamed
from dolittle_cli.scaffold.request import ID, PROJECTS, Request, plan_once
from dolittle_cli.scaffold.source import FOLDERS, DeclaredClass
from dolittle_cli.scaffold.stored_id import HAVE_ID, with_stored_id
from dolittle_cli.scaffold.tidy import find_ruff

MENTIONS_MAX: Final = 20
"""How many places are named that were not touched."""


def plan_rename(project: Project, manifest: Manifest, kind: str, old: str, new: str) -> Plan:
    """Plan to rename a thing, whoever wrote it.

    What is stored stays: the class gets its old name as its id. Files that were generated and
    not changed read as if they had been generated with the new name; in all others only names
    change. Strings and comments are left and named.

    Args:
        project: What the thing is in.
        manifest: What is remembered.
        kind: ``event``, ``handler`` …
        old: The class.
        new: Its new name.

    Raises:
        WrongUsage: There is no such thing, or the new name cannot be used or is taken.
        CommandLineError: A file uses the new name for something else, or cannot be read.
    """
    found = _declared(project, kind, old)
    check_class_name(kind, new)
    if new == old:
        raise WrongUsage(f"the {kind} is called {old} already", hint="give another name")
    if kind in FOLDERS:
        project.source.check_free(kind, new, besides=old)
    else:
        _check_free(project, new)
    renaming = _Rename(project, manifest, found, new)
    plan = renaming.plan()
    return with_record(plan, renaming.record(plan))


def _declared(project: Project, kind: str, name: str) -> DeclaredClass:
    classes = [item for item in project.source.classes if item.kind == kind]
    for item in classes:
        if item.name == name:
            return item
    names = sorted(item.name for item in classes)
    left_out = project.source.unreadable
    hint = suggest(name, names) if names else f"there is no {kind} at all"
    if left_out:
        hint += f" (left out, since they are no Python: {', '.join(left_out)})"
    raise WrongUsage(f"there is no {kind} {name!r} in {project.package}", hint=hint)


def _check_free(project: Project, name: str) -> None:
    for item in project.source.classes:
        if item.name.lower() == name.lower():
            place = item.path.relative_to(project.root)
            raise WrongUsage(
                f"the name {name!r} is taken by the {item.kind} {item.name} in {place}",
                hint="take another name",
            )


@dataclass(frozen=True)
class _Text:
    """A file's text before and after, and its place after.

    Attributes:
        base: What the next merge begins with; ``None``: no template made the file.
        base_before: What it began with before.
        owner: The key of the thing that it belongs to then.
        is_rendered: Whether it reads as generated with the new name.
    """

    before: str
    after: str
    path: str
    base: Generated | None = None
    base_before: str = ""
    owner: str = ""
    is_rendered: bool = False


class _Rename:
    """One renaming of one class, worked out file by file."""

    def __init__(
        self, project: Project, manifest: Manifest, found: DeclaredClass, new: str
    ) -> None:
        self._project, self._manifest = project, manifest
        self._kind, self._old, self._new = found.kind, found.name, new
        self._path = found.path.relative_to(project.root).as_posix()
        moves = found.path.stem == snake(found.name)
        self._moved = self._moves() if moves else {}
        companions = {
            item.name: new + item.name.removeprefix(found.name)
            for item in project.source.classes
            if item.path == found.path
            and item.kind == "class"
            and item.name.startswith(found.name)
            and item.name[len(found.name) :][:1].isupper()
        }
        module = module_of(self._path)
        new_module = module_of(self._moved.get(self._path, self._path))
        self._renaming = Renaming(module, new_module, {found.name: new, **companions})
        self._things = manifest.things()
        self._files: dict[str, _Text] = {}
        self._kept: list[Kept] = []

    def plan(self) -> Plan:
        """Return the plan, without its record."""
        self._rename_names()
        self._render_again()
        self._tidy()
        actions: list[FileAction] = []
        for path, text in sorted(self._files.items()):
            actions += _actions(self._project.root, path, text)
        self._name_mentions()
        files = tuple(sorted(actions, key=lambda item: item.path))
        return Plan(self._project.root, files, kept=tuple(self._kept))

    def record(self, plan: Plan) -> Record:
        """Return the record of the plan."""
        owners = {text.path: text.owner for text in self._files.values()}
        files: dict[str, FileRecord] = {
            item.path: file_record(item, owners.get(item.path, "")) for item in plan.changes
        }
        things: dict[str, Request | None] = {}
        for key, thing in self._things.items():
            now = self._request(thing.request)
            if now != thing.request:
                if now.key != key:
                    things[key] = None
                things[now.key] = now
        return Record(
            self._manifest.next_number(),
            slug_of("rename", self._kind, self._old, self._new),
            f"{RENAME}{self._kind} {self._old} {self._new}",
            dolittle.__version__,
            things,
            files,
        )

    def _moves(self) -> dict[str, str]:
        """Return the new places of the thing's module and of its test, by the old ones."""
        old, new = snake(self._old), snake(self._new)
        moves = {self._path: str(PurePosixPath(self._path).with_name(f"{new}.py"))}
        for path in python_files(self._project.root):
            place = PurePosixPath(path)
            if place.parts[0] == "tests" and place.name == f"test_{old}.py":
                moves[path] = str(place.with_name(f"test_{new}.py"))
        for target in moves.values():
            if (self._project.root / target).exists():
                raise WrongUsage(
                    f"{target} exists already; nothing was written",
                    hint="take another name, or move that file away",
                )
        return moves

    def _request(self, made: Request) -> Request:
        """Return a request as it reads with the new name."""
        if made.kind in PROJECTS:
            return made
        now = made.renamed(self._old, self._new)
        is_own = (made.kind, made.name) == (self._kind, self._old)
        if is_own and self._kind in HAVE_ID and ID not in now.answers:
            now = replace(now, answers={**now.answers, ID: self._old})
        if not is_own and made.name == self._old:
            now = replace(now, name=made.name)
        return now

    def _rename_names(self) -> None:
        """Change names in all Python files, and note who generated them."""
        owners = {path: key for key, thing in self._things.items() for path in thing.files}
        for path in python_files(self._project.root):
            before = read_text(self._project.root, path) or ""
            try:
                after = self._renamed(path, before)
            except SyntaxError:
                self._kept.append(Kept(path, "was not looked into: it is no Python at the moment"))
                continue
            if after == before and path not in self._moved:
                continue
            place = self._moved.get(path, path)
            text = _Text(before, after, place)
            key = owners.get(path)
            if key is not None:
                text = self._with_base(text, path, self._things[key])
            self._files[path] = text

    def _renamed(self, path: str, text: str) -> str:
        from libcst import ParserSyntaxError

        try:
            after = renamed(path, text, self._renaming)
        except ParserSyntaxError as error:
            raise SyntaxError(str(error)) from error
        if path == self._path and self._kind in HAVE_ID:
            return with_stored_id(after, self._new, self._old)
        return after

    def _with_base(self, text: _Text, path: str, thing: Thing) -> _Text:
        """Give a generated file its base, renamed as the file itself is."""
        file = thing.files[path]
        # To parse a file is most of the work, and many are as they were generated.
        is_same = file.base == text.before
        base = text.after if is_same else self._renamed(path, file.base)
        made = Generated(base, file.template, file.digest)
        owner = self._request(thing.request).key
        return replace(text, base=made, base_before=file.base, owner=owner)

    def _render_again(self) -> None:
        """Let what nobody has changed read as if it had been generated with the new name."""
        overlay = self._overlay()
        after = open_project(self._project.root, overlay)
        for thing in self._things.values():
            now = self._request(thing.request)
            if now == thing.request or not thing.files:
                continue
            was = _rendered(self._project, thing.request)
            is_rendered = was is not None and self._is_as_generated(thing, was)
            if is_rendered and self._has_methods_of_old_names(thing):
                own: dict[str, str | None] = {self._moved.get(p, p): None for p in thing.files}
                will_be = _rendered(open_project(self._project.root, {**overlay, **own}), now)
            else:
                will_be = _rendered(after, now)
            if was is None or will_be is None:
                continue
            for path in thing.files:
                place = self._moved.get(path, path)
                before = read_text(self._project.root, path)
                if place not in will_be or before is None:
                    continue
                if is_rendered:
                    made = will_be[place]
                    self._files[path] = _Text(
                        before, made.text, place, made, owner=now.key, is_rendered=True
                    )
                elif path in self._files and path in was:
                    self._move_base(path, thing.files[path].base, was[path], will_be[place])

    def _overlay(self) -> dict[str, str | None]:
        """Return the texts of files as they will be; ``None``: gone."""
        moved = {path: None for path, text in self._files.items() if path != text.path}
        return {**moved, **{text.path: text.after for text in self._files.values()}}

    def _has_methods_of_old_names(self, thing: Thing) -> bool:
        """Tell whether a thing's methods, which are generated as they are, are to be named anew."""
        return thing.request.kind == "handler" and self._kind == "event"

    def _move_base(self, path: str, base: str, was: Generated, will_be: Generated) -> None:
        """Change the base of a file by what the new name changes in what is generated.

        What its owner keeps of the old words is then a change of theirs, so that the same command
        again, or an update, does not bring the new words in. What else has moved since the base
        was made, in the source or in the template, is still to come.
        """
        text = self._files[path]
        moved = merge(was.text, base, will_be.text, is_python=path.endswith(".py"))
        if text.base is not None and not moved.conflicts:
            self._files[path] = replace(text, base=replace(text.base, text=moved.text))

    def _is_as_generated(self, thing: Thing, today: Mapping[str, Generated]) -> bool:
        """Tell whether nobody has changed a thing, and it would be generated so today."""
        for path, file in thing.files.items():
            found = read_text(self._project.root, path)
            if found is None:
                continue  # what its owner deleted is not changed: it would come back as generated
            if not file.is_untouched(found):
                return False
            if path in today and today[path].text != found:
                return False
        # A method that is called after the event is used by nobody else.
        old = f"on_{snake(self._old)}"
        return not any(
            old in (read_text(self._project.root, path) or "")
            for path in python_files(self._project.root)
            if path not in {p for other in self._things.values() for p in other.files}
        )

    def _tidy(self) -> None:
        """Format what was changed by names alone."""
        ruff = find_ruff(self._project.root, self._project.package)
        for path, text in list(self._files.items()):
            if text.is_rendered:
                continue
            tidy = ruff.tidied(text.path, text.before, text.after)
            base = text.base
            if base is not None and base.text == text.after:
                base = replace(base, text=tidy)
            elif base is not None:
                # As its owner's text is sorted and broken, or each later merge would sort it back.
                base = replace(base, text=ruff.tidied(text.path, text.base_before, base.text))
            self._files[path] = replace(text, after=tidy, base=base)

    def _name_mentions(self) -> None:
        """Say where the old names still stand, in strings, comments and other texts."""
        names = [*self._renaming.classes]
        moved = {text.path: text.after for text in self._files.values()}
        gone = {path for path, text in self._files.items() if path != text.path}
        others = {
            path: read_text(self._project.root, path) or ""
            for path in [*python_files(self._project.root), *_prose(self._project)]
            if path not in gone
        }
        places: list[str] = []
        for path, text in sorted({**others, **moved}.items()):
            for line, name in mentions(text, names):
                if f'"{name}"' in text.splitlines()[line - 1] and path == self._place():
                    continue  # the id that was written on purpose
                places.append(f"{path}:{line}")
        for place in places[:MENTIONS_MAX]:
            self._kept.append(Kept(place, f"still says {self._old}: a string, a comment or prose"))
        if len(places) > MENTIONS_MAX:
            rest = f"{len(places) - MENTIONS_MAX} more places"
            self._kept.append(Kept(rest, f"still say {self._old}"))

    def _place(self) -> str:
        return self._moved.get(self._path, self._path)


def _actions(root: Path, path: str, text: _Text) -> list[FileAction]:
    if path == text.path:
        if text.before == text.after:
            return []
        return [FileAction(Action.EDIT, path, text.after, text.before, text.base)]
    return [
        FileAction(Action.DELETE, path, before=text.before),
        FileAction(
            Action.CREATE,
            text.path,
            text.after,
            generated=text.base,
            is_crlf=has_crlf(root / path),
        ),
    ]


def _rendered(project: Project, made: Request) -> Mapping[str, Generated] | None:
    """Return what a request generates; ``None``: it cannot be made any more."""
    try:
        plan = plan_once(project, made)
    except CommandLineError:
        return None
    return {item.path: item.generated for item in plan.files if item.generated is not None}


def _prose(project: Project) -> list[str]:
    return [path.name for path in sorted(project.root.glob("*.md"))]
