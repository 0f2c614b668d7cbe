"""Errors as HTTP answers: which status each one has, and its ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from starlette.responses import JSONResponse

from dolittle.errors import (
    CommitIdReused,
    CommitOutcomeUnknown,
    CommitTooLarge,
    DolittleError,
    LostRace,
    PayloadDoesNotFit,
    RuleViolation,
    StateUnavailable,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    Unknown,
    WaitTimedOut,
    WrongExpectedVersion,
)

TYPE_PREFIX: Final = "urn:dolittle:problem:"
MEDIA_TYPE: Final = "application/problem+json"
"""Source: RFC 9457, section 3."""

STATUSES: Final[Mapping[type[DolittleError], int]] = {
    RuleViolation: 409,
    LostRace: 409,
    WrongExpectedVersion: 409,
    PayloadDoesNotFit: 422,
    # Source: draft-ietf-httpapi-idempotency-key-header, section 2.7.
    CommitIdReused: 422,
    Unknown: 404,
    CommitTooLarge: 413,
    WaitTimedOut: 504,
    StoreBusy: 503,
    StoreUnavailable: 503,
    StoreClosed: 503,
    StoreReadOnly: 503,
    CommitOutcomeUnknown: 503,
    StoreFull: 507,
    StateUnavailable: 503,
}
"""The status of each error; every other error is a 500."""


TITLES: Final[Mapping[str, str]] = {
    "payload": "Payload does not fit",
    "unknown": "Unknown name",
    "parameter": "Query parameter does not fit",
    "cross-site": "Request of another site",
    "misdirected": "Host is not answered for",
    "not-found": "No such path",
    "stopping": "The microservice is stopping",
    "internal": "The microservice failed",
}


class HttpError(DolittleError):
    """The root of what the HTTP interface refuses before the microservice is asked."""

    code = "request"
    status: ClassVar[int] = 400

    def __init__(
        self, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.headers = dict(headers or {})


class BadRequest(HttpError):
    """The request's target or one of its headers cannot be understood."""

    code = "bad-request"


class NotJson(HttpError):
    """The body is no JSON, or no JSON that is taken: nested too deep, a name twice."""

    code = "not-json"


class CrossSite(HttpError):
    """A web page of another site, or a program on another port, made a browser ask."""

    code = "cross-site"
    status = 403


class NoSuchRoute(HttpError):
    """Nothing answers at this path."""

    code = "not-found"
    status = 404


class MethodNotAllowed(HttpError):
    """The path exists, not with this method."""

    code = "method-not-allowed"
    status = 405


class BodyTooLarge(HttpError):
    """The body is over the limit."""

    code = "body-too-large"
    status = 413


class UnsupportedMediaType(HttpError):
    """The body's content type is not ``application/json``."""

    code = "unsupported-media-type"
    status = 415


class Misdirected(HttpError):
    """The ``Host`` header names a host that this microservice does not answer for."""

    code = "misdirected"
    status = 421


class BadParameter(HttpError):
    """A query parameter has a value that cannot be used."""

    code = "parameter"
    status = 422


class TooManyStreams(HttpError):
    """As many clients follow the event stream as may."""

    code = "too-many-streams"
    status = 503


class HostStopping(HttpError):
    """The host stops or loads its code again; what was waited for is given up."""

    code = "stopping"
    status = 503


HTTP_ERRORS: Final[tuple[type[HttpError], ...]] = (
    BadRequest,
    NotJson,
    CrossSite,
    NoSuchRoute,
    MethodNotAllowed,
    BodyTooLarge,
    UnsupportedMediaType,
    Misdirected,
    BadParameter,
    TooManyStreams,
    HostStopping,
)


def status_of(error: DolittleError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, HttpError):
        return error.status
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return 500


def title_of(code: str) -> str:
    """Return the title of a kind of error: its code as words, where those say enough."""
    return TITLES.get(code, code.replace("-", " ").capitalize())


def problem(error: DolittleError, status: int | None = None) -> JSONResponse:
    """Return an error as a problem response.

    Args:
        error: What happened.
        status: Instead of the one that this kind of error has.
    """
    content: dict[str, Any] = {
        "type": TYPE_PREFIX + error.code,
        "title": title_of(error.code),
        "status": status or status_of(error),
        "detail": str(error),
    }
    if error.hint:
        content["hint"] = error.hint
    headers = error.headers if isinstance(error, HttpError) else {}
    return JSONResponse(content, content["status"], headers=headers, media_type=MEDIA_TYPE)


def internal_problem() -> JSONResponse:
    """Return the answer to an error that nobody foresaw; what it was stands in the log only."""
    return JSONResponse(
        {
            "type": TYPE_PREFIX + "internal",
            "title": title_of("internal"),
            "status": 500,
            "detail": "the microservice failed while it answered",
            "hint": "its log says where and why",
        },
        500,
        media_type=MEDIA_TYPE,
    )
