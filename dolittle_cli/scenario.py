"""Scenarios: recorded commits in a file that a person can read, change and play again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from dolittle.store import CommittedEvent
from dolittle_cli.errors import CommandLineError, WrongUsage

FOLDER: Final = "scenarios"
FORMAT: Final = 1
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class ScenarioEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a scenario; its type by alias or stored id."""

    type: str
    generation: int = 1
    source: str
    aggregate: str = ""
    public: bool = False
    content: msgspec.Raw


class ScenarioCommit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One commit of a scenario: a line of its file.

    Attributes:
        after_s: Seconds after the commit on the line before, at original speed.
        caused_by: What caused it, if that is in the scenario: the number of a commit from 1, a
            slash, and the event's place in it from 0. Handlers make such commits by themselves.
        together: Commits with the same number had the same correlation; 0: it had its own.
    """

    after_s: float = 0.0
    caused_by: str = ""
    together: int = 0
    events: list[ScenarioEvent]


class ScenarioHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a scenario's file."""

    scenario: str
    format: int
    microservice: str
    recorded: str


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        lines: The line of each commit in the file, from 1.
    """

    header: ScenarioHeader
    commits: tuple[ScenarioCommit, ...]
    lines: tuple[int, ...] = ()


def scenario_path(project: Path, name: str) -> Path:
    """Return the file of a scenario.

    Raises:
        WrongUsage: The name names no file.
    """
    if not NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} is no name for a scenario",
            hint="it names a file: small letters, digits, - and _, at most 63",
        )
    return project / FOLDER / f"{name}.jsonl"


def recorded(
    commits: Sequence[Sequence[CommittedEvent]],
    alias_of: Callable[[str], str],
    *,
    name: str,
    microservice: str,
    now: str,
) -> Scenario:
    """Return a scenario of some commits.

    Args:
        commits: The events of each, in order.
        alias_of: Tells an event type's alias for its id.
        name: Of the scenario.
        microservice: Whose events they are.
        now: When it was recorded.
    """
    numbers: dict[str, int] = {}
    correlations = [events[0].commit.correlation for events in commits]
    together = {
        correlation: number
        for number, correlation in enumerate(
            [item for item in dict.fromkeys(correlations) if correlations.count(item) > 1], start=1
        )
    }
    made: list[ScenarioCommit] = []
    before: datetime | None = None
    for number, events in enumerate(commits, start=1):
        commit = events[0].commit
        numbers[commit.id] = number
        cause, _, index = commit.causation.rpartition("/")
        made.append(
            ScenarioCommit(
                after_s=(commit.time - before).total_seconds() if before else 0.0,
                caused_by=f"{numbers[cause]}/{index}" if cause in numbers else "",
                together=together.get(commit.correlation, 0),
                events=[
                    ScenarioEvent(
                        type=alias_of(event.type_id),
                        generation=event.generation,
                        source=event.source,
                        aggregate=event.aggregate,
                        public=event.public,
                        content=msgspec.Raw(event.content),
                    )
                    for event in events
                ],
            )
        )
        before = commit.time
    header = ScenarioHeader(scenario=name, format=FORMAT, microservice=microservice, recorded=now)
    return Scenario(header, tuple(made))


def write_scenario(path: Path, scenario: Scenario, *, overwrites: bool) -> None:
    """Write a scenario's file.

    Raises:
        CommandLineError: It exists already, or cannot be written.
    """
    lines = [msgspec.json.encode(item) for item in (scenario.header, *scenario.commits)]
    write_new(path, b"\n".join(lines) + b"\n", overwrites=overwrites)


def write_new(path: Path, content: bytes, *, overwrites: bool) -> None:
    """Write a file, with its folder.

    Raises:
        CommandLineError: It exists already, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb" if overwrites else "xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise CommandLineError(
            f"{path} exists already", hint="take another name, or add --overwrite"
        ) from error
    except OSError as error:
        raise CommandLineError(f"{path} cannot be written: {error.strerror}") from error


def read_scenario(path: Path) -> Scenario:
    """Read a scenario's file.

    Raises:
        CommandLineError: It is not there, or a line cannot be understood.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        known = sorted(item.stem for item in path.parent.glob("*.jsonl"))
        there = f"there is: {', '.join(known)}" if known else "dolittle events record makes one"
        raise CommandLineError(f"there is no scenario {path.stem!r}", hint=there) from error
    except OSError as error:
        raise CommandLineError(f"{path} cannot be read: {error.strerror}") from error
    header: ScenarioHeader | None = None
    commits: list[ScenarioCommit] = []
    numbers: list[int] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            if header is None:
                header = msgspec.json.decode(line, type=ScenarioHeader)
                if header.format != FORMAT:
                    raise ValueError(f"format {header.format} is not known, only {FORMAT} is")
            else:
                commits.append(_commit(line, commits))
                numbers.append(number)
        except ValueError as error:
            reason = f"{str(error)[:1].lower()}{str(error)[1:]}"
            raise CommandLineError(f"{path}:{number}: {reason}") from error
    if header is None:
        raise CommandLineError(f"{path}: it is empty")
    return Scenario(header, tuple(commits), tuple(numbers))


def _commit(line: bytes, before: Sequence[ScenarioCommit]) -> ScenarioCommit:
    commit = msgspec.json.decode(line, type=ScenarioCommit)
    if not commit.events:
        raise ValueError("a commit has at least one event")
    if commit.after_s < 0:
        raise ValueError("after_s is a number of seconds, 0 or more")
    if commit.caused_by:
        number, _, index = commit.caused_by.partition("/")
        is_known = number.isdigit() and index.isdigit() and 1 <= int(number) <= len(before)
        if not is_known or int(index) >= len(before[int(number) - 1].events):
            raise ValueError(f"caused_by {commit.caused_by!r} names no event before it")
    return commit
