"""Shows why a handler or projection gets an event, or an event type, and why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dolittle.errors import Unknown
from dolittle.execution import SystemClock
from dolittle.runtime.event_json import event_json
from dolittle.runtime.explaining import Explanation, explain_event
from dolittle.store import CommittedEvent, Position, Selection
from dolittle_cli.console import Console, printable
from dolittle_cli.event_lines import EventLines
from dolittle_cli.graph.gathering import gather
from dolittle_cli.graph.model import PUBLIC_STREAM, node_id
from dolittle_cli.graph.seen import Seen
from dolittle_cli.processors import failing_json, lag_text, position_text, status_word
from dolittle_cli.project import Place, use
from dolittle_cli.ranges import OfEvent, position_of
from dolittle_cli.sources import read_sources

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice, ProcessorStatus

_POSITION: Final = re.compile(r"\d{1,18}", re.ASCII)
_COMMIT_ID: Final = re.compile(r"[0-9a-f]{32}")
EVENT_PREFIX: Final = "evt:"
MARKS: Final = {True: "yes", False: "no", None: "maybe"}
WIDTH: Final = 7
"""Of the column with the answer."""


async def explain_it(place: Place, what: str, *, as_json: bool) -> None:
    """Write what becomes of an event, or of the events of a type.

    Raises:
        Unknown: There is no such event or event type.
    """
    async with use(place, makes_store=False) as microservice:
        event = await _event(microservice, what)
        if event is not None:
            explanations = await explain_event(microservice, event)
            event_types = microservice.event_types
        else:
            of_type = await _explain_type(microservice, place, what)
    console = Console()
    if event is None:
        _write_type(console, of_type, as_json=as_json)
    elif as_json:
        shown = [_json(item) for item in explanations]
        found = event_json(event, event_types, place.tenant)
        stream = place.configuration.name if event.public else None
        console.json({"event": found, "id": event.id, "public_stream": stream, "processors": shown})
    else:
        EventLines(console, event_types, with_date=True).write([event], titles=True)
        console.data("")
        _write_explanations(console, explanations)
        if event.public:
            stream = f"{PUBLIC_STREAM} of {place.configuration.name}"
            why = "it is public: other microservices may read it, and are not handed it"
            _write_answer(console, True, stream, why)


async def _event(microservice: Microservice, what: str) -> CommittedEvent | None:
    """Return the event that is meant; ``None`` if an event type is.

    Raises:
        Unknown: There is no event at that position, or with that id.
    """
    store = microservice.store
    is_id = what.startswith(EVENT_PREFIX) or "/" in what or _COMMIT_ID.fullmatch(what)
    if microservice.event_types.find(what) is not None:
        return None
    if _POSITION.fullmatch(what):
        position: Position = int(what)
    elif is_id:
        bound = OfEvent(what.removeprefix(EVENT_PREFIX))
        position = await position_of(store, SystemClock(), bound)
    else:
        return None
    async for page in store.read(Selection(start=position)):
        for event in page.events:
            if event.position == position:
                return event
            break
    last = await store.read_last(Selection(), 1)
    known = f"the last one is at position {last[0].position}" if last else "there is none yet"
    raise Unknown("event at position", what, (), hint=known)


# Of one event


def _json(item: Explanation) -> dict[str, Any]:
    is_projection = item.kind == "projection"
    return {
        item.kind: item.name,
        "gets": item.gets,
        "status": item.status,
        "why": item.why,
        "method": item.method or None,
        "key" if is_projection else "partition": item.partition or None,
        "position": item.position,
        "failing": failing_json(item.failing) if item.failing else None,
    }


def _write_explanations(console: Console, explanations: list[Explanation]) -> None:
    for item in sorted(explanations, key=lambda item: item.gets is False):
        noun = "key" if item.kind == "projection" else "partition"
        where = f", {noun} {item.partition!r}" if item.partition else ""
        name = f"{item.kind} {item.name}{f'.{item.method}' if item.method else ''}{where}"
        _write_answer(console, item.gets, f"{name}: {item.status}", item.why)
    if not explanations:
        console.note("there are no handlers and no projections")


def _write_answer(console: Console, gets: bool | None, what: str, why: str) -> None:
    """Write whether it gets it, and below that why."""
    console.sentence(console.bold(MARKS[gets].ljust(WIDTH)), printable(what))
    console.sentence(" " * WIDTH, printable(why))


# Of an event type


async def _explain_type(microservice: Microservice, place: Place, name: str) -> dict[str, Any]:
    """Return what is known about an event type, in the keys of the command's JSON.

    Raises:
        Unknown: It is neither declared nor stored.
    """
    counts = await microservice.store.type_counts()
    found = microservice.event_types.find(name)
    if found is None and name not in counts:
        known = [item.alias for item in microservice.event_types]
        raise Unknown("event and no event type", name, {*known, *counts})
    event_type = found[1] if found else None
    is_public = event_type.public if event_type else None
    type_id = event_type.id if event_type else name
    definition = microservice.definition
    processors: list[Any] = [*definition.handlers.values(), *definition.projections.values()]
    return {
        "type": event_type.alias if event_type else type_id,
        "type_id": type_id,
        "generation": event_type.generation if event_type else None,
        "public": is_public,
        "public_stream": place.configuration.name if is_public else None,
        "events": counts.get(type_id, 0),
        "emitted_by": _emitters(microservice, place, event_type.alias) if event_type else [],
        "folded_by": [
            aggregate.name
            for aggregate in definition.aggregates.values()
            if found and found[0] in aggregate.folds
        ],
        "processors": [
            _of_type(declaration, type_id, await microservice.processor_status(declaration.name))
            for declaration in processors
        ],
    }


def _emitters(microservice: Microservice, place: Place, alias: str) -> list[str]:
    """Return the commands that apply an event type and the handlers that commit it."""
    configuration = place.configuration
    sources = read_sources(configuration.project, configuration.package)
    definition = microservice.definition
    graph = gather(configuration.name, configuration.project, definition, sources, Seen())
    nodes = {node.id: node for node in graph.nodes}
    event = node_id(configuration.name, "event", alias)
    return [
        edge.start.rpartition("/")[2] if nodes[edge.start].owner else nodes[edge.start].name
        for edge in graph.edges
        if edge.stop == event and edge.kind in ("applies", "commits")
    ]


def _of_type(declaration: Any, type_id: str, status: ProcessorStatus) -> dict[str, Any]:
    method = declaration.methods.get(type_id)
    is_projection = status.kind == "projection"
    if method is None:
        taken = ", ".join(item.event_class.__name__ for item in declaration.methods.values())
        why = f"it takes {taken} only"
    elif is_projection:
        why = f"@on, one read model for each {_key_text(method.key.text)}"
    else:
        order = "each event source" if declaration.partitioned else "everything"
        side = ", a side effect" if method.is_side_effect else ""
        start = ", from its first start on" if declaration.start_from == "now" else ""
        why = f"@handles, in order over {order}{side}{start}"
    return {
        status.kind: status.name,
        "gets": method is not None,
        "why": why,
        "method": method.name if method else None,
        "status": status_word(status),
        "position": status.position if status.is_started else None,
        "lag": status.behind,
        "failing": len(status.failing),
        "_status": status,
    }


def _public_text(is_public: bool | None, microservice: str | None) -> str:
    if is_public is None:
        return "-"
    return f"yes, they are in the {PUBLIC_STREAM} of {microservice}" if is_public else "no"


def _key_text(text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind == "property":
        field, _, time = rest.partition(":time:")
        return f"{field} and {time} of the commit" if time else rest
    return {"source": "event source", "function": "result of its key function"}.get(
        kind, f"key {rest!r}"
    )


def _write_type(console: Console, found: dict[str, Any], *, as_json: bool) -> None:
    rows = [(item, item.pop("_status")) for item in found["processors"]]
    if as_json:
        console.json(found)
        return
    generation = found["generation"]
    console.facts(
        [
            ("event type", found["type"]),
            ("id", found["type_id"]),
            ("generation", str(generation) if generation else "- (no class has this id)"),
            ("public", _public_text(found["public"], found["public_stream"])),
            ("events", f"{found['events']:,}"),
            ("emitted by", ", ".join(found["emitted_by"]) or "-"),
            ("folded by", ", ".join(found["folded_by"]) or "-"),
        ]
    )
    console.data("")
    for item, status in sorted(rows, key=lambda row: not row[0]["gets"]):
        method = f".{item['method']}" if item["method"] else ""
        lag = f", position {position_text(status)}, lag {lag_text(status)}" if method else ""
        what = f"{status.kind} {status.name}{method}: {status_word(status)}{lag}"
        _write_answer(console, item["gets"], what, item["why"])
    if not rows:
        console.note("there are no handlers and no projections")
