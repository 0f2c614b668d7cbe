"""What a host tells the one who started it: loaded, serving, failed, reloading, ended.

A host in a process of its own sends these as JSON lines over a pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dolittle.errors import DolittleError

REPORT_BYTES_MAX: Final = 4 * 1024 * 1024
"""One report as a line; the problems of a package with thousands of declarations fit in."""


class ProcessorReport(msgspec.Struct, frozen=True):
    """How far a handler or projection has got.

    Attributes:
        kind: ``handler`` or ``projection``.
        lag: Events of the log that it has not passed yet.
        failing: Partitions that wait because an event could not be handled.
    """

    name: str
    kind: str
    position: int
    lag: int
    failing: int = 0


class TenantReport(msgspec.Struct, frozen=True):
    """A tenant's event log.

    Attributes:
        location: Where its data is, in words.
        durability: What an answered commit survives; ``fsync`` or a weaker word.
        held_by: Who delivers instead of this process, in words; empty: this process delivers.
    """

    tenant: str
    engine: str
    location: str
    durability: str
    events: int
    held_by: str = ""
    processors: Sequence[ProcessorReport] = ()


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The declarations are in order; the host may be told to serve."""

    microservice: str


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """The microservice answers and delivers.

    Attributes:
        event_types: Their aliases; the others are class names.
        has_own_application: Whether the service has its own ASGI application.
    """

    microservice: str
    event_types: Sequence[str]
    aggregates: Sequence[str]
    handlers: Sequence[str]
    projections: Sequence[str]
    tenants: Sequence[TenantReport]
    has_own_application: bool = False


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot be loaded or opened; what is wrong and how to mend it.

    Attributes:
        is_in_code: Whether a change of the code may mend it; a damaged store it does not.
    """

    code: str
    message: str
    hint: str = ""
    is_in_code: bool = False


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """Files have changed; the code is loaded again."""

    paths: Sequence[str]


class StillServing(msgspec.Struct, frozen=True, tag="still-serving"):
    """The changed code cannot be loaded; the code before it goes on serving."""


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """Nothing is served until a file is changed."""


class ReloadPaused(msgspec.Struct, frozen=True, tag="reload-paused"):
    """The files change without end; reloading waits until they have been quiet.

    Attributes:
        times: So many reloads within ``window_s`` seconds.
        quiet_s: For so long nothing may change.
    """

    times: int
    window_s: float
    quiet_s: float
    paths: Sequence[str]


class EndedEarly(msgspec.Struct, frozen=True, tag="ended-early"):
    """The host's process ended by itself.

    Attributes:
        reason: ``exit code 1`` or ``killed by SIGKILL``.
        again_after_s: When it is started again; 0: it is not.
    """

    reason: str
    again_after_s: float = 0.0


class TooSlow(msgspec.Struct, frozen=True, tag="too-slow"):
    """The host did not stop in time and was ended by force."""

    grace_s: float


Report = (
    Loaded
    | Serving
    | Failed
    | Changed
    | StillServing
    | Waiting
    | ReloadPaused
    | EndedEarly
    | TooSlow
)
Tell = Callable[[Report], None]

_CODES_OF_CODE: Final = frozenset({"declarations", "configuration", "own-application"})

_decoder: Final = msgspec.json.Decoder(Report)


def failed(error: DolittleError) -> Failed:
    """Return an error as a report."""
    return Failed(error.code, str(error), error.hint, error.code in _CODES_OF_CODE)


def to_line(report: Report) -> bytes:
    """Encode a report as one line."""
    return msgspec.json.encode(report) + b"\n"


def from_line(line: bytes) -> Report:
    """Decode a line.

    Raises:
        msgspec.DecodeError: It is no report.
    """
    report: Report = _decoder.decode(line)
    return report
