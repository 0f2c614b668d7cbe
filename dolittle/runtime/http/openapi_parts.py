"""The parts of an OpenAPI document that are the same for every microservice."""

from __future__ import annotations

from typing import Any, Final

from dolittle.runtime.definition import Definition
from dolittle.runtime.http.headers import ID_CHARACTERS_MAX
from dolittle.runtime.http.parameters import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    TIMEOUT_DEFAULT_S,
    TIMEOUT_MAX_S,
)
from dolittle.runtime.http.schemas import Components

POSITION: Final = {"type": "integer", "minimum": 0}


def put_shapes(components: Components, definition: Definition) -> None:
    """Add the schemas of events, answers and problems."""
    text, position = {"type": "string"}, POSITION
    maybe = {"type": ["string", "null"]}
    aliases = [event_type.alias for event_type in definition.event_types]
    event = {
        "position": position,
        "time": {"type": "string", "format": "date-time"},
        "type": {"type": "string", "examples": aliases[:1]},
        "type_id": text,
        "generation": {"type": "integer", "minimum": 1},
        "source": text,
        "aggregate": maybe,
        "version": {"type": ["integer", "null"]},
        "commit": text,
        "index": {"type": "integer", "minimum": 0},
        "correlation": text,
        "causation": maybe,
        "public": {"type": "boolean"},
        "tenant": text,
        "content": {"type": "object"},
    }
    components.put("Event", {"type": "object", "required": [*event], "properties": event})
    committed = {
        "commit": {**maybe, "description": "null: the command applied no event."},
        "position": {
            "type": ["integer", "null"],
            "description": "Of the last event: give it as `after_position`.",
        },
        "is_repeat": {
            "type": "boolean",
            "description": "Whether the Idempotency-Key had been used and this answers again.",
        },
        "events": {"type": "array", "items": ref("Event")},
    }
    components.put(
        "Committed", {"type": "object", "required": [*committed], "properties": committed}
    )
    performed = {**committed, "value": {"description": "What the command returned, as JSON."}}
    components.put(
        "Performed", {"type": "object", "required": [*performed], "properties": performed}
    )
    components.put(
        "Problem",
        {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "hint": {"type": "string", "description": "How to mend it."},
            },
        },
    )


def parameters() -> dict[str, Any]:
    """Return the parameters that several routes share, by name."""
    text = {"type": "string"}
    an_id = {"type": "string", "minLength": 1, "maxLength": ID_CHARACTERS_MAX}
    limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    timeout = {
        "type": "number",
        "minimum": 0,
        "maximum": TIMEOUT_MAX_S,
        "default": TIMEOUT_DEFAULT_S,
    }
    types = query_parameter(
        "type", {"type": "array", "items": text}, "An event type; may be repeated."
    )
    return {
        "Tenant": header_parameter("Tenant-ID", text, "Default: development."),
        "Key": header_parameter(
            "Idempotency-Key", an_id, "Becomes the commit's id: done once only."
        ),
        "Trace": header_parameter("traceparent", text, "Its trace id becomes the correlation."),
        "Request": header_parameter("X-Request-ID", an_id, "Becomes the causation."),
        "AfterPosition": query_parameter(
            "after_position", POSITION, "Wait until it has seen this event."
        ),
        "Timeout": query_parameter("timeout", timeout, "How long to wait, in seconds."),
        "Limit": query_parameter("limit", limit, "How many to return at most."),
        "Type": {**types, "style": "form", "explode": True},
        "Source": query_parameter("source", text, "Of this event source only."),
        "Correlation": query_parameter("correlation", text, "Of this correlation only."),
    }


def ref(name: str) -> dict[str, str]:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str) -> dict[str, str]:
    """Refer to a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def query_parameter(name: str, schema: Any, description: str) -> dict[str, Any]:
    """Describe a query parameter."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def header_parameter(name: str, schema: Any, description: str) -> dict[str, Any]:
    """Describe a header."""
    return {"name": name, "in": "header", "schema": schema, "description": description}


def path_parameter(name: str, description: str) -> dict[str, Any]:
    """Describe a name in the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "description": description,
    }
