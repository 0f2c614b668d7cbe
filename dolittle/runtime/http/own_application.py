"""A service's own ASGI application: imported from ``<package>.api``, with its lifespan run."""

from __future__ import annotations

import asyncio
import importlib
import logging
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dolittle.errors import DeclarationErrors, DolittleError
from dolittle.runtime.code_places import place_of
from dolittle.runtime.importing import API_MODULE

log: Final = logging.getLogger("dolittle.http")

LIFESPAN_S_MAX: Final = 30.0
"""How long the application may take to start, and to end."""


class OwnApplicationFailed(DolittleError):
    """The service's own ASGI application could not start or end.

    Attributes:
        stage: ``startup`` or ``shutdown``.
    """

    code = "own-application"

    def __init__(self, stage: str, reason: str) -> None:
        self.stage, self.reason = stage, reason
        super().__init__(
            f"the service's own application failed at {stage}: {reason}",
            hint=f"see the lifespan of app in {API_MODULE}.py",
        )


def load_own_application(package: str, root: Path) -> ASGIApp | None:
    """Import ``<package>.api`` and return its ``app``; ``None`` where there is no such module.

    Args:
        package: The microservice's package; it has been imported before.
        root: The project's folder; says which frames of a traceback are the user's.

    Raises:
        DeclarationErrors: The module does not import, or has no ``app`` that can be called.
    """
    name = f"{package}.{API_MODULE}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise _does_not_import(package, name, root, error) from error
    except Exception as error:
        raise _does_not_import(package, name, root, error) from error
    app: Any = getattr(module, "app", None)
    if not callable(app):
        place = module.__file__ or str(root)
        hint = "name it so: app = Starlette(routes=[…])"
        problem = (place, 0, f"{name} has no ASGI application called app", hint)
        raise DeclarationErrors(package, [problem])
    found: ASGIApp = app
    return found


def _does_not_import(package: str, name: str, root: Path, error: Exception) -> DeclarationErrors:
    path, line = place_of(error, root) or (str(root), 0)
    message = f"{name} does not import: {type(error).__name__}: {error}"
    return DeclarationErrors(package, [(path, line, message, "")])


class Lifespan:
    """The lifespan of an ASGI application: started, kept, ended.

    Source: ASGI specification, Lifespan Protocol 2.0. An application that raises at the start
    without an answer does not support the protocol, and is served all the same.

    Attributes:
        state: What the application put into ``scope["state"]``; each request gets a copy.
    """

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self.state = state
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        self._answers: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        self._task: asyncio.Task[None] | None = None
        self._has_started = False

    async def start(self) -> None:
        """Start the application.

        Raises:
            OwnApplicationFailed: It said that it could not start, or took too long.
        """
        self._task = asyncio.create_task(self._run())
        await self._ask("startup")
        self._has_started = True

    async def end(self) -> None:
        """End the application; what goes wrong is logged, since nobody can mend it any more."""
        if self._task is None or self._task.done():
            return
        try:
            await self._ask("shutdown")
        except OwnApplicationFailed as error:
            log.error("%s", error)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self, what: str) -> None:
        assert self._task is not None
        await self._to_app.put({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait(
            (answer, self._task), timeout=LIFESPAN_S_MAX, return_when=asyncio.FIRST_COMPLETED
        )
        if not answer.done():
            answer.cancel()
            if self._task.done():
                return
            raise OwnApplicationFailed(what, f"it has not answered in {LIFESPAN_S_MAX:g} s")
        message = answer.result()
        if message["type"] == f"lifespan.{what}.failed":
            raise OwnApplicationFailed(what, message.get("message") or "it gave no reason")

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._to_app.get, self._answers.put)
        except Exception as error:
            if self._has_started:
                log.exception("the own application broke off its lifespan")
            else:
                log.debug("the own application has no lifespan: %s", error)


class OwnApplication:
    """Serves what no built-in route answers."""

    def __init__(self, app: ASGIApp, microservice: Any) -> None:
        """Make it.

        Args:
            app: The service's ASGI application.
            microservice: Reachable for the application as ``request.state.microservice``.
        """
        self._app = app
        self.lifespan = Lifespan(app, {"microservice": microservice})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a web socket."""
        await self._app({**scope, "state": dict(self.lifespan.state)}, receive, send)
