"""Writes a scenario as a test: given what had happened, when a command, then what it came to.

Only what holds with the code as it is now is written: every command is performed, and every read
model folded, before the test is.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from dolittle.aggregates import AggregateRootDeclaration, Command
from dolittle.store import CommittedEvent, Selection
from dolittle.testing import GivenEvents, given, given_events
from dolittle_cli.errors import CommandLineError
from dolittle_cli.python_source import INDENT, PythonSource

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

HISTORY_MAX: Final = 100
"""Earlier events of an aggregate instance in one test; of more, no test is written."""

READ_MODELS_MAX: Final = 20
"""Read models of one projection in the test."""

COMMITS_MAX: Final = 100
"""Commits in the test: it is read by people."""


async def write_test(
    microservice: Microservice, name: str, commits: Sequence[Sequence[CommittedEvent]]
) -> str:
    """Return the source of a test.

    Args:
        microservice: Whose classes are used.
        name: Of the scenario.
        commits: The recorded events by commit.

    Raises:
        CommandLineError: There is nothing to test, or too much.
        UnreadableEvent: An event cannot be read by its class.
    """
    if len(commits) > COMMITS_MAX:
        raise CommandLineError(
            f"a test has at most {COMMITS_MAX} commits, these are {len(commits):,}",
            hint="choose fewer with --from, --to, --type and --source",
        )
    source = PythonSource()
    functions = [text async for text in _commands(microservice, commits, source)]
    functions += _read_models(microservice, name, commits, source)
    if not functions:
        raise CommandLineError(
            "there is nothing to test: no command of an aggregate leads to these events, "
            "and no projection makes a read model of them"
        )
    imports = source.import_lines(microservice.definition.package.partition(".")[0])
    title = f'"""What the scenario {name} comes to, as it was recorded."""'
    return f"{title}\n\n{imports}\n\n\n" + "\n\n\n".join(functions) + "\n"


# Commands


async def _commands(
    microservice: Microservice, commits: Sequence[Sequence[CommittedEvent]], source: PythonSource
) -> AsyncIterator[str]:
    """Yield a test for each commit that one command of its aggregate leads to."""
    roots = {item.id: item for item in microservice.definition.aggregates.values()}
    for number, events in enumerate(commits, start=1):
        first = events[0]
        root = roots.get(first.aggregate)
        is_whole = all((e.aggregate, e.source) == (first.aggregate, first.source) for e in events)
        if root is None or not is_whole or first.version - 1 > HISTORY_MAX:
            continue
        selection = Selection(stop=first.position, aggregate=root.id, source=first.source)
        history = [
            microservice.event_types.decode(event)
            async for page in microservice.store.read(selection)
            for event in page.events
        ]
        applied = [microservice.event_types.decode(event) for event in events]
        found = _command(root, first.source, history, applied)
        if found is not None:
            yield _command_test(root, first.source, history, applied, found, number, source)


def _command(
    root: AggregateRootDeclaration, source: str, history: list[Any], applied: list[Any]
) -> tuple[Command, dict[str, Any]] | None:
    """Return the command that applies exactly these events with their fields as arguments."""
    fields = {
        name: getattr(event, name)
        for event in reversed(applied)
        for name in event.__struct_fields__
    }
    for command in root.commands.values():
        arguments = _arguments(command, fields)
        if arguments is None:
            continue
        try:
            given(root.cls, source, *history).when(command.function, **arguments).then(*applied)
        except Exception:  # noqa: BLE001 - the user's code; whatever it raises, it is not it
            continue
        return command, arguments
    return None


def _arguments(command: Command, fields: dict[str, Any]) -> dict[str, Any] | None:
    arguments: dict[str, Any] = {}
    for parameter in list(inspect.signature(command.function).parameters.values())[1:]:
        if parameter.name in fields:
            arguments[parameter.name] = fields[parameter.name]
        elif parameter.default is parameter.empty:
            return None
    return arguments


def _command_test(
    root: AggregateRootDeclaration,
    event_source: str,
    history: list[Any],
    applied: list[Any],
    found: tuple[Command, dict[str, Any]],
    number: int,
    source: PythonSource,
) -> str:
    command, arguments = found
    source.imports.setdefault("dolittle.testing", set()).add("given")
    name = source.name(root.cls)
    past = [source.value(event, 2) for event in history]
    values = [f"{key}={source.value(value, 2)}" for key, value in arguments.items()]
    expected = [source.value(event, 2) for event in applied]
    instance = source.call("given", [name, source.value(event_source), *past], 1)
    performed = source.call("instance.when", [f"{name}.{command.name}", *values], 1)
    return "\n".join(
        [
            f"def test_{_snake(command.name)}_{number}() -> None:",
            f"{INDENT}instance = {instance}",
            f"{INDENT}done = {performed}",
            f"{INDENT}{source.call('done.then', expected, 1)}",
        ]
    )


# Read models


def _read_models(
    microservice: Microservice,
    name: str,
    commits: Sequence[Sequence[CommittedEvent]],
    source: PythonSource,
) -> Iterator[str]:
    """Yield what gives the events, and a test for each projection that makes something of them."""
    events = [event for commit in commits for event in commit]
    folded = _given(microservice, events)
    if folded is None:
        return
    tests: list[str] = []
    for projection in microservice.definition.projections.values():
        documents: dict[str, Any] = folded.read_models(projection.cls)
        shown = sorted(documents.items())[:READ_MODELS_MAX]
        if not shown:
            continue
        lines = [f"def test_{_snake(projection.name)}() -> None:", f"{INDENT}events = _events()"]
        for key, document in shown:
            parts = [source.name(projection.cls), source.value(key), source.value(document, 2)]
            lines.append(f"{INDENT}{source.call('events.then_read_model', parts, 1)}")
        tests.append("\n".join(lines))
    if tests:
        yield _events_function(microservice, name, events, source)
        yield from tests


def _given(microservice: Microservice, events: Sequence[CommittedEvent]) -> GivenEvents | None:
    found: GivenEvents | None = None
    for event in events:
        value, at = microservice.event_types.decode(event), event.commit.time.astimezone(UTC)
        more = (found.and_events if found else given_events)(value, source=event.source, at=at)
        found = more
    return found


def _events_function(
    microservice: Microservice, name: str, events: Sequence[CommittedEvent], source: PythonSource
) -> str:
    source.imports.setdefault("dolittle.testing", set()).update(("GivenEvents", "given_events"))
    lines = [
        "def _events() -> GivenEvents:",
        f'{INDENT}"""The events of the scenario {name}."""',
    ]
    for number, event in enumerate(events):
        parts = [
            source.value(microservice.event_types.decode(event), 2),
            f"source={source.value(event.source)}",
            f"at={source.value(event.commit.time.astimezone(UTC))}",
        ]
        made = source.call("events.and_events" if number else "given_events", parts, 1)
        lines.append(f"{INDENT}events = {made}")
    lines.append(f"{INDENT}return events")
    return "\n".join(lines)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
