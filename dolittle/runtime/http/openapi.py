"""The OpenAPI document of a microservice, made from its declarations.

Source: OpenAPI Specification 3.1.0; its schemas are JSON Schema 2020-12.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final

from dolittle.aggregates import AggregateRootDeclaration, Command
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.definition import Definition
from dolittle.runtime.http.openapi_parts import (
    POSITION,
    header_parameter,
    parameter,
    parameters,
    path_parameter,
    put_shapes,
    query_parameter,
    ref,
)
from dolittle.runtime.http.problems import MEDIA_TYPE
from dolittle.runtime.http.schemas import Components, state_type

OPENAPI: Final = "3.1.0"

_PROBLEMS: Final = {
    "400": "The request cannot be understood: no JSON, or a header that is no id.",
    "403": "A browser asked on behalf of a page of another site.",
    "404": "There is nothing by this name.",
    "409": "A rule refused the command, or the race for the aggregate was lost.",
    "413": "The body or the commit is too large.",
    "415": "The body is not application/json.",
    "421": "The Host header names a host that is not answered for.",
    "422": "The values do not fit, or the Idempotency-Key was used for another request.",
    "500": "The microservice failed.",
    "503": "The event store or a read model is not available now.",
    "504": "The read model did not get to the position in time.",
    "507": "The disk is full.",
}
_ALWAYS: Final = ("400", "403", "404", "421", "422", "500", "503")
_WRITING: Final = (*_ALWAYS, "409", "413", "415", "507")


def openapi_document(definition: Definition, *, name: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of a microservice.

    Args:
        definition: What it declares.
        name: The microservice's name.
        version: The microservice's version; may be empty.
    """
    components = Components()
    put_shapes(components, definition)
    paths: dict[str, Any] = {}
    for aggregate in definition.aggregates.values():
        paths.update(_aggregate_paths(aggregate, components))
    for projection in definition.projections.values():
        paths.update(_projection_paths(projection, components))
    paths.update(_event_paths(components, definition))
    paths.update(_status_paths())
    return {
        "openapi": OPENAPI,
        "info": {"title": name, "version": version or "0"},
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "parameters": parameters(),
            "responses": {
                f"Problem{status}": {
                    "description": text,
                    "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
                }
                for status, text in _PROBLEMS.items()
            },
        },
    }


def _aggregate_paths(
    declaration: AggregateRootDeclaration, components: Components
) -> dict[str, Any]:
    name = declaration.name
    source = path_parameter("source", "The event source; a slash in it is written %2F.")
    state = components.add(f"{name}.state", state_type(declaration))
    paths: dict[str, Any] = {
        f"/aggregates/{name}/{{source}}": {
            "get": {
                "operationId": f"{name}.show",
                "summary": f"The state of one {name}",
                "tags": [name],
                "parameters": [source, parameter("Tenant")],
                "responses": _answers(
                    {
                        "type": "object",
                        "required": ["aggregate", "source", "version", "state"],
                        "properties": {
                            "aggregate": {"const": name},
                            "source": {"type": "string"},
                            "version": {"type": "integer", "minimum": 0},
                            "state": state,
                        },
                    },
                    _ALWAYS,
                ),
            }
        }
    }
    for command in declaration.commands.values():
        paths[f"/aggregates/{name}/{{source}}/{command.name}"] = {
            "post": _command(declaration, command, source, components)
        }
    return paths


def _command(
    declaration: AggregateRootDeclaration,
    command: Command,
    source: dict[str, Any],
    components: Components,
) -> dict[str, Any]:
    label = f"{declaration.name}.{command.name}"
    schema = components.add(label, command.arguments)
    components.schemas[label].setdefault("additionalProperties", False)
    documentation = inspect.getdoc(command.function) or ""
    return {
        "operationId": label,
        "summary": documentation.partition("\n")[0] or f"Perform {command.name}",
        "description": documentation,
        "tags": [declaration.name],
        "parameters": [source, *map(parameter, ("Tenant", "Key", "Trace", "Request"))],
        "requestBody": {
            "required": bool(components.schemas[label].get("required")),
            "content": {"application/json": {"schema": schema}},
        },
        "responses": _answers(ref("Performed"), _WRITING),
    }


