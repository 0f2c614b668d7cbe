"""``dolittle events diff``: what lies between two places, and how the events there differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.commands.events.statistics import (
    Counted,
    Statistics,
    grouping,
    tallies_json,
    write_tallies,
)
from dolittle_cli.console import Console, printable
from dolittle_cli.errors import WrongUsage
from dolittle_cli.project import Place, aliases_of, open_log
from dolittle_cli.ranges import Bound, parse, select, understood

SHOWN_MAX: Final = 20
"""Event types, and event sources, that are shown; JSON has all of them."""

ALL: Final = 100_000
_OF_EVERY_EVENT: Final = ("position", "time", "commit", "index", "correlation", "version")
"""Fields in which any two events differ: not shown to people."""


async def compare_places(place: Place, text: str, *, as_json: bool) -> None:
    """Write what lies from the first place up to the second one, and how their events differ.

    Raises:
        WrongUsage: The text is no two places, or the second lies before the first.
        CommandLineError: A place lies outside the log.
    """
    first, second = _bounds(text)
    console = Console()
    aliases = aliases_of(place)
    by_type = Statistics(grouping("type", aliases))
    by_source = Statistics(grouping("source", aliases))
    async with open_log(place) as store:
        between = await select(store, SystemClock(), first, second)
        console.note(await understood(store, between))
        async for page in store.read(between):
            by_type.add(page.events)
            by_source.add(page.events)
        ends = (await _at(store, first), await _at(store, second))
    differing = _differing(ends[0], ends[1], aliases, place.tenant)
    if as_json:
        console.json(
            {
                "types": tallies_json([Counted(by_type)], "type", ALL),
                "sources": tallies_json([Counted(by_source)], "source", ALL),
                "from": _shown(ends[0], aliases, place.tenant),
                "to": _shown(ends[1], aliases, place.tenant),
                "differing": {name: list(pair) for name, pair in differing.items()},
            }
        )
        return
    write_tallies(console, [Counted(by_type)], "type", SHOWN_MAX)
    if by_source.total is not None:
        console.data("")
        write_tallies(console, [Counted(by_source)], "source", SHOWN_MAX)
    _write_differing(console, ends, differing)


def _bounds(text: str) -> tuple[Bound, Bound]:
    first, dots, second = text.partition("..")
    if not dots or not first or not second:
        raise WrongUsage(f"{text!r} is no two places", hint="write them like 3..7 or @-1h..end")
    return parse(first), parse(second)


async def _at(store: EventStore, bound: Bound) -> CommittedEvent | None:
    """Return the event at a place, or the first one behind it; ``None`` at the end."""
    async for page in store.read(await select(store, SystemClock(), bound)):
        if page.events:
            return page.events[0]
    last = await store.read_last(Selection(), 1)
    return last[0] if last else None


def _shown(event: CommittedEvent | None, aliases: Aliases, tenant: str) -> dict[str, Any] | None:
    return event_json(event, aliases, tenant) if event is not None else None


def _differing(
    first: CommittedEvent | None, second: CommittedEvent | None, aliases: Aliases, tenant: str
) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two events differ, with both values; ``None``: not there."""
    if first is None or second is None:
        return {}
    before = _flat(event_json(first, aliases, tenant))
    after = _flat(event_json(second, aliases, tenant))
    names = [*before, *(name for name in after if name not in before)]
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    }


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    content = value["content"]
    flat = {name: item for name, item in value.items() if name != "content"}
    return flat | {f"content.{name}": item for name, item in content.items()}


def _write_differing(
    console: Console,
    ends: tuple[CommittedEvent | None, CommittedEvent | None],
    differing: Mapping[str, tuple[Any, Any]],
) -> None:
    first, second = ends
    if first is None or second is None or first.position == second.position:
        return
    rows = [
        (name, _text(before), _text(after))
        for name, (before, after) in differing.items()
        if name not in _OF_EVERY_EVENT
    ]
    console.data("")
    if not rows:
        console.note(f"the events at {first.position} and {second.position} say the same")
        return
    console.table(("field", f"at {first.position}", f"at {second.position}"), rows)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return printable(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
