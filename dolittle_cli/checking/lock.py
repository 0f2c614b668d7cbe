"""``event-types.lock``: the schema of every generation of every event type, as it is deployed.

The file is JSON, committed with the code, in a stable order and without paths. Each entry has a
digest of its own, so that an entry changed by hand is noticed and a merge of two branches is not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dolittle.declarations import MARK, Place
from dolittle.events import EventType
from dolittle.runtime.definition import Definition
from dolittle_cli.checking.compatibility import differences
from dolittle_cli.checking.findings import (
    GENERATION_LOWERED,
    LOCK_OUTDATED,
    SCHEMA_BREAK,
    TYPE_REMOVED,
    Finding,
    find,
)
from dolittle_cli.checking.schema import Schema, schema_of
from dolittle_cli.errors import CommandLineError

LOCK_FILE: Final = "event-types.lock"
FORMAT: Final = 1
DIGEST_CHARACTERS: Final = 16
"""Of the SHA-256 digest of an entry: it guards against hands, not against attackers."""

UPDATE: Final = "dolittle check --update-lock"

Generations = Mapping[int, Schema]

_CONFLICT: Final = re.compile(
    r"^<{7} [^\n]*\n(?P<ours>.*?)(?:^\|{7}[^\n]*\n.*?)?^={7}\n(?P<theirs>.*?)^>{7} [^\n]*\n",
    re.MULTILINE | re.DOTALL,
)
"""What a merge leaves where both sides changed the same lines. Source: git-merge(1)."""


class LockDamaged(CommandLineError):
    """The lock file cannot be used.

    Attributes:
        line: From 1; 0 where none is known.
    """

    code = "lock-damaged"

    def __init__(self, reason: str, line: int = 0) -> None:
        self.line = line
        super().__init__(reason)


@dataclass(frozen=True)
class Declared:
    """An event type as the code has it."""

    event_type: EventType
    place: Place
    schema: Schema


@dataclass(frozen=True)
class Lock:
    """What the lock file says: for each event type id, the schema of each generation."""

    event_types: Mapping[str, Generations] = field(default_factory=dict)


def declared_types(definition: Definition) -> dict[str, Declared]:
    """Return the event types of a microservice by id."""
    found: dict[str, Declared] = {}
    for event_type in definition.event_types:
        cls: Any = definition.event_types.class_of(event_type.id)
        found[event_type.id] = Declared(event_type, cls.__dict__[MARK].place, schema_of(cls))
    return found


def read_lock(path: Path) -> Lock | None:
    """Read the lock file; ``None`` if there is none.

    Raises:
        LockDamaged: It is no lock file of this format, or an entry was changed by hand.
        OSError: It cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise LockDamaged("it is no text") from error
    return parsed_lock(text)


def parsed_lock(text: str) -> Lock:
    """Return what the text of a lock file says.

    Raises:
        LockDamaged: It is no lock file of this format, or an entry was changed by hand.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        conflict = _CONFLICT.search(text)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            raise LockDamaged("it has the conflict of a merge in it", line) from error
        raise LockDamaged(f"it is no JSON: {error.msg}", error.lineno) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        version = found.get("format") if isinstance(found, dict) else None
        raise LockDamaged(f"its format is {version!r}, this version of dolittle reads {FORMAT}")
    types = found.get("event_types")
    if not isinstance(types, dict):
        raise LockDamaged("it has no event_types")
    return Lock(
        {type_id: dict(_generations(type_id, item, text)) for type_id, item in types.items()}
    )


def both_sides(text: str) -> Lock | None:
    """Return a lock file in which a merge left conflicts with the entries of both sides.

    ``None`` where a side is damaged, or where both have another schema for one generation.
    """
    if not _CONFLICT.search(text):
        return None
    try:
        sides = [
            parsed_lock(_CONFLICT.sub(lambda found, side=side: found[side], text))  # type: ignore[misc]
            for side in ("ours", "theirs")
        ]
    except LockDamaged:
        return None
    joined: dict[str, dict[int, Schema]] = {}
    for side in sides:
        for type_id, generations in side.event_types.items():
            known = joined.setdefault(type_id, {})
            for generation, schema in generations.items():
                if known.setdefault(generation, schema) != schema:
                    return None
    return Lock(joined)


def write_lock(path: Path, lock: Lock) -> None:
    """Write the lock file, whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(lock_text(lock), encoding="utf-8")
    beside.replace(path)


def lock_text(lock: Lock) -> str:
    """Return what the lock file says, in its stable order."""
    types = {
        type_id: {
            str(generation): {
                "digest": _digest(type_id, generation, generations[generation]),
                "schema": _ordered(generations[generation]),
            }
            for generation in sorted(generations)
        }
        for type_id, generations in sorted(lock.event_types.items())
    }
    text = json.dumps({"format": FORMAT, "event_types": types}, indent=2, ensure_ascii=False)
    return text + "\n"


