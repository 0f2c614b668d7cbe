"""A record of the manifest: one command and what it did to each file, as it is kept in JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.request import Answer, Request

FOLDER: Final = ".dolittle-manifest"
FORMAT: Final = 1
RENAME: Final = "dolittle rename "
"""How the command of a renaming begins: ``dolittle rename KIND OLD NEW``."""

RECORD_BYTES_MAX: Final = 16 * 1024 * 1024
"""A record that is larger is no record of ours."""

_CRLF: Final = "crlf"
_NAME: Final = re.compile(r"(\d{4,9})-([A-Za-z0-9._-]+)\.json")


class ManifestDamaged(CommandLineError):
    """A record of the manifest cannot be used.

    Attributes:
        path: The record, below the project's folder.
        reason: What is wrong with it, with line and column where it is no JSON.
    """

    code = "manifest"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path}: {reason}",
            hint="take the file back from version control, or delete it: that command is then "
            "forgotten, and typing it again lets it be remembered",
        )


@dataclass(frozen=True)
class FileRecord:
    """What a command did to one file.

    Attributes:
        before: The file's text before the command; ``None``: it was not there.
        after: Its text after it; ``None``: it was deleted.
        base: What the template made, which the next merge begins with; ``None``: no template
            made this file.
        thing: The key of the thing that the file belongs to; empty with ``base`` ``None``.
        template: Which template, and with it
        digest: that of its text.
        is_crlf: Whether the lines of a file that was deleted ended with a carriage return and a
            newline.
    """

    before: str | None
    after: str | None
    base: str | None = None
    thing: str = ""
    template: str = ""
    digest: str = ""
    is_crlf: bool = False


@dataclass(frozen=True)
class Record:
    """One command that changed the project.

    Attributes:
        number: Counts the commands of a branch from 1; two branches may use one number.
        slug: The rest of the file's name: ``add-event-DishPrepared``.
        command: As it was typed.
        version: Of dolittle.
        things: The things that it made or changed, by key; ``None``: it took the thing away.
        files: By path.
    """

    number: int
    slug: str
    command: str
    version: str
    things: Mapping[str, Request | None]
    files: Mapping[str, FileRecord]

    @property
    def path(self) -> str:
        """The record's file, below the project's folder."""
        return f"{FOLDER}/{self.number:04}-{self.slug}.json"

    def as_text(self) -> str:
        """Return the record as it is kept: JSON, each line of a text on a line of its own."""
        things = {
            key: None if made is None else {o: _listed(a) for o, a in made.answers.items()}
            for key, made in self.things.items()
        }
        value = {
            "format": FORMAT,
            "command": self.command,
            "version": self.version,
            "things": things,
            "files": {path: _file_as_json(file) for path, file in sorted(self.files.items())},
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        ManifestDamaged: It cannot be used.
    """
    shown = f"{FOLDER}/{path.name}"
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise ManifestDamaged(shown, "no record is called so: 0001-add-event-DishPrepared.json is")
    try:
        if path.stat().st_size > RECORD_BYTES_MAX:
            raise ManifestDamaged(shown, "is too large to be a record")
        value = json.loads(path.read_bytes().decode())
        return _record(path.parents[1], int(named[1]), named[2], value)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]} in line {error.lineno}, "
        raise ManifestDamaged(shown, f"{reason}column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ManifestDamaged(shown, "is no text") from error
    except OSError as error:
        raise ManifestDamaged(shown, f"cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ManifestDamaged(shown, f"is no record: {_reason(error)}") from error


def digest_of(text: str) -> str:
    """Return the digest by which texts are compared: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def slug_of(*words: str) -> str:
    """Return words as a part of a file's name."""
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in words if word)


def check_path(path: str) -> str:
    """Return a path that stays below the folder it is meant for.

    Raises:
        WrongUsage: It does not.
    """
    parts = PurePosixPath(path).parts
    if not parts or parts[0].startswith("/") or ".." in parts or "\\" in path:
        raise WrongUsage(f"the path {path!r} leaves the project", hint="give one below its folder")
    return path


def _listed(answer: Answer) -> str | bool | list[str]:
    return list(answer) if isinstance(answer, tuple) else answer


def _file_as_json(file: FileRecord) -> dict[str, Any]:
    """Return a file's part of a record; what can be left out is."""
    value: dict[str, Any] = {}
    if file.base is not None:
        value |= {"thing": file.thing, "template": file.template, "digest": file.digest}
        value |= {"hash": digest_of(file.base), "base": _lines(file.base)}
    if file.before is not None:
        value["before"] = _lines(file.before)
    if file.base is None or file.after != file.base:
        value["after"] = None if file.after is None else _lines(file.after)
    if file.is_crlf:
        value["line_ends"] = _CRLF
    return value


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _text(lines: Any) -> str:
    if not isinstance(lines, list):
        raise TypeError("a text is a list of lines")
    return "\n".join(lines)


def _record(root: Path, number: int, slug: str, value: Any) -> Record:
    if value["format"] != FORMAT:
        raise ValueError(f"its format is {value['format']}, this dolittle reads {FORMAT}")
    things = {key: _request(key, found) for key, found in value["things"].items()}
    files = {}
    for path, found in value["files"].items():
        made = things.get(str(found.get("thing", "")))
        files[_path(path)] = _file(root, path, found, made)
    return Record(number, slug, str(value["command"]), str(value["version"]), things, files)


def _request(key: str, answers: Any) -> Request | None:
    if answers is None:
        return None
    kind, _, name = key.partition(" ")
    read = {
        str(option): tuple(map(str, found)) if isinstance(found, list) else found
        for option, found in answers.items()
    }
    for option, found in read.items():
        if not isinstance(found, str | bool | tuple):
            raise TypeError(f"the answer {option!r} of {key} is neither text, list nor true")
    return Request(kind, name, read)


def _path(path: str) -> str:
    try:
        return check_path(path)
    except WrongUsage as error:
        raise ValueError(str(error)) from error


def _file(root: Path, path: str, value: Any, made: Request | None) -> FileRecord:
    before = _text(value["before"]) if "before" in value else None
    if "base" not in value:
        after = value["after"]
        is_crlf = value.get("line_ends") == _CRLF
        return FileRecord(before, None if after is None else _text(after), is_crlf=is_crlf)
    base = _base(root, path, value, made)
    after = _text(value["after"]) if "after" in value else base
    return FileRecord(
        before, after, base, str(value["thing"]), str(value["template"]), str(value["digest"])
    )


def _base(root: Path, path: str, value: Any, made: Request | None) -> str:
    """Return what a template made; if somebody has edited it, find the text again by its hash.

    Raises:
        ValueError: It is lost.
    """
    base = _text(value["base"])
    if digest_of(base) == value["hash"]:
        return base
    from dolittle_cli.scaffold.rebuild import rebuilt

    found = rebuilt(root, path, made, {path: value["hash"]})
    if found is None:
        raise ValueError(f"the base of {path} is not the text that its hash was made of")
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error)
