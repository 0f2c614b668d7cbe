"""The outermost layer of HTTP: which hosts are answered, and which browsers' pages may ask.

A microservice on a developer's machine is reachable for every web page that the developer
visits. Three checks keep those out, for every path, before anything else looks at the request:
the ``Host`` must be one of an exact list (a page that rebinds its own name to 127.0.0.1 sends
that name), ``Sec-Fetch-Site`` must not say that another site asks, and where a browser sends
only ``Origin``, that must be one of the same hosts. No answer carries CORS headers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dolittle.runtime.http.problems import CrossSite, HttpError, Misdirected, problem
from dolittle.runtime.ports import ANY_HOST, WILDCARD_ADDRESSES

log: Final = logging.getLogger("dolittle.http")

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_HTTP_PORT: Final = 80


def allowed_hosts(host: str, port: int, named: Iterable[str] = ()) -> frozenset[str]:
    """Return the exact ``Host`` values that are answered.

    Args:
        host: The address that is listened on.
        port: The port that is listened on.
        named: Further hosts, ``name`` (with this port, and without one) or ``name:port``;
            ``*`` stands for every host and so turns the check off.
    """
    names = [*LOOPBACK_NAMES]
    if host not in WILDCARD_ADDRESSES:
        names.append(f"[{host}]" if ":" in host else host)
    found = {f"{name}:{port}" for name in names}
    if port == _HTTP_PORT:
        found.update(names)
    for name in named:
        lowered = name.lower()
        found.add(lowered)
        if ":" not in lowered.rpartition("]")[2]:
            found.add(f"{lowered}:{port}")
    return frozenset(found)


def refusal(method: str, headers: Headers, hosts: frozenset[str]) -> Misdirected | CrossSite | None:
    """Tell why a request may not pass, or ``None`` if it may; a function of its values alone.

    Source: Fetch Metadata Request Headers (W3C), sections 2 and 5; RFC 6454, section 7.
    """
    host = headers.get("host", "").lower()
    if ANY_HOST not in hosts and host not in hosts:
        return Misdirected(
            f"this microservice does not answer for the host {host!r}",
            hint="ask for 127.0.0.1 or localhost with its port, "
            "or name the host: dolittle run --allowed-host HOST",
        )
    site = headers.get("sec-fetch-site", "").lower()
    if site:
        if site in ("same-origin", "none") or _is_navigation(method, headers):
            return None
        return CrossSite(
            f"a browser asked on behalf of a page elsewhere (Sec-Fetch-Site: {site!r})",
            hint="pages of other sites and ports may not use this microservice",
        )
    origin = headers.get("origin")
    if origin is None:
        return None
    netloc = urlsplit(origin).netloc.lower()
    # Behind a name that is not checked, a page is at home where its origin is the asked host.
    if netloc and (netloc in hosts or (ANY_HOST in hosts and netloc == host)):
        return None
    return CrossSite(
        f"a browser asked on behalf of a page elsewhere (Origin: {origin!r})",
        hint="pages of other sites and ports may not use this microservice",
    )


def _is_navigation(method: str, headers: Headers) -> bool:
    """Tell whether a person followed a link into a tab of its own: that changes nothing."""
    return (
        method in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


class Security:
    """ASGI middleware: refuses what may not pass, and adds headers to every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request; pass it on, or answer with a problem."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused: HttpError | None = refusal(scope["method"], Headers(scope=scope), self._hosts)
        if refused is not None:
            # A path may hold anything; what is logged stays one line.
            log.warning("%s %r refused: %s", scope["method"], scope["path"], refused)
            await problem(refused)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A socket can change things at any time, so it is held to the rules of a POST.
        if refusal("POST", Headers(scope=scope), self._hosts) is None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})
