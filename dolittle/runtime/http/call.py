"""One request on its way through the built-in routes, and the JSON that answers it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dolittle.execution import ExecutionContext
from dolittle.runtime.http.metrics import Counters
from dolittle.runtime.http.problems import HostStopping
from dolittle.runtime.microservice import Microservice

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """What an endpoint is given.

    Attributes:
        names: What the path named, decoded.
        segments: The whole path, decoded.
        microservice: That of the tenant that was asked for.
        context: The execution context; it is the current one meanwhile.
        threads: Runs commands that may block.
        closing: Set when the host stops: then nobody waits any longer.
    """

    request: Request
    names: Mapping[str, str]
    segments: tuple[str, ...]
    microservice: Microservice
    context: ExecutionContext
    counters: Counters
    closing: asyncio.Event
    threads: Executor

    async def in_thread(self, function: Callable[..., T], *values: Any, **named: Any) -> T:
        """Call something that may block in a thread, in the current execution context."""
        work = functools.partial(copy_context().run, function, *values, **named)
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def unless_closing(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something that may take long; give up when the host stops.

        Raises:
            HostStopping: The host stops.
        """
        task = asyncio.ensure_future(work)
        closed = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait((task, closed), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise HostStopping("the microservice is stopping", headers={"retry-after": "1"})
        finally:
            for item in (task, closed):
                item.cancel()
            await asyncio.gather(task, closed, return_exceptions=True)


Endpoint = Callable[[Call], Awaitable[Response]]


def json_response(value: Any, status: int = 200) -> Response:
    """Return any JSON-like value as a response."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