def locked(declared: Mapping[str, Declared], lock: Lock | None = None) -> Lock:
    """Return the lock for the code as it is; older generations are kept from the lock before."""
    known = lock.event_types if lock else {}
    return Lock(
        {
            type_id: {
                **{
                    generation: schema
                    for generation, schema in known.get(type_id, {}).items()
                    if generation < item.event_type.generation
                },
                item.event_type.generation: item.schema,
            }
            for type_id, item in declared.items()
        }
    )


@dataclass(frozen=True)
class Comparison:
    """The lock held against the code.

    Attributes:
        findings: What has changed, breaking and not.
        mended: The lock with every change that stored events survive; the rest as it was.
    """

    findings: tuple[Finding, ...]
    mended: Lock


def compare_lock(lock: Lock, declared: Mapping[str, Declared], path: Path) -> Comparison:
    """Hold a lock against the code.

    Args:
        lock: As it is committed.
        declared: The event types of the code.
        path: Of the lock file, for what is only found there.
    """
    findings: list[Finding] = []
    mended: dict[str, Generations] = {}
    fresh = locked(declared, lock).event_types
    for type_id in sorted({*lock.event_types, *declared}):
        known, item = lock.event_types.get(type_id), declared.get(type_id)
        if item is None:
            assert known is not None
            findings.append(_removed(type_id, path))
            mended[type_id] = known
            continue
        found = list(_changes(known, item))
        findings += found
        breaks = any(finding.level == "error" for finding in found)
        mended[type_id] = known if breaks and known is not None else fresh[type_id]
    return Comparison(tuple(findings), Lock(mended))


def _changes(known: Generations | None, item: Declared) -> Iterator[Finding]:
    alias, generation = item.event_type.alias, item.event_type.generation
    place = (item.place.path, item.place.line)
    fix = "write it into the lock: dolittle check --fix"
    if known is None:
        yield find(LOCK_OUTDATED, *place, f"event type {alias} is new, and not in the lock", fix)
        return
    newest = max(known)
    if generation < newest:
        yield find(
            GENERATION_LOWERED,
            *place,
            f"event type {alias} is generation {generation}, and generation {newest} is locked",
            f"go back to generation={newest}, or, if none was ever stored: {UPDATE}",
        )
    elif generation > newest:
        message = f"event type {alias} has the new generation {generation}, not in the lock"
        yield find(LOCK_OUTDATED, *place, message, fix)
    else:
        changes = differences(known[newest], item.schema)
        for change in changes:
            if change.breaks:
                yield find(
                    SCHEMA_BREAK,
                    *place,
                    f"event type {alias}: {change}",
                    f"undo it, and make generation {generation + 1} with an upcaster: "
                    f"dolittle add generation {alias}; if none was ever stored: {UPDATE}",
                )
            else:
                yield find(LOCK_OUTDATED, *place, f"event type {alias}: {change}", fix)
        if not changes and known[newest] != item.schema:
            yield find(LOCK_OUTDATED, *place, f"event type {alias} is written otherwise", fix)


def _removed(type_id: str, path: Path) -> Finding:
    return find(
        TYPE_REMOVED,
        path,
        0,
        f"no class has the event type id {type_id!r} any more",
        f'keep a class for it: @event_type("{type_id}"), or, if none is stored: {UPDATE}',
    )


def _generations(type_id: str, item: Any, text: str) -> Iterator[tuple[int, Schema]]:
    line = _line(text, type_id)
    if not isinstance(item, dict) or not item:
        raise LockDamaged(f"event type {type_id!r} has no generations", line)
    for name, entry in item.items():
        if not name.isascii() or not name.isdigit() or not isinstance(entry, dict):
            raise LockDamaged(f"event type {type_id!r} has the generation {name!r}", line)
        schema = entry.get("schema")
        if not isinstance(schema, dict) or entry.get("digest") != _digest(
            type_id, int(name), schema
        ):
            raise LockDamaged(
                f"event type {type_id!r}, generation {name}: the schema does not have its digest, "
                "it was changed by hand",
                line,
            )
        yield int(name), schema


def _digest(type_id: str, generation: int, schema: Schema) -> str:
    text = json.dumps([type_id, generation, schema], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def _ordered(value: Any) -> Any:
    """Return JSON-like values with the keys of every object sorted: the order of fields is none."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _line(text: str, type_id: str) -> int:
    """Return the line in which an event type begins, from 1; 0 if it is not found."""
    wanted = json.dumps(type_id, ensure_ascii=False)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().startswith(f"{wanted}:"):
            return number
    return 0
