"""What ``dolittle doctor`` looks at, each finding with how to mend it."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from dolittle.errors import ConfigurationError, DeclarationErrors, DolittleError
from dolittle.runtime.configuration import FILE_NAME, Configuration, load_configuration
from dolittle.runtime.ports import LOOPBACK, PortTaken, listen
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import FailingPartition
from dolittle_cli import fixes
from dolittle_cli.fixes import Fix
from dolittle_cli.project import (
    STATE_FILE,
    STORE_FOLDER,
    Place,
    deliverer_of,
    load,
    locate,
)

PYTHON_MIN: Final = (3, 11)
INDEX_FILE: Final = "index.sqlite"
"""The index within the folder of an event store."""

TORN_FOLDER: Final = "torn"
"""The folder of an event store with copies of what was cut from a torn tail."""

Status = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to: tool, project, store …
        status: ``wrong`` keeps something from working; ``note`` is worth knowing.
        text: What was found.
        fix: How to mend it; empty where nothing is to be mended.
        apply: Does so, where that loses nothing.
    """

    group: str
    status: Status
    text: str
    fix: str = ""
    apply: Fix | None = None

    def json(self) -> dict[str, Any]:
        """Return the check as JSON-like values."""
        return {
            "group": self.group,
            "status": self.status,
            "text": self.text,
            "fix": self.fix,
            "is_fixable": self.apply is not None,
        }


async def examine(project: Path | None, tenant: str) -> AsyncIterator[Check]:
    """Look at everything, in the order in which things depend on one another.

    Args:
        project: As ``--project``.
        tenant: Only this one; empty: every configured tenant.
    """
    for check in _tool():
        yield check
    try:
        folder = locate(project)
        configuration = load_configuration(folder)
        tenants = (tenant,) if tenant else configuration.tenants
        places = [Place(configuration, name, configuration.tenant_folder(name)) for name in tenants]
    except DolittleError as error:
        group = "configuration" if isinstance(error, ConfigurationError) else "project"
        yield Check(group, "wrong", str(error), error.hint)
        return
    yield Check("project", "ok", f"{configuration.name} in {folder}")
    yield Check("configuration", "ok", f"{folder / FILE_NAME}, tenants: {', '.join(tenants)}")
    for check in (
        *_ignored(configuration),
        *_declarations(places[0]),
        *_remembered(folder),
        *_port(configuration, places),
    ):
        yield check
    for place in places:
        async for check in _store(place):
            yield check
        async for check in _state(place):
            yield check


def _tool() -> Iterator[Check]:
    yield Check("tool", "ok", f"dolittle {version('dolittle-cli')} in {sys.prefix}")
    found = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    if sys.version_info[:2] >= PYTHON_MIN:
        yield Check("python", "ok", found)
    else:
        needed = ".".join(map(str, PYTHON_MIN))
        yield Check("python", "wrong", found, f"dolittle needs Python {needed} or newer")


def _ignored(configuration: Configuration) -> Iterator[Check]:
    entry = fixes.not_ignored(configuration)
    if entry:
        yield Check(
            "project",
            "note",
            f"git would take in the data: {entry} is not in {fixes.IGNORE_FILE}",
            f"add that line to {fixes.IGNORE_FILE}",
            fixes.ignore(configuration, entry),
        )


def _declarations(place: Place) -> Iterator[Check]:
    missing = fixes.without_package(place.configuration)
    if missing is not None:
        yield Check(
            "declarations",
            "wrong",
            f"there is no package {place.configuration.package}: {missing} is missing",
            f"make it, or name another one in {FILE_NAME}: [microservice] package",
            fixes.make_package(place.configuration, missing),
        )
        return
    try:
        definition = load(place)
    except DeclarationErrors as errors:
        for path, line, message, hint in errors.problems:
            at = f"{path}:{line}" if line else path
            yield Check("declarations", "wrong", f"{at}: {message}", hint or "mend the source")
        return
    parts = [
        _count(len(list(definition.event_types)), "event type"),
        _count(len(definition.aggregates), "aggregate"),
        _count(len(definition.handlers), "handler"),
        _count(len(definition.projections), "projection"),
    ]
    yield Check("declarations", "ok", ", ".join(parts))


