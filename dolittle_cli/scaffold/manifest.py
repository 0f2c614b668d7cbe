"""The manifest: what every command generated, from what, kept in the project and committed.

One file for each command, in ``.dolittle-manifest/``, so that two branches which add different
things merge without a conflict. The state of the project is a fold over these records, as the
state of an aggregate is a fold over its events; taking a command back deletes its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dolittle_cli.scaffold.line_ends import has_crlf
from dolittle_cli.scaffold.plan import Action, FileAction, Plan
from dolittle_cli.scaffold.record import FOLDER, FileRecord, Record, read_record
from dolittle_cli.scaffold.request import Request


@dataclass(frozen=True)
class GeneratedFile:
    """A file that belongs to a thing, as the records tell.

    Attributes:
        base: What its template made.
        known: The text that a command wrote last; another one is the owner's work.
        template: Which template made it.
        digest: Of that template's text then.
        is_clean: Whether ``known`` has nothing of the owner's in it.
    """

    base: str
    known: str
    template: str
    digest: str
    is_clean: bool

    def is_untouched(self, text: str | None) -> bool:
        """Tell whether the file, with this text, has nothing of the owner's in it."""
        return self.is_clean and text == self.known


@dataclass(frozen=True)
class Thing:
    """Something that was generated, and its files.

    Attributes:
        files: By path.
        version: Of the dolittle that generated it last.
    """

    request: Request
    files: Mapping[str, GeneratedFile]
    version: str


@dataclass(frozen=True)
class Manifest:
    """All records of a project, oldest first."""

    records: tuple[Record, ...] = ()

    def things(self) -> dict[str, Thing]:
        """Return what there is, by key, in the order in which it was made."""
        return dict(self._things)

    @cached_property
    def _things(self) -> Mapping[str, Thing]:
        requests: dict[str, Request] = {}
        versions: dict[str, str] = {}
        files: dict[str, dict[str, GeneratedFile]] = {}
        for record in self.records:
            for key, made in record.things.items():
                versions[key] = record.version
                if made is None:
                    requests.pop(key, None)
                    files.pop(key, None)
                else:
                    requests[key] = made
            for path, file in record.files.items():
                _fold(files, path, file)
        return {
            key: Thing(made, files.get(key, {}), versions[key]) for key, made in requests.items()
        }

    def thing(self, key: str) -> Thing | None:
        """Return one thing; ``None``: nothing is remembered of it."""
        return self._things.get(key)

    def next_number(self) -> int:
        """Return the number of the next command."""
        return max((record.number for record in self.records), default=0) + 1


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of a project; an empty one where there is none.

    Raises:
        ManifestDamaged: A record cannot be used.
    """
    folder = root / FOLDER
    if not folder.is_dir():
        return Manifest()
    records = [read_record(path) for path in sorted(folder.iterdir()) if path.suffix == ".json"]
    return Manifest(tuple(sorted(records, key=lambda item: (item.number, item.slug))))


def record_of(
    plan: Plan,
    manifest: Manifest,
    command: str,
    slug: str,
    version: str,
    things: Mapping[str, Request | None],
    *,
    owner: str = "",
    owners: Mapping[str, str] | None = None,
) -> Record | None:
    """Return the record of a plan; ``None`` where it would tell nothing new.

    Args:
        plan: Settled, as it is written.
        manifest: What is remembered so far.
        command: As it would be typed.
        slug: Names the record's file.
        version: Of dolittle.
        things: What the command makes, changes or takes away.
        owner: The key of the thing that generated files belong to.
        owners: By path, the keys of other things that files belong to.
    """
    known = manifest.things()
    files = {}
    for item in plan.files:
        whose = (owners or {}).get(item.path, owner)
        file = file_record(item, whose)
        if item.action is Action.IDENTICAL and (file.base is None or _is_known(known, whose, item)):
            continue
        files[item.path] = file
    news = {
        key: made
        for key, made in things.items()
        if (known[key].request if key in known else None) != made
    }
    if not files and not news:
        return None
    return Record(manifest.next_number(), slug, command, version, news or things, files)


def file_record(item: FileAction, owner: str) -> FileRecord:
    """Return what a record keeps of what happens to a file.

    Args:
        item: Of a settled plan.
        owner: The key of the thing that it belongs to, if a template made it.
    """
    before = None if item.action is Action.CREATE else item.before
    after = None if item.action is Action.DELETE else item.text
    if item.generated is None:
        return FileRecord(before, after)
    made = item.generated
    return FileRecord(before, after, made.text, owner, made.template, made.digest)


def with_record(plan: Plan, record: Record | None) -> Plan:
    """Return the plan with its own record among what is written.

    The record says of each file that is deleted how its lines end, since nothing else will.
    """
    if record is None:
        return plan
    gone = {path for path, file in record.files.items() if file.after is None}
    files = {
        path: replace(file, is_crlf=path in gone and has_crlf(plan.root / path))
        for path, file in record.files.items()
    }
    record = replace(record, files=files)
    written = FileAction(Action.CREATE, record.path, record.as_text())
    return Plan(plan.root, plan.files, plan.title, plan.kept, (*plan.manifest, written))


def _fold(
    files: dict[str, dict[str, GeneratedFile]], path: str, file: FileRecord
) -> None:  # one file of one record
    for key in list(files):
        found = files[key].get(path)
        if found is None:
            continue
        if file.after is None or (file.base is not None and key != file.thing):
            del files[key][path]
        elif file.base is None:
            is_clean = found.is_untouched(file.before)
            files[key][path] = replace(found, known=file.after, is_clean=is_clean)
    if file.base is not None and file.after is not None:
        is_clean = file.after == file.base
        made = GeneratedFile(file.base, file.after, file.template, file.digest, is_clean)
        files.setdefault(file.thing, {})[path] = made


def _is_known(known: Mapping[str, Thing], owner: str, item: FileAction) -> bool:
    found = known[owner].files.get(item.path) if owner in known else None
    made = item.generated
    return found is not None and made is not None and found.base == made.text
