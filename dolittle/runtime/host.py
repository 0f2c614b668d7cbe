"""Hosts one microservice: loads it, serves HTTP on an open socket, delivers, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dolittle.errors import DeclarationErrors, DolittleError
from dolittle.runtime.code_places import place_of
from dolittle.runtime.configuration import Configuration, load_configuration
from dolittle.runtime.definition import Definition, load_definition
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.reports import Loaded, Serving, Tell

if TYPE_CHECKING:
    from starlette.types import ASGIApp

REQUESTS_S_MAX: Final = 3.0
"""How long requests under way may take after the host was told to stop."""

KEEP_ALIVE_S: Final = 5
"""How long an idle connection is kept."""

CONNECTIONS_MAX: Final = 1_000
"""Connections at a time, followers of the event log among them; further ones get a 503."""

_TICK_S: Final = 1.0
"""The Date header is told in seconds (Source: RFC 9110, section 6.6.1)."""

_HEAR_OUT_S: Final = 0.1
"""How long a connection that was accepted just before the end has for sending its request."""

LOG_FORMAT: Final = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
LOG_TIME_FORMAT: Final = "%H:%M:%S"


class CannotOpen(DolittleError):
    """The operating system does not let the files of events or state be opened.

    Attributes:
        path: The folder with the data.
    """

    code = "cannot-open"

    def __init__(self, path: Path, error: OSError) -> None:
        self.path = path
        super().__init__(
            f"the data in {path} cannot be opened: {error}",
            hint="free some space and try again"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "let it be a folder that this user may write to; if it is not there, it is made",
        )


@dataclass(frozen=True)
class Hosting:
    """What a host is to do.

    Attributes:
        project: The folder of the microservice's ``dolittle.toml``.
        address: What is listened on; for the ``Host`` headers that are answered.
        allowed_hosts: Further ones.
        ephemeral: Whether everything is kept in memory.
    """

    project: Path
    address: str
    port: int
    allowed_hosts: tuple[str, ...] = ()
    ephemeral: bool = False


@dataclass(frozen=True)
class LoadedService:
    """A microservice whose code is loaded and in order, with nothing opened yet."""

    configuration: Configuration
    definition: Definition
    own: ASGIApp | None


def load_service(project: Path) -> LoadedService:
    """Load the code of a microservice.

    Raises:
        ConfigurationError: ``dolittle.toml`` cannot be used.
        DeclarationErrors: The package or its ``api`` module cannot be loaded.
    """
    from dolittle.runtime.http.own_application import load_own_application

    configuration = load_configuration(project)
    definition = load_definition(configuration.package, configuration.project)
    own = load_own_application(configuration.package, configuration.project)
    return LoadedService(configuration, definition, own)


def loaded(service: LoadedService) -> Loaded:
    """Return the report that a microservice is loaded."""
    return Loaded(service.configuration.name)


async def host(
    service: LoadedService,
    hosting: Hosting,
    listener: socket.socket,
    *,
    tell: Tell,
    stop: asyncio.Event,
) -> None:
    """Serve and deliver until ``stop`` is set; then finish what is in hand and close everything.

    The socket is closed at the end.

    Raises:
        StoreError: The store of a tenant cannot be opened.
        CannotOpen: The operating system does not let its files be opened.
        DeclarationErrors: The code of the microservice failed, e.g. while a handler was made.
        OwnApplicationFailed: The service's own application could not start.
    """
    from dolittle.runtime.http.application import HttpApplication, secured
    from dolittle.runtime.http.security import allowed_hosts

    async with AsyncExitStack() as opened:
        try:
            microservices = await opened.enter_async_context(
                Microservice.open_tenants(
                    service.configuration,
                    service.definition,
                    tenants=service.configuration.tenants,
                    deliver=True,
                    ephemeral=hosting.ephemeral,
                )
            )
        except DolittleError:
            raise
        except Exception as error:
            raise _cannot_open(service, error) from error
        first = next(iter(microservices.values()))
        own = await opened.enter_async_context(_own_application(service.own, first))
        application = HttpApplication(first, own=own)
        opened.callback(application.close)
        hosts = allowed_hosts(hosting.address, hosting.port, hosting.allowed_hosts)
        async with _server(secured(application, hosts), listener, application.closing):
            tell(await _serving(service, microservices))
            await stop.wait()


def _cannot_open(service: LoadedService, error: Exception) -> Exception:
    """Return what is to be told about an error that is not ours, e.g. one of a handler's code."""
    configuration = service.configuration
    place = place_of(error, configuration.project)
    if place is not None:
        message = f"it cannot be started: {type(error).__name__}: {error}"
        return DeclarationErrors(configuration.package, [(*place, message, "")])
    if isinstance(error, OSError):
        return CannotOpen(configuration.data_path, error)
    return error


@asynccontextmanager
async def _own_application(
    app: ASGIApp | None, microservice: Microservice
) -> AsyncIterator[ASGIApp | None]:
    if app is None:
        yield None
        return
    from dolittle.runtime.http.own_application import OwnApplication

    own = OwnApplication(app, microservice)
    await own.lifespan.start()
    try:
        yield own
    finally:
        await own.lifespan.end()


@asynccontextmanager
async def _server(
    app: ASGIApp, listener: socket.socket, closing: asyncio.Event
) -> AsyncIterator[None]:
    """Serve HTTP meanwhile; at the end let requests finish, but not for longer than is said."""
    import uvicorn

    class Server(uvicorn.Server):
        """A server that leaves signals to the host."""

        has_started = asyncio.Event()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Start, and say so."""
            await super().startup(sockets)
            self.has_started.set()

        async def main_loop(self) -> None:
            """Wait for the end; wake once a second for the Date header, not ten times."""
            while not await self.on_tick(0):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closing.wait(), _TICK_S)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Accept no more; hear out who has just been accepted; then end as ever."""
            for accepting in self.servers:
                accepting.close()
            await asyncio.sleep(_HEAR_OUT_S)
            await super().shutdown(sockets)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Take no signals."""
            yield

    server = Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            limit_concurrency=CONNECTIONS_MAX,
            # uvicorn takes whole seconds here; requests under way get no longer.
            timeout_graceful_shutdown=int(REQUESTS_S_MAX),
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        started = asyncio.create_task(server.has_started.wait())
        await asyncio.wait((started, serving), return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        closing.set()
        server.should_exit = True
        await serving


async def _serving(service: LoadedService, microservices: dict[str, Microservice]) -> Serving:
    from dolittle.runtime.http.status import tenant_report

    definition = service.definition
    return Serving(
        microservice=service.configuration.name,
        event_types=[event_type.alias for event_type in definition.event_types],
        aggregates=sorted(definition.aggregates),
        handlers=sorted(definition.handlers),
        projections=sorted(definition.projections),
        tenants=[await tenant_report(item) for item in microservices.values()],
        has_own_application=service.own is not None,
    )


def configure_logging() -> None:
    """Write log lines from INFO on to stderr, unless the root logger has a handler already.

    It comes before the user's code is imported, which may configure logging as it likes.
    """
    logging.basicConfig(
        level=logging.INFO, format=LOG_FORMAT, datefmt=LOG_TIME_FORMAT, stream=sys.stderr
    )
    # Its start and stop are reported by the host, each request by the dolittle.http logger.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