def _remembered(folder: Path) -> Iterator[Check]:
    from dolittle_cli.scaffold.condition import findings
    from dolittle_cli.scaffold.journal import is_unfinished

    # What a killed command has left is the first thing that is found.
    fix = fixes.take_back(folder) if is_unfinished(folder) else None
    for found in findings(folder):
        yield Check("scaffolding", found.status, found.text, found.fix, fix)
        fix = None


def _port(configuration: Configuration, places: list[Place]) -> Iterator[Check]:
    port = configuration.http_port
    try:
        listen(LOOPBACK, port).close()
    except PortTaken as error:
        if any(deliverer_of(place) for place in places):
            yield Check("port", "ok", f"port {port} is in use, and the microservice is running")
            return
        # An asked-for port has to be free for `dolittle run`; a default one moves on.
        status: Status = "wrong" if configuration.has_port else "note"
        yield Check("port", status, str(error), error.hint)
    except DolittleError as error:
        yield Check("port", "wrong", str(error), error.hint)
    else:
        yield Check("port", "ok", f"port {port} is free")


async def _store(place: Place) -> AsyncIterator[Check]:
    group = f"store of {place.tenant}"
    folder = place.folder / STORE_FOLDER
    if not place.has_store:
        yield Check(group, "ok", "not made yet: the first commit makes it")
        return
    from dolittle.engines.file import FileStore

    try:
        store = await FileStore.open(
            folder, durability=place.configuration.durability, read_only=True
        )
    except DolittleError as error:
        yield Check(group, "wrong", str(error), error.hint)
        return
    try:
        facts = await store.facts()
        damage = store.damage
    finally:
        await store.close()
    text = f"{_count(facts.events, 'event')}, {facts.size_bytes:,} bytes in {folder}"
    yield Check(group, "ok", text)
    if place.configuration.durability == "fsync":
        yield Check(group, "ok", "durability fsync: a commit that was answered is on disk")
    else:
        yield Check(
            group,
            "note",
            'durability "os": a crash of the machine may take the newest commits back',
            f'remove durability = "os" from {FILE_NAME}',
        )
    if damage is not None:
        yield Check(group, "wrong", str(damage), damage.hint)
    index = folder / INDEX_FILE
    broken = fixes.damage_of(index) if index.exists() else ""
    if broken:
        yield Check(
            group,
            "wrong",
            f"the index {index} is damaged: {broken}; it holds no data of its own",
            "delete it, it is made anew from the log",
            fixes.rebuild_index(place),
        )
    if not os.access(folder, os.W_OK):
        yield Check(group, "wrong", f"{folder} cannot be written to", "make it writable")
    torn = sorted((folder / TORN_FOLDER).glob("*"))
    if torn:
        yield Check(
            group,
            "note",
            f"{_count(len(torn), 'copy', 'copies')} of a torn tail in {torn[0].parent}: "
            "commits that were never acknowledged",
            "look at them, then delete them",
        )


async def _state(place: Place) -> AsyncIterator[Check]:
    group = f"state of {place.tenant}"
    path = place.folder / STATE_FILE
    if not path.exists():
        yield Check(group, "ok", "not made yet")
        return
    damage = fixes.damage_of(path)
    if damage:
        yield Check(
            group,
            "wrong",
            f"{path} is damaged: {damage}",
            "with --fix it is put aside, as it is by dolittle run: read models are made anew, and "
            "handlers handle their events again",
            fixes.put_state_aside(place),
        )
        return
    state = SqliteState(path)
    try:
        processors = await state.processors()
        failing = await state.failing()
    except DolittleError as error:
        yield Check(group, "wrong", str(error), error.hint)
        return
    finally:
        await state.close()
    yield Check(group, "ok", f"{_count(len({item.name for item in processors}), 'position')}")
    kinds = {item.name: item.kind for item in processors if item.kind != "shadow"}
    for row in failing:
        yield _failing(group, row, kinds.get(row.name, "handler"))
    deliverer = deliverer_of(place)
    yield Check(group, "ok", f"{deliverer or 'nobody'} delivers events now")


def _failing(group: str, row: FailingPartition, kind: str) -> Check:
    status: Status = "wrong" if row.is_parked else "note"
    waits = "parked" if row.is_parked else "tried again by itself"
    text = f"{row.name}: partition {row.partition!r} fails at position {row.position}, {waits}"
    return Check(group, status, f"{text}: {row.error}", f"see dolittle {kind}s show {row.name}")


def _count(number: int, noun: str, several: str = "") -> str:
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
