"""What a command is going to do to a project, as data: built in memory, shown, then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dolittle_cli.errors import CommandLineError, WrongUsage


class Action(StrEnum):
    """What happens to a file."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    IDENTICAL = "identical"


@dataclass(frozen=True)
class FileAction:
    """What happens to one file.

    Attributes:
        path: Below the plan's folder, with ``/``.
        text: The file's whole new text; empty for a deletion.
        before: The text it must have now to be edited or deleted; empty otherwise.
    """

    action: Action
    path: str
    text: str = ""
    before: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that a command is going to do, and nothing else.

    Attributes:
        root: The folder that all paths are below; it need not exist.
        title: What the folder is called when the plan is shown; empty: paths begin in it.
        files: Sorted by path.
    """

    root: Path
    files: tuple[FileAction, ...]
    title: str = ""

    @property
    def changes(self) -> tuple[FileAction, ...]:
        """What is not identical."""
        return tuple(item for item in self.files if item.action is not Action.IDENTICAL)

    def lines(self) -> list[str]:
        """Return one line for each file: ``create     kitchen/events/dish_prepared.py``."""
        prefix = f"{self.title}/" if self.title else ""
        return [f"{item.action:<9}  {prefix}{item.path}" for item in self.files]

    def as_json(self) -> dict[str, Any]:
        """Return the plan: ``root``, an absolute path, and ``files`` (``action path text``)."""
        files = [{"action": f.action.value, "path": f.path, "text": f.text} for f in self.files]
        return {"root": str(self.root.resolve()), "files": files}


def plan_files(root: Path, texts: Mapping[str, str], *, title: str = "") -> Plan:
    """Plan to have files with these texts: create them, or find them identical.

    Args:
        root: The folder; it need not exist.
        texts: By path below the folder.
        title: What the folder is called when the plan is shown.

    Raises:
        WrongUsage: A file is there with another text; it would be overwritten.
        CommandLineError: A file cannot be read.
    """
    files = []
    for path, text in sorted(texts.items()):
        found = _read(root / path, path)
        if found is None:
            files.append(FileAction(Action.CREATE, path, text))
        elif found == text:
            files.append(FileAction(Action.IDENTICAL, path, text))
        else:
            shown = f"{title}/{path}" if title else path
            raise WrongUsage(
                f"{shown} exists, with other text; nothing was written",
                hint="nothing is overwritten: take another name, or move that file away",
            )
    return Plan(root, tuple(files), title)


def _read(path: Path, shown: str) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return "\0"  # no text, so certainly another one
    except OSError as error:
        raise CommandLineError(
            f"cannot read {shown}: {(error.strerror or str(error)).lower()}",
            hint=f"see what is at {path}",
        ) from error
