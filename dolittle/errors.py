"""Every exception of the framework, as one tree; imports nothing of ours.

::

    DolittleError
    ├─ RuleViolation                      a rule of an aggregate refused a command
    ├─ DeclarationErrors                  all problems found when a microservice was loaded
    ├─ ConfigurationError                 path, line, column
    ├─ ProjectNotFound                    start
    ├─ PayloadDoesNotFit                  what, reason
    ├─ UnreadableEvent                    position, type_id, generation, reason
    ├─ Unknown                            kind, name, known
    ├─ NotYet                             asked, last
    ├─ WaitTimedOut                       name, position, seen, timeout_s
    ├─ ProjectionFailed                   projection, partition, position, error
    ├─ LostRace                           aggregate, source, attempts
    ├─ StateUnavailable                   path, reason
    └─ StoreError
       ├─ WrongExpectedVersion            aggregate, source, expected, actual
       ├─ CommitIdReused                  commit_id
       ├─ CommitTooLarge                  bytes_found, bytes_max
       ├─ CommitTimeRefused               commit_id, time, earliest, latest
       ├─ CommitOutcomeUnknown            commit_id, cause
       ├─ StoreFull                       path
       ├─ StoreReadOnly                   path
       ├─ StoreUnavailable                path, reason
       ├─ StoreBusy                       path, waited_s
       ├─ StoreClosed                     path
       ├─ StoreDamaged                    path, line, offset_bytes, position, reason
       └─ UnsupportedStoreFormat          path, found, supported

An error carries values; its class makes the sentence. ``str(error)`` says what happened,
``error.hint`` says how to mend it (an empty string where there is nothing to add).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar


class DolittleError(Exception):
    """The root of every error that the framework raises on purpose.

    Attributes:
        hint: How to mend it, as one sentence; may be empty.
        code: A stable, documented name of the kind of error (docs/reference/errors.md).
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class RuleViolation(DolittleError):
    """A rule of an aggregate refused a command; nothing was committed.

    Raise it from a command method: ``raise RuleViolation("We have run out of ingredients")``.
    """

    code = "rule-violation"


class DeclarationErrors(DolittleError):
    """All problems of a microservice's declarations, found together when it is loaded.

    Attributes:
        problems: One entry a problem: ``(path, line, message, hint)``. Line 0: the whole file.
    """

    code = "declarations"

    def __init__(self, package: str, problems: Sequence[tuple[str, int, str, str]]) -> None:
        self.package = package
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{package!r} cannot be loaded: {count}"]
        for path, line, message, hint in self.problems:
            lines.append(f"  {path}:{line}: {message}" if line else f"  {path}: {message}")
            if hint:
                lines.append(f"      {hint}")
        super().__init__("\n".join(lines), hint="mend these, then try again")


class ConfigurationError(DolittleError):
    """``dolittle.toml`` cannot be used.

    Attributes:
        path: The file.
        line: From 1; 0 where no line is known.
        column: From 1; 0 where no column is known.
    """

    code = "configuration"

    def __init__(
        self, path: Path, reason: str, *, line: int = 0, column: int = 0, hint: str = ""
    ) -> None:
        self.path, self.line, self.column = path, line, column
        place = f"{path}"
        if line:
            place += f":{line}:{column}" if column else f":{line}"
        super().__init__(f"{place}: {reason}", hint=hint)


class ProjectNotFound(DolittleError):
    """There is no ``dolittle.toml`` in a folder or in any folder above it."""

    code = "no-project"

    def __init__(self, start: Path) -> None:
        self.start = start
        super().__init__(
            f"no dolittle.toml in {start} or in any folder above it",
            hint="go into a project's folder, name one with --project DIR, "
            "or make one: dolittle new microservice NAME",
        )


class PayloadDoesNotFit(DolittleError):
    """Values do not fit the fields of an event type or the arguments of a command.

    Attributes:
        what: What they were meant for, e.g. ``event type DishPrepared``.
        reason: What does not fit, with the field's name.
    """

    code = "payload"

    def __init__(self, what: str, reason: str, *, hint: str = "") -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what}: {reason}", hint=hint)


class UnreadableEvent(DolittleError):
    """A stored event cannot be turned into its class."""

    code = "unreadable-event"

    def __init__(self, position: int, type_id: str, generation: int, reason: str) -> None:
        self.position, self.type_id, self.generation = position, type_id, generation
        self.reason = reason
        super().__init__(
            f"the event at position {position} ({type_id}, generation {generation}) "
            f"cannot be read: {reason}",
            hint="the class no longer fits what is stored: "
            "give new fields a default, or make a new generation of the event type",
        )


