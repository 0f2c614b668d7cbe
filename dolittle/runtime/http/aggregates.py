"""The routes of aggregates: perform a command, show the state of an instance."""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec
from starlette.responses import Response

from dolittle.aggregates import arguments_for, command_of
from dolittle.runtime.http.body import read_object
from dolittle.runtime.http.call import Call, json_response
from dolittle.runtime.http.commits import Keep, Outcome, committed_json, once
from dolittle.runtime.http.parameters import only
from dolittle.runtime.instances import AggregateInstance

log: Final = logging.getLogger("dolittle.http")


async def perform(call: Call) -> Response:
    """Answer ``POST /aggregates/{aggregate}/{source}/{command}``."""
    only(call.request.query_params, ())
    declaration = call.microservice.definition.aggregate(call.names["aggregate"])
    # An unknown name is a 404 whatever the body is, so the names are looked up first.
    command = command_of(declaration, call.names["command"])
    what = f"{declaration.name}.{command.name}"
    values = await read_object(call.request)
    arguments = arguments_for(command, values, what=what)
    handle: AggregateInstance[Any] = call.microservice.aggregate(
        declaration.cls, call.names["source"]
    )

    async def work(commit_id: str, keep: Keep) -> Outcome:
        async def performing(instance: Any, **arguments: Any) -> Any:
            if command.is_async:
                value = await command.function(instance, **arguments)
            else:
                # A command that blocks may not hold up everybody else's requests.
                value = await call.in_thread(command.function, instance, **arguments)
            value = as_json(value, f"{what} returned")
            keep(value)
            return value

        performed = await handle.perform_once(performing, commit_id, **arguments)
        return performed.events, performed.value

    committed, value = await once(call, values, work)
    return json_response({**committed_json(call, committed), "value": value})


async def show(call: Call) -> Response:
    """Answer ``GET /aggregates/{aggregate}/{source}``; an instance without events is at 0."""
    only(call.request.query_params, ())
    declaration = call.microservice.definition.aggregate(call.names["aggregate"])
    source = call.names["source"]
    instance = await call.microservice.aggregate_state(declaration.name, source)
    state = {
        name: as_json(value, f"{declaration.name}.{name} is")
        for name, value in vars(instance).items()
        if not name.startswith("_")
    }
    return json_response(
        {
            "aggregate": declaration.name,
            "source": source,
            "version": instance.version,
            "state": state,
        }
    )


def as_json(value: Any, what: str) -> Any:
    """Return a value as JSON-like values; ``None``, and a warning, where it has no such form."""
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        log.warning("%s a value that is no JSON, so null is answered: %s", what, error)
        return None
