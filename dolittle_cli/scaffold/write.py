"""Writes a plan: all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.plan import Action, FileAction, Plan

TEMPORARY = ".dolittle-tmp"
"""How the name of a file ends that is not yet in its place."""


class Disk(Protocol):
    """The operations on files that writing needs; a test makes them fail."""

    def make_folder(self, path: Path) -> None:
        """Make one folder, whose parent is there."""
        ...

    def write_new(self, path: Path, data: bytes) -> None:
        """Write a file that is not there yet, and wait until it is on disk."""
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
        """Write a file that is not there yet, and wait until it is on disk."""
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def move(self, source: Path, target: Path) -> None:
        """Rename a file, over what is there."""
        source.replace(target)

    def delete(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()


def write_plan(plan: Plan, disk: Disk | None = None) -> None:
    """Write everything that a plan says, or leave the project as it was.

    New texts are first written beside their targets and put on disk, then renamed into place.

    Raises:
        CommandLineError: Something could not be written, or a file changed since the plan was
            made. The project is as before, unless the message names what could not be undone.
    """
    writing = _Writing(plan, disk or RealDisk())
    try:
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

    def __init__(self, plan: Plan, disk: Disk) -> None:
        self._plan, self._disk = plan, disk
        self.at = plan.root
        self._folders: list[Path] = []
        self._temporary: list[Path] = []
        self._done: list[FileAction] = []

    def prepare(self) -> None:
        """Make folders and write new texts beside their targets."""
        for item in self._plan.changes:
            self.at = target = self._target(item)
            self._check_unchanged(item)
            if item.action is Action.DELETE:
                continue
            self._make_folders(target.parent)
            temporary = _temporary(target)
            self._temporary.append(temporary)
            self._disk.write_new(temporary, item.text.encode())

    def commit(self) -> None:
        """Put everything in its place."""
        for item in self._plan.changes:
            self.at = target = self._target(item)
            self._check_unchanged(item)
            self._done.append(item)
            if item.action is Action.DELETE:
                self._disk.delete(target)
            else:
                self._disk.move(_temporary(target), target)
                self._temporary.remove(_temporary(target))

    def undo(self) -> list[str]:
        """Take everything back; return what could not be."""
        left: list[str] = []
        for temporary in self._temporary:
            _attempt(left, temporary, partial(_remove, temporary))
        for item in reversed(self._done):
            target = self._target(item)
            if item.action is Action.CREATE:
                _attempt(left, target, partial(_remove, target))
            else:
                _attempt(left, target, partial(target.write_bytes, item.before.encode()))
        for folder in reversed(self._folders):
            _attempt(left, folder, folder.rmdir)
        return left

    def _target(self, item: FileAction) -> Path:
        return self._plan.root / item.path

    def _check_unchanged(self, item: FileAction) -> None:
        """Refuse to go on if somebody changed a file since the plan was made."""
        target = self._target(item)
        is_there = target.exists()
        if item.action is Action.CREATE:
            is_as_planned = not is_there
        else:
            is_as_planned = is_there and target.read_bytes() == item.before.encode()
        if not is_as_planned:
            raise CommandLineError(
                f"{item.path} was changed while this command ran; nothing was written",
                hint="repeat the command",
            )

    def _make_folders(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for path in reversed(missing):
            self._disk.make_folder(path)
            self._folders.append(path)


def _remove(path: Path) -> None:
    """Delete a file if it is there; asking first, since a read-only disk refuses either way."""
    if path.exists():
        path.unlink()


def _attempt(left: list[str], path: Path, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        left.append(f"{path} ({(error.strerror or str(error)).lower()})")


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")


def _outcome(left: list[str]) -> str:
    if not left:
        return "nothing was changed"
    return f"and these could not be put back as they were: {', '.join(left)}"
