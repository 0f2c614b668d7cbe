"""From the lines of an export to the commits of one log, held against the rules of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from dolittle.errors import DolittleError
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit, Stream, check_size
from dolittle_cli.console import counted
from dolittle_cli.errors import CommandLineError
from dolittle_cli.exported import ExportedEvent, moment, read_line
from dolittle_cli.project import Place


@dataclass(frozen=True)
class NumberedCommit:
    """A commit of a file, and the line it begins in, from 1."""

    commit: Commit
    line: int


@dataclass(frozen=True)
class Target:
    """A log that commits of a file go to.

    Attributes:
        others: Microservices whose events in the file go to other logs.
        takes_foreign: Whether it takes events of microservices that are not its own.
    """

    place: Place
    others: frozenset[str]
    takes_foreign: bool

    @property
    def name(self) -> str:
        """The microservice's name."""
        return self.place.configuration.name


def commits_of(file: BinaryIO, target: Target) -> Iterator[NumberedCommit]:
    """Yield the commits of a file, from its start, that go to a log.

    Raises:
        CommandLineError: A line is damaged, or a commit is not whole.
    """
    place, name = target.place, target.name
    events: list[ExportedEvent] = []
    first = 0
    file.seek(0)
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        event = _event(number, line)
        if event.microservice in target.others:
            continue
        if event.microservice != name and not target.takes_foreign:
            raise _refuse_foreign(number, event.microservice, target)
        if events and events[0].commit != event.commit:
            yield _numbered(first, events, place)
            events = []
        if not events:
            first = number
        events.append(event)
    if events:
        yield _numbered(first, events, place)


def _refuse_foreign(line: int, microservice: str, target: Target) -> CommandLineError:
    if target.others:
        known = ", ".join(sorted({target.name, *target.others}))
        return refuse(
            line,
            f"the event is of the microservice {microservice!r}, which this application has not",
            f"it has: {known}; --project NAME with --foreign takes events of others too",
        )
    return refuse(
        line,
        f"the event is of the microservice {microservice!r}, not of {target.name!r}",
        "an export of an application is imported in the folder of one; --foreign takes events of "
        "other microservices too",
    )


def _event(number: int, line: bytes) -> ExportedEvent:
    try:
        return read_line(line)
    except ValueError as error:
        reason = f"{str(error)[:1].lower()}{str(error)[1:]}"
        raise refuse(number, reason, "the line is damaged, or not of an export") from error


def _numbered(line: int, events: Sequence[ExportedEvent], place: Place) -> NumberedCommit:
    first = events[0]
    _check_whole(line, events)
    if any(_shared(event) != _shared(first) for event in events):
        raise refuse(line, f"the events of commit {first.commit} do not belong together")
    commit = _commit(events, place)
    try:
        check_size(commit)
    except (DolittleError, ValueError) as error:
        raise refuse(line, str(error)) from error
    return NumberedCommit(commit, line)


def _check_whole(line: int, events: Sequence[ExportedEvent]) -> None:
    """Refuse a commit that is not whole, or not in its order."""
    first = events[0]
    indexes = [event.index for event in events]
    missing = first.commit_events - len(set(indexes))
    if missing > 0:
        raise refuse(
            line,
            f"commit {first.commit} lacks {missing:,} of its "
            f"{counted(first.commit_events, 'event')}, and a commit is imported whole",
            "export the same again with --whole-commits",
        )
    if indexes != list(range(first.commit_events)):
        raise refuse(line, f"the events of commit {first.commit} are not in their order")


def _shared(event: ExportedEvent) -> tuple[object, ...]:
    return (
        event.time,
        event.correlation,
        event.causation,
        event.microservice_version,
        event.environment,
        event.claims,
        event.handler,
    )


def _commit(events: Sequence[ExportedEvent], place: Place) -> Commit:
    first = events[0]
    return Commit(
        id=first.commit,
        events=tuple(
            EventToCommit(
                type_id=event.type_id,
                source=event.source,
                content=bytes(event.content),
                generation=event.generation,
                public=event.public,
                aggregate=event.aggregate or "",
            )
            for event in events
        ),
        context=ExecutionContext(
            microservice=place.configuration.name,
            tenant=place.tenant,
            correlation=first.correlation,
            causation=first.causation or "",
            version=first.microservice_version,
            environment=first.environment,
            claims=first.claims,
            handler=first.handler,
        ),
        expected=_expected(events),
        time=moment(first),
    )


def _expected(events: Sequence[ExportedEvent]) -> Mapping[Stream, int]:
    """Return the versions that aggregate instances have before the events."""
    found: dict[Stream, int] = {}
    for event in events:
        if event.aggregate and event.version is not None:
            found.setdefault(Stream(event.aggregate, event.source), event.version - 1)
    return found


def refuse(line: int, reason: str, hint: str = "") -> CommandLineError:
    """Return why a file is not imported, with the line that is at fault."""
    return CommandLineError(f"line {line}: {reason}; nothing was imported", hint=hint)