class Unknown(DolittleError):
    """A name that nothing has.

    Attributes:
        kind: What was looked for: ``aggregate``, ``command``, ``event type`` …
        name: What was asked for.
        known: The names that exist.
    """

    code = "unknown"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        super().__init__(f"there is no {kind} {name!r}", hint=hint or suggest(name, self.known))


class NotYet(DolittleError):
    """A version, a position or a time beyond what has happened so far.

    Attributes:
        asked: What was asked for, e.g. ``version 7 of Kitchen 'Dolittle Tacos'``.
        last: How far it has come, e.g. ``the last is version 3``.
    """

    code = "not-yet"

    def __init__(self, asked: str, last: str, *, hint: str = "") -> None:
        self.asked, self.last = asked, last
        super().__init__(f"{asked} is yet to come: {last}", hint=hint)


class WaitTimedOut(DolittleError):
    """A handler or projection did not get to a position in time."""

    code = "wait-timed-out"

    def __init__(
        self, name: str, position: int, seen: int, timeout_s: float, *, kind: str = "projection"
    ) -> None:
        self.name, self.position, self.seen, self.timeout_s = name, position, seen, timeout_s
        self.kind = kind
        super().__init__(
            f"{name} had not seen position {position} after {timeout_s:g} s "
            f"(it has seen everything before {seen})",
            hint="is the microservice running (dolittle run)? "
            f"Otherwise ask what holds it up: dolittle {kind}s show {name}",
        )


class ProjectionFailed(DolittleError):
    """The read model that was waited for is held up by an event that cannot be projected."""

    code = "projection-failed"

    def __init__(self, projection: str, partition: str, position: int, error: str) -> None:
        self.projection, self.partition, self.position = projection, partition, position
        super().__init__(
            f"{projection} could not handle the event at position {position} "
            f"for key {partition!r}: {error}",
            hint=f"see dolittle projections show {projection}; mend the projection, "
            f"then dolittle projections retry {projection}",
        )


class LostRace(DolittleError):
    """A command lost the race for its aggregate again and again; nothing was committed."""

    code = "lost-race"

    def __init__(self, aggregate: str, source: str, attempts: int) -> None:
        self.aggregate, self.source, self.attempts = aggregate, source, attempts
        super().__init__(
            f"{aggregate} {source!r} was changed by others each of the {attempts} times "
            "that this command was tried",
            hint="try again; if it keeps happening, the aggregate is too busy: split it",
        )


class StateUnavailable(DolittleError):
    """Positions and read models cannot be read or written; events are not concerned."""

    code = "state-unavailable"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"positions and read models cannot be used, in {path}: {reason}",
            hint="make room on the disk, or make the folder writable for this user; "
            "events are not concerned, and what is lost here is made anew from them",
        )


class StoreError(DolittleError):
    """The root of everything that an event store refuses or cannot do."""

    code = "store"


class WrongExpectedVersion(StoreError):
    """An aggregate instance had another version than the commit expected; nothing was written."""

    code = "wrong-expected-version"

    def __init__(self, aggregate: str, source: str, expected: int, actual: int) -> None:
        self.aggregate, self.source = aggregate, source
        self.expected, self.actual = expected, actual
        super().__init__(
            f"{aggregate} {source!r} is at version {actual}, the commit expected {expected}",
            hint="someone else committed first: load the aggregate again and retry",
        )


class CommitIdReused(StoreError):
    """A commit id that is taken came back with other events; nothing was written."""

    code = "commit-id-reused"

    def __init__(self, commit_id: str) -> None:
        self.commit_id = commit_id
        super().__init__(
            f"commit {commit_id!r} exists already, with other events",
            hint="a commit id (Idempotency-Key) names one commit for ever: take a new one",
        )


class CommitTooLarge(StoreError):
    """A commit is larger than the store takes; nothing was written."""

    code = "commit-too-large"

    def __init__(self, found: int, limit: int, unit: str) -> None:
        self.found, self.limit, self.unit = found, limit, unit
        super().__init__(
            f"a commit may have at most {limit:,} {unit}, this one has {found:,}",
            hint="split it into several commits, or keep large data elsewhere and commit its name",
        )


