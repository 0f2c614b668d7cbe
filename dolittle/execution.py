"""Who acts, when, and on whose behalf: clock, ids and the execution context of the work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

DEVELOPMENT: Final = "development"
"""The tenant that exists without being configured."""

_LOOK_AT_CLOCK: Final = timedelta(minutes=1)
"""How long one waits before looking at the machine's clock again, which may have been set."""


class Clock(Protocol):
    """Tells the time; tests hold one still."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC."""
        ...


class Timer(Clock, Protocol):
    """A clock that can also be waited for; a test moves it on, and the waiting is over."""

    async def wait_until(self, moment: datetime) -> None:
        """Return once the time is ``moment`` (aware) or later."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time now, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock that others take as an argument

    async def wait_until(self, moment: datetime) -> None:
        """Return once the time is ``moment`` (aware) or later."""
        import asyncio  # costs 30 ms, which declarations alone need not pay

        while (left := moment - self.now()) > timedelta():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(min(left, _LOOK_AT_CLOCK).total_seconds())


@dataclass(frozen=True)
class ExecutionContext:
    """What surrounds the work under way; written into every commit.

    Attributes:
        microservice: The name of the microservice.
        tenant: The tenant's name.
        correlation: What belongs together; 32 hexadecimal digits unless a caller gave another
            string. Empty: the work begins here, and a commit takes its own id.
        causation: What caused this: an event's ``id``, a request's id, or empty.
        version: Of the microservice, e.g. ``1.2.0``; may be empty.
        environment: E.g. ``production``; may be empty.
        claims: What is known about who asked.
        handler: The id of the event handler that does the work; empty if none does.
    """

    microservice: str = ""
    tenant: str = DEVELOPMENT
    correlation: str = ""
    causation: str = ""
    version: str = ""
    environment: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)
    handler: str = ""


_Made = ExecutionContext | Callable[[], ExecutionContext]
_current: ContextVar[_Made | None] = ContextVar("dolittle_execution", default=None)


def current_context() -> ExecutionContext | None:
    """Return the execution context of the work under way, if there is one."""
    context = _current.get()
    return context() if callable(context) else context


class ExecutionContextBlock:
    """A ``with`` block; a class, for a generator costs three times as much for every event."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: _Made) -> None:
        """Do not call this; see :func:`execution_context`."""
        self._context = context
        self._token: Token[_Made | None]

    def __enter__(self) -> ExecutionContextBlock:
        """Make the context the current one."""
        self._token = _current.set(self._context)
        return self

    def change(self, context: _Made) -> None:
        """Make another context the current one for the rest of the block.

        For work that follows on work: it costs a third of another block.
        """
        _current.set(context)

    def __exit__(self, *_: object) -> None:
        """Make the one before it the current one again."""
        _current.reset(self._token)


def execution_context(context: _Made) -> ExecutionContextBlock:
    """Make a context the current one within a ``with`` block (of this task or thread).

    Args:
        context: The context, or what makes it whenever it is asked for.
    """
    return ExecutionContextBlock(context)


def new_id() -> str:
    """Return a new id: 32 hexadecimal digits that sort by time.

    The bits are those of a version 7 UUID (Source: RFC 9562, section 5.7), written without
    dashes, so that an id is also a valid trace id (Source: W3C Trace Context, section 3.2.2.3).
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"