def _projection_paths(declaration: ProjectionDeclaration, components: Components) -> dict[str, Any]:
    name = declaration.name
    document = components.add(f"{name}.document", declaration.cls)
    entry = {
        "type": "object",
        "required": ["key", "document"],
        "properties": {"key": {"type": "string"}, "document": document},
    }
    wait = [parameter("AfterPosition"), parameter("Timeout"), parameter("Tenant")]
    return {
        f"/projections/{name}": {
            "get": {
                "operationId": f"{name}.list",
                "summary": f"A page of the documents of {name}, sorted by key",
                "tags": [name],
                "parameters": [
                    query_parameter(
                        "after", {"type": "string"}, "The key of the last document seen."
                    ),
                    parameter("Limit"),
                    *wait,
                ],
                "responses": _answers(
                    {
                        "type": "object",
                        "required": ["documents", "next"],
                        "properties": {
                            "documents": {"type": "array", "items": entry},
                            "next": {
                                "type": ["string", "null"],
                                "description": "Give it as `after`; null: that was all.",
                            },
                        },
                    },
                    (*_ALWAYS, "504"),
                ),
            }
        },
        f"/projections/{name}/{{key}}": {
            "get": {
                "operationId": f"{name}.read",
                "summary": f"One document of {name}",
                "tags": [name],
                "parameters": [
                    path_parameter("key", "The document's key; a slash in it is written %2F."),
                    *wait,
                ],
                "responses": _answers(entry, (*_ALWAYS, "504")),
            }
        },
    }


def _event_paths(components: Components, definition: Definition) -> dict[str, Any]:
    filters = [parameter(name) for name in ("Type", "Source", "Correlation", "Tenant")]
    one = components.put("EventToCommit", {"oneOf": _events_to_commit(components, definition)})
    page = {
        "type": "object",
        "required": ["events", "next", "at_end"],
        "properties": {
            "events": {"type": "array", "items": ref("Event")},
            "next": {"type": "integer", "description": "Where reading goes on: give it as `from`."},
            "at_end": {"type": "boolean", "description": "Whether there is no more for now."},
        },
    }
    return {
        "/events": {
            "get": {
                "operationId": "events.list",
                "summary": "A page of the event log, in order",
                "tags": ["events"],
                "parameters": [
                    query_parameter("from", POSITION, "From this position on, inclusive."),
                    query_parameter("to", POSITION, "Up to this position, exclusive."),
                    parameter("Limit"),
                    *filters,
                ],
                "responses": _answers(page, _ALWAYS),
            },
            "post": {
                "operationId": "events.commit",
                "summary": "Commit an event, or several in one commit: all of them or none",
                "tags": ["events"],
                "parameters": [*map(parameter, ("Tenant", "Key", "Trace", "Request"))],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "anyOf": [one, {"type": "array", "minItems": 1, "items": one}]
                            }
                        }
                    },
                },
                "responses": _answers(ref("Committed"), _WRITING),
            },
        },
        "/events/stream": {
            "get": {
                "operationId": "events.stream",
                "summary": "The event log as server-sent events, without end",
                "tags": ["events"],
                "parameters": [
                    query_parameter(
                        "from", POSITION, "Where to begin; default: with the next event."
                    ),
                    header_parameter("Last-Event-ID", POSITION, "Go on behind this position."),
                    *filters,
                ],
                "responses": {
                    "200": {
                        "description": "Frames: `id` is the position, `data` an event.",
                        "content": {"text/event-stream": {"schema": {"type": "string"}}},
                    },
                    **_problems(_ALWAYS),
                },
            }
        },
    }


def _events_to_commit(components: Components, definition: Definition) -> list[dict[str, Any]]:
    shapes = []
    for event_type in definition.event_types:
        found = definition.event_types.find(event_type.id)
        if found is None:
            continue
        content = components.add(f"{event_type.alias}.content", found[0])
        shapes.append(
            {
                "type": "object",
                "required": ["type", "source", "content"],
                "additionalProperties": False,
                "properties": {
                    "type": {"enum": sorted({event_type.alias, event_type.id})},
                    "source": {"type": "string", "minLength": 1},
                    "content": content,
                },
            }
        )
    # A schema without alternatives is met by nothing: there is no event type yet.
    return shapes or [{"not": {}}]


def _status_paths() -> dict[str, Any]:
    def route(name: str, summary: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "get": {
                "operationId": name,
                "summary": summary,
                "tags": ["status"],
                "responses": {
                    "200": {"description": summary, "content": {media_type: {"schema": schema}}},
                    **_problems(("403", "421", "500", "503")),
                },
            }
        }

    thing = {"type": "object"}
    return {
        "/health": route("health", "Whether it runs, and how far it is", "application/json", thing),
        "/metrics": route("metrics", "Prometheus metrics", "text/plain", {"type": "string"}),
        "/openapi.json": route("openapi", "This document", "application/json", thing),
    }


def _answers(schema: dict[str, Any], problems: Iterable[str]) -> dict[str, Any]:
    answer = {"description": "Done.", "content": {"application/json": {"schema": schema}}}
    return {"200": answer, **_problems(problems)}


def _problems(statuses: Iterable[str]) -> dict[str, Any]:
    return {
        status: {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)
    }
