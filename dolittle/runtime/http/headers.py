"""What the headers of a request say about the work: tenant, correlation, causation, commit id."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from starlette.datastructures import Headers

from dolittle.execution import DEVELOPMENT, ExecutionContext
from dolittle.runtime.http.problems import BadRequest

ID_CHARACTERS_MAX: Final = 200
"""Characters of an ``Idempotency-Key`` and of an ``X-Request-ID``."""

REQUEST_CLAIM: Final = "idempotent-request"
"""The claim of a commit that holds the digest of the request that asked for it."""

VALUE_CLAIM: Final = "idempotent-value"
"""The claim of a commit that holds, as JSON, what the command returned."""

_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?P<more>-.*)?"
)
_ID: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def tenant_of(headers: Headers) -> str:
    """Return the tenant that is asked for: ``Tenant-ID``, else the development tenant."""
    return headers.get("tenant-id", "").strip() or DEVELOPMENT


def trace_id(headers: Headers) -> str:
    """Return the trace id of ``traceparent``; empty where there is none or it is invalid.

    Source: W3C Trace Context, section 3.2: all-zero ids and version ``ff`` are invalid; a
    higher version is read by its first four fields; whoever gets an invalid header acts as if
    there was none.
    """
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    if found is None or found["version"] == "ff":
        return ""
    if found["version"] == "00" and found["more"]:
        return ""
    if not found["trace"].strip("0") or not found["parent"].strip("0"):
        return ""
    return found["trace"]


def request_id(headers: Headers) -> str:
    """Return what ``X-Request-ID`` says; empty where there is none.

    Raises:
        BadRequest: It is longer than ``ID_CHARACTERS_MAX`` or not printable ASCII.
    """
    return _id(headers, "x-request-id")


def idempotency_key(headers: Headers) -> str:
    """Return the ``Idempotency-Key``; empty where there is none.

    It may be written bare or as a quoted string (Source: RFC 8941, section 3.3.3).

    Raises:
        BadRequest: It is empty, longer than ``ID_CHARACTERS_MAX`` or not printable ASCII.
    """
    key = _id(headers, "idempotency-key")
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if "idempotency-key" in headers and not key:
        raise BadRequest("the header Idempotency-Key is empty", hint="give it a new id, or none")
    return key


def request_digest(method: str, path: tuple[str, ...], body: Any) -> str:
    """Return what recognises a request that is sent again: a digest of its target and its body."""
    text = msgspec.json.encode([method, list(path), body], order="deterministic")
    return hashlib.sha256(text).hexdigest()


def context_for(
    headers: Headers, *, microservice: str, tenant: str, version: str, environment: str
) -> ExecutionContext:
    """Build the execution context that a request's work runs in.

    Raises:
        BadRequest: A header holds an id that cannot be used.
    """
    return ExecutionContext(
        microservice=microservice,
        tenant=tenant,
        correlation=trace_id(headers),
        causation=request_id(headers),
        version=version,
        environment=environment,
    )


def _id(headers: Headers, name: str) -> str:
    value = headers.get(name, "").strip()
    if value and (len(value) > ID_CHARACTERS_MAX or not _ID.fullmatch(value)):
        raise BadRequest(
            f"the header {name.title()} is no id",
            hint=f"an id has 1 to {ID_CHARACTERS_MAX} printable ASCII characters",
        )
    return value
