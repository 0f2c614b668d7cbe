"""``dolittle events trace``: the tree of what caused what, over all microservices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dolittle.errors import DolittleError, Unknown
from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json, time_json
from dolittle.runtime.explaining import Explanation, explain_event
from dolittle.store import CommittedEvent, EventStore, Selection
from dolittle_cli.aliases import Aliases
from dolittle_cli.causes import Caused, make_tree, walk
from dolittle_cli.console import Console, counted, printable, width_of
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.event_lines import content_text
from dolittle_cli.graph.gathering import gather
from dolittle_cli.graph.seen import Seen
from dolittle_cli.places import application_places
from dolittle_cli.project import Place, aliases_of, open_log, use
from dolittle_cli.ranges import At, select
from dolittle_cli.sources import read_sources

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

TIME_OF_DAY: Final = slice(11, 23)
"""Of a time as JSON, to the millisecond: what a narrow terminal has room for."""

EVENTS_MAX: Final = 2_000
"""Events in a trace; there may be more that belong together."""

_POSITION: Final = re.compile(r"\d{1,18}", re.ASCII)
_PREFIX: Final = "evt:"
_BESIDE: Final = ("not handled", "not declared")
"""What is not said of a handler or projection: that it has nothing to do with the event."""


async def trace_event(places: Sequence[Place], text: str, *, as_json: bool) -> None:
    """Write the tree of the events that belong together with one.

    Args:
        places: The microservice, or all of an application.
        text: A position, an event's or a commit's id, or a correlation.
        as_json: Write one JSON object.

    Raises:
        Unknown: Nothing of this id or correlation was committed.
        WrongUsage: A position, where there are several logs.
    """
    console = Console()
    several = places if len(places) > 1 else application_places(places[0])
    aliases = {place.configuration.name: aliases_of(place) for place in several}
    async with AsyncExitStack() as stack:
        logs = [(place, await stack.enter_async_context(open_log(place))) for place in several]
        correlation, event_id = await _find(logs, text, is_one=len(places) == 1)
        items = await _gather(console, logs, correlation)
    for place in several:
        await _explain(console, place, items)
    roots = make_tree(items)
    if as_json:
        console.json(_json(roots, correlation, aliases, several[0].tenant))
    else:
        _Tree(console, aliases, event_id, shows_names=len(several) > 1).write(roots)
        console.note(_summary(items, correlation))


async def _find(
    logs: Sequence[tuple[Place, EventStore]], text: str, *, is_one: bool
) -> tuple[str, str]:
    """Return the correlation that is meant, and the event's id if one is."""
    if _POSITION.fullmatch(text):
        if not is_one:
            raise WrongUsage(
                f"position {text} is one in each log of the application",
                hint="give an event's id, or name a microservice with --project",
            )
        event = await _at(logs[0][1], int(text))
        return event.commit.correlation, event.id
    name = text.removeprefix(_PREFIX)
    commit_id, _, index = name.partition("/")
    for _, store in logs:
        committed = await store.find_commit(commit_id)
        if committed is not None:
            for event in committed.events:
                if str(event.index) == (index or "0"):
                    return event.commit.correlation, event.id
    for _, store in logs:
        if await store.read_last(Selection(correlation=text), 1):
            return text, ""
    raise Unknown(
        "event or correlation",
        text,
        (),
        hint="dolittle events list -o wide shows the ids and correlations",
    )


async def _at(store: EventStore, position: int) -> CommittedEvent:
    selection = await select(store, SystemClock(), At(position))
    async for page in store.read(msgspec.structs.replace(selection, stop=position + 1)):
        if page.events:
            return page.events[0]
    raise CommandLineError(
        f"there is no event at position {position}", hint="see dolittle events list"
    )


async def _gather(
    console: Console, logs: Sequence[tuple[Place, EventStore]], correlation: str
) -> list[Caused]:
    """Return the events of a correlation from every log, up to ``EVENTS_MAX``."""
    items: list[Caused] = []
    for place, store in logs:
        async for page in store.read(Selection(correlation=correlation)):
            items += [Caused(place.configuration.name, event) for event in page.events]
    if len(items) > EVENTS_MAX:
        console.warning(f"{len(items):,} events belong together; the first {EVENTS_MAX:,} follow")
        items.sort(key=lambda item: item.event.commit.time)
    return items[:EVENTS_MAX]


async def _explain(console: Console, place: Place, items: Sequence[Caused]) -> None:
    """Say of the events of one microservice which handlers and projections take them."""
    own = [item for item in items if item.microservice == place.configuration.name]
    if not own:
        return
    for item in own:
        # Its id, until its name is known; for ever where no handler has it any more.
        item.maker = item.event.commit.handler
    try:
        async with use(place, makes_store=False) as microservice:
            emitters = _emitters(place, microservice)
            names = {item.id: name for name, item in microservice.definition.handlers.items()}
            for item in own:
                found = await explain_event(microservice, item.event)
                item.processors = [one for one in found if one.status not in _BESIDE]
                alias = microservice.event_types.alias(item.event.type_id)
                item.emitters = emitters.get(alias, frozenset())
                item.maker = names.get(item.maker, item.maker)
    except DolittleError as error:
        console.warning(
            f"handlers and projections of {place.configuration.name} are not shown: {error}"
        )


