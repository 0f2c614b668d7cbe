"""The ASGI application of a running microservice: built-in routes first, then the service's own."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dolittle.errors import DolittleError, WaitTimedOut
from dolittle.execution import execution_context
from dolittle.runtime.http import aggregates, events, read_models, status
from dolittle.runtime.http.call import Call, Endpoint
from dolittle.runtime.http.headers import context_for, tenant_of
from dolittle.runtime.http.metrics import Counters
from dolittle.runtime.http.problems import (
    HttpError,
    MethodNotAllowed,
    NoSuchRoute,
    internal_problem,
    problem,
    status_of,
)
from dolittle.runtime.http.routing import Match, Route, Routes, path_segments
from dolittle.runtime.http.security import Security
from dolittle.runtime.microservice import Microservice

log: Final = logging.getLogger("dolittle.http")

ROUTES: Final[tuple[Route[Endpoint], ...]] = (
    Route("POST", "/aggregates/{aggregate}/{source}/{command}", aggregates.perform, "perform"),
    Route("GET", "/aggregates/{aggregate}/{source}", aggregates.show, "aggregate"),
    Route("GET", "/projections/{projection}", read_models.page, "projection"),
    Route("GET", "/projections/{projection}/{key}", read_models.document, "document"),
    Route("GET", "/events", events.page, "events"),
    Route("POST", "/events", events.commit, "commit"),
    Route("GET", "/events/stream", events.stream, "stream"),
    Route("GET", "/health", status.health, "health"),
    Route("GET", "/metrics", status.metrics, "metrics"),
    Route("GET", "/openapi.json", status.openapi, "openapi"),
)

THREADS_MAX: Final = 32
"""Commands that may block at a time; further ones wait for one of these to end."""

_OWN_ROUTE: Final = "own"
_NO_ROUTE: Final = "none"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CONTENT_SECURITY_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class HttpApplication:
    """Serves one microservice, all its tenants, over ASGI.

    Attributes:
        closing: Set it before the server stops: streams end, and nobody waits any longer.
        counters: What was counted so far.
    """

    def __init__(self, microservice: Microservice, *, own: ASGIApp | None = None) -> None:
        """Make it.

        Args:
            microservice: Opened, with every tenant that is to be served.
            own: The service's own ASGI application; it gets what no built-in route answers.
        """
        self.closing = asyncio.Event()
        self.counters = Counters()
        self._microservice = microservice
        self._own = own
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="command")
        self._routes = Routes(ROUTES)

    def close(self) -> None:
        """Let go of the threads; a command that blocks in one is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; web sockets go to the service's own application."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket":
            if self._own is not None:
                await self._own(scope, receive, send)
                return
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def find(self, scope: Scope) -> tuple[Match[Endpoint] | None, tuple[str, ...]]:
        """Return the built-in route of a request, if it has one, and its decoded path.

        Raises:
            BadRequest: The path is not UTF-8.
            MethodNotAllowed: The path has other methods only.
            NoSuchRoute: Nothing has this path.
        """
        segments = path_segments(scope)
        found = self._routes.find(scope["method"], segments)
        if isinstance(found, Match):
            if scope["method"] == "HEAD" and found.route.endpoint is events.stream:
                raise _not_allowed(scope["method"], ("GET",))
            return found, segments
        if found:
            raise _not_allowed(scope["method"], found)
        if self._own is None:
            path = "/" + "/".join(segments)
            raise NoSuchRoute(
                f"there is nothing at {path}", hint="GET /openapi.json lists what there is"
            )
        return None, segments

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants that are served."""
        return self._microservice.tenants

    async def serve_own(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the service's own application answer."""
        assert self._own is not None
        await self._own(scope, receive, send)

    async def answer(
        self, match: Match[Endpoint], segments: tuple[str, ...], request: Request
    ) -> Response:
        """Answer a request by a built-in route, in its tenant and execution context.

        Raises:
            DolittleError: What is refused or cannot be done.
        """
        microservice = self._microservice.for_tenant(tenant_of(request.headers))
        configuration = microservice.configuration
        context = context_for(
            request.headers,
            microservice=microservice.name,
            tenant=microservice.tenant,
            version=configuration.version if configuration else "",
            environment=configuration.environment if configuration else "",
        )
        call = Call(
            request,
            match.names,
            segments,
            microservice,
            context,
            self.counters,
            self.closing,
            self._threads,
        )
        with execution_context(context):
            response = await match.route.endpoint(call)
        response.headers.setdefault("cache-control", "no-store")
        return response


class _Exchange:
    """One request and its answer: finds who answers, turns errors into problems, logs, counts."""

    def __init__(
        self, application: HttpApplication, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._application = application
        self._scope = scope
        self._receive = receive
        self._send_on = send
        self._status = 0
        self._route = _NO_ROUTE
        self._began_s = time.perf_counter()

    async def run(self) -> None:
        try:
            await self._respond()
        except DolittleError as error:
            await self._refuse(error)
        except Exception:
            log.exception("%s failed", self._line())
            if self._status:
                # The head of the answer is sent; the server ends the connection.
                raise
            await self._answer(internal_problem())
        finally:
            self._note()

    async def _respond(self) -> None:
        match, segments = self._application.find(self._scope)
        if match is None:
            self._route = _OWN_ROUTE
            await self._application.serve_own(self._scope, self._receive, self._send)
            return
        self._route = match.route.path
        request = Request(self._scope, self._receive)
        await self._answer(await self._application.answer(match, segments, request))

    async def _refuse(self, error: DolittleError) -> None:
        if self._status:
            raise error
        status = status_of(error)
        tenant = tenant_of(Request(self._scope).headers)
        known = self._application.tenants
        self._application.counters.refused[tenant if tenant in known else "", error.code] += 1
        if status >= 500 and not isinstance(error, HttpError | WaitTimedOut):
            log.error("%s: %s", self._line(), error)
        await self._answer(problem(error))

    async def _answer(self, response: Response) -> None:
        response.headers.setdefault("content-security-policy", _CONTENT_SECURITY_POLICY)
        await response(self._scope, self._receive, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._route.endswith("/stream"):
                log.info("%s %s", self._line(), self._status)
        await self._send_on(message)

    def _note(self) -> None:
        # A client may invent methods; labels of metrics are a fixed set.
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        self._application.counters.requests[self._route, method, self._status] += 1
        taken_ms = (time.perf_counter() - self._began_s) * 1_000
        level = logging.DEBUG if self._route in ("/health", "/metrics") else logging.INFO
        if self._status:
            log.log(level, "%s %s %.1f ms", self._line(), self._status, taken_ms)
        else:
            log.log(level, "%s: the client left", self._line())

    def _line(self) -> str:
        raw = self._scope.get("raw_path") or self._scope["path"].encode()
        # Undecoded, so that no control character gets into a terminal.
        return f"{self._scope['method']} {raw.decode('ascii', 'backslashreplace')}"


def secured(application: ASGIApp, hosts: frozenset[str]) -> ASGIApp:
    """Return an application behind the checks for hosts and browsers' pages."""
    return Security(application, hosts)


def _not_allowed(method: str, allowed: tuple[str, ...]) -> MethodNotAllowed:
    listed = ", ".join(allowed)
    return MethodNotAllowed(
        f"this path has no {method}", hint=f"it has: {listed}", headers={"allow": listed}
    )
