"""What a command is going to do to a project, as data: built in memory, shown, then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.line_ends import with_newlines
from dolittle_cli.scaffold.merge import unified


class Action(StrEnum):
    """What happens to a file."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    IDENTICAL = "identical"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Generated:
    """What a template made for a file.

    Attributes:
        text: The whole text, before any merge with what the owner made of it.
        template: Which template, e.g. ``event/event.py.jinja``.
        digest: Of the template's own text.
    """

    text: str
    template: str
    digest: str


@dataclass(frozen=True)
class FileAction:
    """What happens to one file.

    Attributes:
        path: Below the plan's folder, with ``/``.
        text: The file's whole new text; empty for a deletion. For a conflict, the text with
            markers that is written if the conflict is left in the file.
        before: The text it must have now to be edited or deleted; empty otherwise.
        generated: What a template made for it; ``None`` where no template did.
        is_skipped: Whether the owner's text stays though another one was generated.
        is_crlf: Whether the lines of a file that is created end with a carriage return and a
            newline; a file that is edited keeps its own.
    """

    action: Action
    path: str
    text: str = ""
    before: str = ""
    generated: Generated | None = None
    is_skipped: bool = False
    is_crlf: bool = False


@dataclass(frozen=True)
class Kept:
    """A file that stays though the command is about it.

    Attributes:
        path: Below the plan's folder.
        reason: As words that follow its name: ``was changed since it was generated``.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything that a command is going to do, and nothing else.

    Attributes:
        root: The folder that all paths are below; it need not exist.
        title: What the folder is called when the plan is shown; empty: paths begin in it.
        files: Sorted by path.
        kept: What stays though it could have been changed.
        manifest: Files of the manifest; they are written with the others, and not shown.
    """

    root: Path
    files: tuple[FileAction, ...]
    title: str = ""
    kept: tuple[Kept, ...] = ()
    manifest: tuple[FileAction, ...] = ()

    @property
    def changes(self) -> tuple[FileAction, ...]:
        """What is not identical."""
        return tuple(item for item in self.files if item.action is not Action.IDENTICAL)

    @property
    def conflicts(self) -> tuple[FileAction, ...]:
        """The files that are written with markers in them."""
        return tuple(item for item in self.files if item.action is Action.CONFLICT)

    def lines(self) -> list[str]:
        """Return one line for each file: ``create     kitchen/events/dish_prepared.py``."""
        prefix = f"{self.title}/" if self.title else ""
        return [f"{item.action:<9}  {prefix}{item.path}" for item in self.files]

    def diff(self) -> list[str]:
        """Return the lines of one unified diff of everything that changes."""
        return [line for f in self.changes for line in unified(f.path, f.before, f.text)]

    def as_json(self) -> dict[str, Any]:
        """Return the plan: ``root``, an absolute path, ``files``, ``manifest`` and ``kept``.

        Each file is ``action path text``, each thing that is kept ``path reason``.
        """
        return {
            "root": str(self.root.resolve()),
            "files": [_as_json(item) for item in self.files],
            "manifest": [_as_json(item) for item in self.manifest],
            "kept": [{"path": item.path, "reason": item.reason} for item in self.kept],
        }


def _as_json(item: FileAction) -> dict[str, str]:
    return {"action": item.action.value, "path": item.path, "text": item.text}


def plan_files(
    root: Path,
    texts: Mapping[str, str],
    *,
    title: str = "",
    templates: Mapping[str, tuple[str, str]] | None = None,
) -> Plan:
    """Plan to have files with these texts: create them, find them identical, or a conflict.

    Args:
        root: The folder; it need not exist.
        texts: By path below the folder.
        title: What the folder is called when the plan is shown.
        templates: By path, the template that made the text, and the digest of that template.

    Raises:
        CommandLineError: A file cannot be read.
    """
    files = []
    for path, text in sorted(texts.items()):
        found = read_text(root, path)
        template = (templates or {}).get(path)
        generated = Generated(text, *template) if template else None
        if found is None:
            files.append(FileAction(Action.CREATE, path, text, generated=generated))
        elif found == text:
            files.append(FileAction(Action.IDENTICAL, path, text, found, generated))
        else:
            files.append(FileAction(Action.CONFLICT, path, text, found, generated))
    return Plan(root, tuple(files), title)


def replan(item: FileAction) -> FileAction:
    """Return an unsettled action whose text was changed: created, identical or a conflict."""
    if item.action is Action.CREATE:
        return item
    action = Action.IDENTICAL if item.text == item.before else Action.CONFLICT
    return replace(item, action=action)


def read_text(root: Path, path: str) -> str | None:
    """Return the text of a project's file, with plain newlines; ``None``: it is not there.

    Raises:
        CommandLineError: It cannot be read, or is no text.
    """
    try:
        return with_newlines((root / path).read_bytes().decode())
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise CommandLineError(
            f"{path} exists, and is no text; nothing was written",
            hint="move that file away, or take another name",
        ) from error
    except OSError as error:
        raise CommandLineError(
            f"cannot read {path}: {(error.strerror or str(error)).lower()}",
            hint=f"see what is at {root / path}",
        ) from error
