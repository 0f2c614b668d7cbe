"""The journal of a write under way, from which a write that was killed is taken back."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.plan import Action, FileAction

PLACE: Final = ".dolittle/scaffold-journal.json"
"""Below the project's folder, with the data that is not committed."""


@dataclass(frozen=True)
class Journal:
    """What a write is going to do, written down before it begins.

    Attributes:
        root: The project's folder.
        items: The changes; of their texts only those from before are kept.
        digests: By path, that of the text which is to be written.
        temporary: Files that are moved into place.
        folders: Folders that the write makes, outermost first.
        pid: Of the process that writes.
    """

    root: Path
    items: tuple[FileAction, ...]
    digests: dict[str, str]
    temporary: tuple[Path, ...]
    folders: tuple[Path, ...]
    pid: int

    def as_bytes(self) -> bytes:
        """Return the journal as it is kept."""
        items = [
            {"action": item.action.value, "path": item.path, "before": item.before}
            for item in self.items
        ]
        value = {
            "items": items,
            "digests": self.digests,
            "temporary": [str(path.relative_to(self.root)) for path in self.temporary],
            "pid": self.pid,
            "folders": [os.path.relpath(path, self.root) for path in self.folders],
        }
        return json.dumps(value).encode()

    def roll_back(self) -> list[str]:
        """Put everything back as it was before the write; return what could not be.

        May be repeated: what is as it was is left alone.
        """
        left: list[str] = []
        for item in reversed(self.items):
            target = self.root / item.path
            _attempt(left, target, partial(self._restore, item, target))
        for path in self.temporary:
            _attempt(left, path, partial(_remove, path))
        if left:
            return left
        _attempt(left, self.root / PLACE, partial(_remove, self.root / PLACE))
        for folder in reversed(self.folders):
            if folder.is_dir() and not any(folder.iterdir()):
                _attempt(left, folder, folder.rmdir)
        return left

    def _restore(self, item: FileAction, target: Path) -> None:
        if temporary_path(target, self.pid).exists():
            return  # it was not moved into place, so the file is as it was
        found = target.read_bytes() if target.exists() else None
        if item.action is Action.DELETE and found is not None:
            return
        is_ours = found is not None and digest(found) == self.digests.get(item.path)
        if item.action is Action.CREATE:
            if is_ours:
                target.unlink()
            elif found is not None:
                raise FileExistsError(0, "somebody else has written it")
            return
        before = item.before.encode()
        if found == before:
            return
        if found is not None and not is_ours:
            raise FileExistsError(0, "somebody else has written it")
        aside = temporary_path(target, self.pid)
        aside.write_bytes(before)
        aside.replace(target)


def recover(root: Path) -> bool:
    """Take back a write that was killed half way; tell whether there was one.

    Raises:
        CommandLineError: Another command is writing, or something could not be put back.
    """
    if not is_unfinished(root):
        return False
    with locked(root):
        if not is_unfinished(root):
            return False
        left = _read(root).roll_back()
    if left:
        raise CommandLineError(
            f"a command was killed half way, and these could not be put back: {', '.join(left)}",
            hint=f"put them right by hand, then delete {root / PLACE}",
        )
    return True


def is_unfinished(root: Path) -> bool:
    """Tell whether a write is under way, or was killed half way."""
    return (root / PLACE).exists()


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold a project's folder, so that two commands do not write to it at once.

    Raises:
        CommandLineError: Another process holds it.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY)
    except OSError as error:
        raise CommandLineError(f"cannot open {root}: {(error.strerror or '').lower()}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandLineError(
                f"another dolittle command is writing to {root} now; nothing was written",
                hint="repeat the command",
            ) from error
        yield
    finally:
        os.close(descriptor)


def digest(data: bytes) -> str:
    """Return the digest by which a journal knows what its write has written."""
    return hashlib.sha256(data).hexdigest()


def temporary_path(target: Path, pid: int) -> Path:
    """Return where a process writes a file's new content, before it is moved into place."""
    return target.with_name(f".{target.name}.{pid}.dolittle-tmp")


def _read(root: Path) -> Journal:
    path = root / PLACE
    try:
        value: Any = json.loads(path.read_bytes())
        items = tuple(
            FileAction(Action(item["action"]), item["path"], before=item["before"])
            for item in value["items"]
        )
        temporary = tuple(root / name for name in value["temporary"])
        # Normalised, since a folder's own parent is reached after the folder itself is gone.
        folders = tuple(Path(os.path.normpath(root / name)) for name in value["folders"])
        return Journal(root, items, dict(value["digests"]), temporary, folders, int(value["pid"]))
    except (ValueError, KeyError, TypeError):
        # A write that was killed while it wrote its journal has done nothing else yet.
        return Journal(root, (), {}, (), (), 0)
    except OSError as error:
        raise CommandLineError(f"cannot read {path}: {error.strerror}") from error


def _remove(path: Path) -> None:
    """Delete a file if it is there; asking first, since a read-only disk refuses either way."""
    if path.exists():
        path.unlink()


def _attempt(left: list[str], path: Path, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        left.append(f"{path} ({(error.strerror or str(error)).lower()})")