class CommitTimeRefused(StoreError):
    """A commit brought a time of its own that the log cannot give it; nothing was written.

    Attributes:
        time: That the commit brought; aware, as the others are.
        earliest: That of the last event of the log.
        latest: The time now.
    """

    code = "commit-time-refused"

    def __init__(
        self, commit_id: str, time: datetime, earliest: datetime, latest: datetime
    ) -> None:
        self.commit_id, self.time = commit_id, time
        self.earliest, self.latest = earliest, latest
        if time > latest:
            reason = f"it is {latest.isoformat()} now"
            hint = "a log with a time in the future would give it to every commit until then"
        else:
            reason = f"the last event of the log is of {earliest.isoformat()}"
            hint = "time never goes back within a log: import what is older first"
        super().__init__(
            f"commit {commit_id!r} cannot be of {time.isoformat()}: {reason}", hint=hint
        )


class CommitOutcomeUnknown(StoreError):
    """The store cannot say whether a commit is on disk.

    Open the store again and commit once more with the same commit id: if the first try
    was stored, its answer is given again, otherwise the commit is made now.
    """

    code = "commit-outcome-unknown"

    def __init__(self, commit_id: str, reason: str) -> None:
        self.commit_id, self.reason = commit_id, reason
        super().__init__(
            f"it is unknown whether commit {commit_id!r} was stored: {reason}",
            hint="start again and repeat the commit with the same commit id: "
            "it is stored once, whatever happened",
        )


class StoreFull(StoreError):
    """The disk is full; the commit was not stored, and what was stored before is intact."""

    code = "store-full"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"no space left for the event store in {path}; the commit was not stored",
            hint="free some space and try again; reading goes on, nothing was lost",
        )


class StoreReadOnly(StoreError):
    """The store's folder cannot be written to."""

    code = "store-read-only"

    def __init__(self, path: Path, reason: str = "permission denied") -> None:
        self.path = path
        super().__init__(
            f"cannot write to the event store in {path}: {reason}",
            hint="make the folder writable for this user",
        )


class StoreUnavailable(StoreError):
    """The store cannot be opened where it is, for a reason that lies outside of it."""

    code = "store-unavailable"

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"the event store in {path} cannot be opened: {reason}",
            hint="look at that path and each folder above it: something else may stand there, "
            "or the disk fails",
        )


class StoreBusy(StoreError):
    """Another process held the store's lock for too long."""

    code = "store-busy"

    def __init__(self, path: Path, waited_s: float) -> None:
        self.path, self.waited_s = path, waited_s
        super().__init__(
            f"another process has held the lock of the event store in {path} "
            f"for more than {waited_s:g} s",
            hint="look for a stopped or hanging process that uses this store",
        )


class StoreClosed(StoreError):
    """The store was used after it was closed, or after an error that ended it."""

    code = "store-closed"

    def __init__(self, path: Path | str, reason: str = "it was closed") -> None:
        self.path = path
        super().__init__(
            f"the event store {path} takes no more commits: {reason}",
            hint="open it again (restart the process)",
        )


class StoreDamaged(StoreError):
    """Data that had been stored and acknowledged cannot be read any more.

    Attributes:
        path: The file.
        line: From 1; 0 where no line applies.
        offset_bytes: Where the damage begins in that file.
        position: Of the first event that is affected, as far as known.
    """

    code = "store-damaged"

    def __init__(
        self, path: Path, *, line: int, offset_bytes: int, position: int, reason: str
    ) -> None:
        self.path, self.line, self.offset_bytes = path, line, offset_bytes
        self.position, self.reason = position, reason
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(
            f"stored events are damaged at {place} (byte {offset_bytes:,}, "
            f"position {position}): {reason}",
            hint="nothing was changed. See all of it: dolittle events verify. "
            "Restore that file from a backup, or see what could be saved without one: "
            "dolittle events repair --dry-run",
        )


class UnsupportedStoreFormat(StoreError):
    """The store was written by a version of dolittle with another format."""

    code = "store-format"

    def __init__(self, path: Path, found: object, supported: int) -> None:
        self.path, self.found, self.supported = path, found, supported
        super().__init__(
            f"the event store in {path} has format {found}, this version of dolittle "
            f"reads format {supported}",
            hint="nothing was changed. Use the version of dolittle that wrote it, or a newer one",
        )


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or lists what there is.

    At most ten names are listed.
    """
    names = list(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean {lowered[near[0]]}?"
    if not names:
        return "there is none yet"
    listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return f"there is: {listed}"
