"""The routes of projections: a page of documents, one document, and waiting until they are new."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from dolittle.errors import Unknown
from dolittle.runtime.http.call import Call, json_response
from dolittle.runtime.http.parameters import limit, only, position, timeout_s
from dolittle.store import END

_WAITING = ("after_position", "timeout")


async def page(call: Call) -> Response:
    """Answer ``GET /projections/{projection}``."""
    query = call.request.query_params
    only(query, ("after", "limit", *_WAITING))
    count = limit(query)
    read_models = call.microservice.projection_by_name(call.names["projection"])
    await _wait(call)
    found = await read_models.raw_page(after_key=query.get("after", ""), limit=count + 1)
    documents = [{"key": key, "document": msgspec.Raw(content)} for key, content in found[:count]]
    has_more = len(found) > count
    return json_response(
        {"documents": documents, "next": documents[-1]["key"] if has_more else None}
    )


async def document(call: Call) -> Response:
    """Answer ``GET /projections/{projection}/{key}``."""
    only(call.request.query_params, _WAITING)
    name, key = call.names["projection"], call.names["key"]
    read_models = call.microservice.projection_by_name(name)
    await _wait(call)
    content = await read_models.raw(key)
    if content is None:
        raise Unknown(
            f"document of {name}",
            key,
            (),
            hint=f"GET /projections/{name} lists what there is; after a commit, "
            "wait for it with ?after_position=",
        )
    return json_response({"key": key, "document": msgspec.Raw(content)})


async def _wait(call: Call) -> None:
    """Wait until the projection has seen a position, where the request says so."""
    query = call.request.query_params
    seconds = timeout_s(query)
    if "after_position" not in query:
        return
    await call.unless_closing(
        call.microservice.wait_until_seen(
            call.names["projection"], position(query, "after_position", END), timeout_s=seconds
        )
    )