def _emitters(place: Place, microservice: Microservice) -> dict[str, frozenset[str]]:
    """Return by event type's alias the handlers whose source leads to it."""
    configuration = place.configuration
    sources = read_sources(configuration.project, configuration.package)
    graph = gather(
        configuration.name, configuration.project, microservice.definition, sources, Seen()
    )
    nodes = {node.id: node for node in graph.nodes}
    applied: dict[str, set[str]] = {}
    for edge in graph.edges:
        if edge.kind in ("applies", "commits"):
            applied.setdefault(edge.start, set()).add(edge.stop)
    found: dict[str, set[str]] = {}
    for edge in graph.edges:
        if nodes[edge.start].kind != "handler" or edge.kind not in ("commits", "performs"):
            continue
        events = {edge.stop} if edge.kind == "commits" else applied.get(edge.stop, set())
        for event in events:
            found.setdefault(nodes[event].name, set()).add(nodes[edge.start].name)
    return {alias: frozenset(names) for alias, names in found.items()}


# As JSON


def _json(
    roots: Sequence[Caused], correlation: str, aliases: dict[str, Aliases], tenant: str
) -> dict[str, Any]:
    """Return the keys ``correlation`` and ``events``, causes before their effects."""
    return {
        "correlation": correlation,
        "events": [
            {
                "microservice": item.microservice,
                "id": item.event.id,
                **event_json(item.event, aliases[item.microservice], tenant),
                "caused_by": item.cause.event.id if item.cause else None,
                "after_s": item.after_s,
                "handlers": item.handlers,
                "is_recorded": bool(item.maker),
                "processors": [_processor_json(found) for found in item.processors],
            }
            for item in walk(roots)
        ],
    }


def _processor_json(item: Explanation) -> dict[str, Any]:
    failing = item.failing
    return {
        "name": item.name,
        "kind": item.kind,
        "method": item.method,
        "status": item.status,
        "why": item.why,
        "error": failing.error if failing else None,
        "attempts": failing.attempts if failing else None,
    }


# For people


class _Tree:
    """Draws the tree; the event that was asked for is marked."""

    def __init__(
        self, console: Console, aliases: dict[str, Aliases], marked: str, *, shows_names: bool
    ) -> None:
        self._console = console
        self._aliases = aliases
        self._marked = marked
        self._shows_names = shows_names

    def write(self, roots: Sequence[Caused]) -> None:
        """Write the tree to stdout."""
        # Each entry: what stands before the line, what before the lines under it, and the event.
        waiting = [("", "", item) for item in reversed(roots)]
        while waiting:
            before, under, item = waiting.pop()
            self._event(before, item)
            children = self._children(item)
            lines: list[tuple[str, str, Caused]] = []
            for number, child in enumerate(children):
                is_last = number == len(children) - 1
                branch, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
                if isinstance(child, Caused):
                    lines.append((under + branch, under + rest, child))
                else:
                    self._processor(under + branch, child)
            waiting.extend(reversed(lines))

    def _children(self, item: Caused) -> list[Explanation | Caused]:
        """Return the processors of an event, then its effects."""
        return [*item.processors, *item.effects]

    def _event(self, before: str, item: Caused) -> None:
        event = item.event
        alias = printable(self._aliases[item.microservice].alias(event.type_id))
        name = f"{item.microservice} " if self._shows_names else ""
        when = time_json(event.commit.time)
        if item.after_s is not None:
            when = f"+{_duration(item.after_s)}"
        doubt = "" if item.maker else "?"
        by = f" by {printable(' or '.join(item.handlers))}{doubt}" if item.handlers else ""
        shown = self._console.bold(alias) if event.id == self._marked else alias
        mark = " *" if event.id == self._marked else ""
        head = f"{before}{shown}{mark}  {name}{event.position}  "
        kept = f"{head}{when}{by}  "
        is_narrow = self._console.is_terminal and width_of(kept) > self._console.columns
        if is_narrow and item.after_s is None:
            kept = f"{head}{when[TIME_OF_DAY]}{by}  "
        rest = f"{printable(event.source)}  {content_text(msgspec.json.decode(event.content))}"
        self._console.data(self._console.cut(kept, rest))

    def _processor(self, before: str, item: Explanation) -> None:
        text = f"{item.kind} {item.name}.{item.method}: {item.status}"
        if item.failing is not None:
            text += f" ({item.why})"
        self._console.sentence(before, printable(text), is_dim=True)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:,.1f} ms"
    return f"{seconds:,.2f} s"


def _summary(items: Sequence[Caused], correlation: str) -> str:
    times = [item.event.commit.time for item in items]
    span = _duration((max(times) - min(times)).total_seconds())
    names = sorted({item.microservice for item in items})
    count = counted(len(items), "event")
    return f"{count} in {span}, in {', '.join(names)}; correlation {correlation}"
