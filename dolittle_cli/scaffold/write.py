"""Writes a plan: all of it, or nothing, also when the process is killed on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Final, Protocol

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.journal import PLACE, Journal, digest, locked, temporary_path
from dolittle_cli.scaffold.line_ends import has_crlf, with_crlf, with_newlines
from dolittle_cli.scaffold.plan import Action, FileAction, Plan

SYNCS_MAX: Final = 8
"""How many files are waited for at once."""

_NEEDS_NOTHING_THERE: Final = frozenset({Action.CREATE})


class Disk(Protocol):
    """The operations on files that writing needs; a test makes them fail."""

    def make_folder(self, path: Path) -> None:
        """Make one folder, whose parent is there."""
        ...

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a file that is not there yet."""
        ...

    def wait(self, paths: Sequence[Path]) -> None:
        """Wait until files that were written are on disk."""
        ...

    def move(self, source: Path, target: Path) -> None:
        """Rename a file, over what is there."""
        ...

    def delete(self, path: Path) -> None:
        """Delete a file."""
        ...


class RealDisk:
    """The machine's disk."""

    def make_folder(self, path: Path) -> None:
        """Make one folder, whose parent is there."""
        path.mkdir()

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a file that is not there yet."""
        with path.open("xb") as file:
            file.write(data)

    def wait(self, paths: Sequence[Path]) -> None:
        """Wait until files are on disk; for several at once, which takes little more than one."""
        errors: list[OSError] = []

        def wait_for(some: Sequence[Path]) -> None:
            for path in some:
                try:
                    _sync(path)
                except OSError as error:
                    errors.append(error)

        threads = [Thread(target=wait_for, args=(paths[n::SYNCS_MAX],)) for n in range(SYNCS_MAX)]
        for thread in threads[: len(paths)]:
            thread.start()
        for thread in threads[: len(paths)]:
            thread.join()
        if errors:
            raise errors[0]

    def move(self, source: Path, target: Path) -> None:
        """Rename a file, over what is there."""
        source.replace(target)

    def delete(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()


def write_plan(plan: Plan, disk: Disk | None = None) -> None:
    """Write everything that a plan says, or leave the project as it was.

    A journal is written first, then new texts beside their targets, then these are renamed into
    place; deleting the journal ends it. A write that was killed is taken back from its journal
    by the next command (:func:`dolittle_cli.scaffold.journal.recover`).

    Raises:
        CommandLineError: Something could not be written, a file changed since the plan was
            made, or another command is writing. The project is as before, unless the message
            names what could not be put back.
    """
    items = (*plan.changes, *plan.manifest)
    if not items:
        return
    writing = _Writing(plan.root, items, disk or RealDisk())
    try:
        writing.begin()
        with locked(plan.root):
            writing.check()
            writing.prepare()
            writing.commit()
    except OSError as error:
        left = writing.undo()
        reason = (error.strerror or str(error)).lower()
        raise CommandLineError(
            f"cannot write {writing.at}: {reason}; {_outcome(left)}",
            hint="free some space, or make the folder writable, then repeat the command",
        ) from error
    except BaseException:
        writing.undo()
        raise


class _Writing:
    """One attempt to write a plan, and what it has done so far.

    Attributes:
        at: The file that is being written.
    """

    def __init__(self, root: Path, items: tuple[FileAction, ...], disk: Disk) -> None:
        self._root, self._items, self._disk = root, items, disk
        self.at = root
        written = [item for item in items if item.action is not Action.DELETE]
        targets = [root / item.path for item in written]
        crlf = {item.path for item in items if item.is_crlf or has_crlf(root / item.path)}
        self._data = {
            item.path: (with_crlf(item.text) if item.path in crlf else item.text).encode()
            for item in written
        }
        as_they_are = tuple(
            replace(item, before=with_crlf(item.before)) if item.path in crlf else item
            for item in items
        )
        self._journal = Journal(
            root,
            as_they_are,
            {path: digest(data) for path, data in self._data.items()},
            tuple(map(_aside, targets)),
            tuple(_missing_folders([root / PLACE, *targets])),
            os.getpid(),
        )
        self._is_ours = False

    def begin(self) -> None:
        """Make the project's own folder, which is what is locked."""
        for folder in self._journal.folders:
            if self._root.is_relative_to(folder):
                self._disk.make_folder(folder)

    def check(self) -> None:
        """Refuse to begin where the write of another command is unfinished."""
        if (self._root / PLACE).exists():
            raise CommandLineError(
                f"another command has not finished writing to {self._root}; nothing was written",
                hint="repeat the command",
            )
        for item in self._items:
            self._check_place(item)
            self._check_unchanged(item)

    def prepare(self) -> None:
        """Write the journal, make folders, and write new texts beside their targets.

        All of it is on disk before anything is moved into place.
        """
        self._is_ours = True
        for folder in self._journal.folders:
            if folder == (self._root / PLACE).parent:
                self._disk.make_folder(folder)
        self._disk.write_new(self._root / PLACE, self._journal.as_bytes())
        for folder in self._journal.folders:
            if not folder.is_dir():
                self._disk.make_folder(folder)
        for item in self._items:
            self.at = target = self._root / item.path
            if item.action is Action.DELETE:
                continue
            aside = _aside(target)
            self._disk.write_new(aside, self._data[item.path])
            if item.action not in _NEEDS_NOTHING_THERE:
                aside.chmod(target.stat().st_mode & 0o7777)
        self.at = self._root
        self._disk.wait([self._root / PLACE, *self._journal.temporary])

    def commit(self) -> None:
        """Put everything in its place."""
        for item in self._items:
            self.at = target = self._root / item.path
            self._check_unchanged(item)
            if item.action is Action.DELETE:
                self._disk.delete(target)
            else:
                self._disk.move(_aside(target), target)
        self._disk.delete(self._root / PLACE)
        for folder in self._journal.folders:
            if folder == (self._root / PLACE).parent:
                folder.rmdir()
        for item in self._items:
            if item.action is Action.DELETE:
                _remove_empty_folders((self._root / item.path).parent, self._root)

    def undo(self) -> list[str]:
        """Take everything back; return what could not be."""
        if self._is_ours:
            return self._journal.roll_back()
        for folder in reversed(self._journal.folders):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return []

    def _check_place(self, item: FileAction) -> None:
        """Refuse to write through a symbolic link: it may lead out of the project.

        Raises:
            CommandLineError: There is one.
        """
        path = self._root
        for part in Path(item.path).parts:
            path = path / part
            if path.is_symlink():
                raise CommandLineError(
                    f"{path.relative_to(self._root)} is a symbolic link; nothing was written",
                    hint="what is generated stays in the project: put a folder or file there",
                )

    def _check_unchanged(self, item: FileAction) -> None:
        """Refuse to go on if somebody changed a file since the plan was made."""
        target = self._root / item.path
        is_there = target.exists()
        if item.action in _NEEDS_NOTHING_THERE:
            is_as_planned = not is_there
        else:
            is_as_planned = is_there and _text_of(target) == item.before
        if not is_as_planned:
            raise CommandLineError(
                f"{item.path} was changed while this command ran; nothing was written",
                hint="repeat the command",
            )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text_of(path: Path) -> str | None:
    """Return a file's text with plain newlines; ``None``: it is none."""
    try:
        return with_newlines(path.read_bytes().decode())
    except UnicodeDecodeError:
        return None


def _aside(target: Path) -> Path:
    return temporary_path(target, os.getpid())


def _missing_folders(paths: list[Path]) -> list[Path]:
    """Return the folders of files that are not there, outermost first."""
    missing: dict[Path, None] = {}
    for path in paths:
        own = []
        for folder in path.parents:
            if folder.exists():
                break
            own.append(folder)
        missing |= dict.fromkeys(reversed(own))
    return sorted(missing, key=lambda folder: len(folder.parts))


def _remove_empty_folders(folder: Path, root: Path) -> None:
    """Delete folders that a deletion left empty, or with nothing but Python's own caches."""
    while folder != root and folder.is_dir():
        rest = list(folder.iterdir())
        if any(path.name != "__pycache__" for path in rest):
            return
        try:
            for path in rest:
                for cached in path.iterdir():
                    cached.unlink()
                path.rmdir()
            folder.rmdir()
        except OSError:
            return  # an empty folder that stays harms nobody
        folder = folder.parent


def _outcome(left: list[str]) -> str:
    if not left:
        return "nothing was changed"
    return f"and these could not be put back as they were: {', '.join(left)}"
