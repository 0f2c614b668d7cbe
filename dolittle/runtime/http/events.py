"""The routes of the event log: a page, a live stream, commit events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from dolittle.errors import PayloadDoesNotFit, Unknown
from dolittle.runtime.event_json import event_json
from dolittle.runtime.http.body import read_json
from dolittle.runtime.http.call import Call, json_response
from dolittle.runtime.http.commits import Keep, Outcome, committed_json, once
from dolittle.runtime.http.event_stream import STREAMS_MAX, frames
from dolittle.runtime.http.parameters import limit, only, position
from dolittle.runtime.http.problems import BadParameter, TooManyStreams
from dolittle.store import END, START, CommittedEvent, Selection

_FILTERS: Final = ("type", "source", "correlation")
_SHAPE: Final = '{"type": "DishPrepared", "source": "Dolittle Tacos", "content": {…}}'


async def page(call: Call) -> Response:
    """Answer ``GET /events``."""
    query = call.request.query_params
    only(query, ("from", "to", "limit", *_FILTERS))
    count = limit(query)
    selection = await _selection(call, position(query, "from", START), position(query, "to", END))
    events: list[dict[str, Any]] = []
    going_on = selection.start
    at_end = True
    async for found in call.microservice.store.read(selection):
        room = count - len(events)
        events += [_json(call, event) for event in found.events[:room]]
        if len(found.events) > room:
            # Positions may have gaps, so the next page begins where the next event stands.
            going_on = found.events[room].position
            at_end = False
            break
        going_on = found.next_position
    return json_response({"events": events, "next": going_on, "at_end": at_end})


async def stream(call: Call) -> Response:
    """Answer ``GET /events/stream`` with server-sent events."""
    query = call.request.query_params
    only(query, ("from", *_FILTERS))
    store = call.microservice.store
    after = _last_event_id(call.request.headers)
    begin = position(query, "from", START) if "from" in query else await store.head()
    selection = await _selection(call, begin, END)
    if call.counters.streams >= STREAMS_MAX:
        raise TooManyStreams(
            f"{STREAMS_MAX} clients follow the event log already", headers={"retry-after": "5"}
        )

    async def counted() -> AsyncIterator[bytes]:
        call.counters.streams += 1
        try:
            async for frame in frames(
                store,
                selection,
                after=after,
                to_json=lambda event: _json(call, event),
                closing=call.closing,
            ):
                yield frame
        finally:
            call.counters.streams -= 1

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(counted(), headers=headers, media_type="text/event-stream")


async def commit(call: Call) -> Response:
    """Answer ``POST /events``: one event, or a list of them for one commit."""
    only(call.request.query_params, ())
    body = await read_json(call.request)
    if isinstance(body, list):
        items = [_item(entry, f"event {number}") for number, entry in enumerate(body, start=1)]
    else:
        items = [_item(body, "event")]
    if not items:
        raise PayloadDoesNotFit("commit", "the list is empty", hint="a commit has 1 or more events")

    async def work(commit_id: str, _keep: Keep) -> Outcome:
        try:
            return await call.microservice.append_by_name(items, commit_id=commit_id), None
        except Unknown as error:
            # The path is right, so this is no 404: what does not fit is the body.
            raise PayloadDoesNotFit("type", str(error), hint=error.hint) from error

    committed, _ = await once(call, body, work)
    return json_response(committed_json(call, committed))


def _item(entry: Any, what: str) -> tuple[str, str, Mapping[str, Any]]:
    if not isinstance(entry, dict):
        raise PayloadDoesNotFit(what, "it is no object", hint=f"send {_SHAPE}, or a list of these")
    for name in entry:
        if name not in ("type", "source", "content"):
            raise PayloadDoesNotFit(what, f"there is no field {name!r}", hint=f"send {_SHAPE}")
    for name in ("type", "source"):
        value = entry.get(name)
        if not isinstance(value, str) or not value:
            raise PayloadDoesNotFit(what, f"{name} is missing or no text", hint=f"send {_SHAPE}")
    content = entry.get("content", {})
    if not isinstance(content, dict):
        raise PayloadDoesNotFit(what, "content is no object", hint=f"send {_SHAPE}")
    return entry["type"], entry["source"], content


async def _selection(call: Call, start: int, stop: int) -> Selection:
    query = call.request.query_params
    types = [await _type_id(call, name) for name in query.getlist("type")]
    return Selection(
        start=start,
        stop=stop,
        types=frozenset(types),
        source=query.get("source", ""),
        correlation=query.get("correlation", ""),
    )


async def _type_id(call: Call, name: str) -> str:
    """Return the stored id for an event type's name; one that only the log knows is good too."""
    event_types = call.microservice.definition.event_types
    found = event_types.find(name)
    if found is not None:
        return found[1].id
    if name in await call.microservice.store.type_counts():
        return name
    missing = Unknown("event type", name, [item.alias for item in event_types])
    raise BadParameter(str(missing), hint=missing.hint)


def _last_event_id(headers: Mapping[str, str]) -> int | None:
    """Return where a client that reconnects has got to; text that is no position is ignored."""
    text = headers.get("last-event-id", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < len(str(END)):
        return int(text)
    return None


def _json(call: Call, event: CommittedEvent) -> dict[str, Any]:
    microservice = call.microservice
    return event_json(event, microservice.definition.event_types, microservice.tenant)
