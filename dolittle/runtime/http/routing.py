"""Finds the route of a request by its undecoded path, so that a name may hold a slash (%2F)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from dolittle.runtime.http.problems import BadRequest

E = TypeVar("E")


@dataclass(frozen=True)
class Route(Generic[E]):
    """One method of one path.

    Attributes:
        path: Starts with a slash; a segment in braces stands for any name:
            ``/projections/{projection}/{key}``.
        name: Names the route in the log, in metrics and in OpenAPI.
    """

    method: str
    path: str
    endpoint: E
    name: str


@dataclass(frozen=True)
class Match(Generic[E]):
    """A route that fits, and the names that its path gave, decoded."""

    route: Route[E]
    names: Mapping[str, str]


class Routes(Generic[E]):
    """The built-in routes."""

    def __init__(self, routes: Iterable[Route[E]]) -> None:
        self._routes = [(route, tuple(route.path.split("/")[1:])) for route in routes]

    def find(self, method: str, segments: tuple[str, ...]) -> Match[E] | tuple[str, ...]:
        """Return the route for a path, or the methods that the path has; none: no such path.

        Args:
            method: ``HEAD`` finds what ``GET`` finds.
            segments: Decoded; see :func:`path_segments`.
        """
        wanted = "GET" if method == "HEAD" else method
        methods: list[str] = []
        for route, pattern in self._routes:
            names = _fit(pattern, segments)
            if names is None:
                continue
            if route.method == wanted:
                return Match(route, names)
            methods += [route.method, "HEAD"] if route.method == "GET" else [route.method]
        return tuple(dict.fromkeys(methods))


def path_segments(scope: Scope) -> tuple[str, ...]:
    """Return the segments of a request's path, each one percent-decoded.

    Raises:
        BadRequest: They are not UTF-8.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    try:
        return tuple(unquote_to_bytes(segment).decode("utf-8") for segment in raw.split(b"/")[1:])
    except UnicodeDecodeError as error:
        raise BadRequest("the path is not UTF-8", hint="encode it with percent signs") from error


def _fit(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    names: dict[str, str] = {}
    for wanted, found in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not found:
                return None
            names[wanted[1:-1]] = found
        elif wanted != found:
            return None
    return names
