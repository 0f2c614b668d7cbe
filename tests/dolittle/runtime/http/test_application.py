from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dolittle.runtime.http.application import ROUTES, HttpApplication
from dolittle.runtime.http.body import BODY_BYTES_MAX
from dolittle.runtime.microservice import Microservice

POST = "/aggregates/Kitchen/T/prepare_dish"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/events", "GET, HEAD, POST"),
        ("PUT", "/aggregates/Kitchen/T/prepare_dish", "POST"),
        ("GET", "/aggregates/Kitchen/T/prepare_dish", "POST"),
        ("POST", "/projections/DishCounter", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("HEAD", "/events/stream", "GET"),
        ("OPTIONS", "/events", "GET, HEAD, POST"),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_refused(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/nothing", "/events/", "/aggregates//T", "/health/more"])
async def test_a_path_that_nothing_has_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert response.json()["type"] == "urn:dolittle:problem:not-found"


async def test_a_path_that_is_not_utf8_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/aggregates/Kitchen/%FF")
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "not-json"),
        (b"\xff", "application/json", 400, "not-json"),
        (b"NaN", "application/json", 400, "not-json"),
        (b"[" * 100_000, "application/json", 400, "not-json"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "application/json", 400, "not-json"),
        (b'{"dish": "a", "dish": "b", "chef": "c"}', "application/json", 400, "not-json"),
        (b"[1]", "application/json", 400, "not-json"),
        (b"dish=a&chef=b", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
        (b"{}", "", 415, "unsupported-media-type"),
        (b" " * (BODY_BYTES_MAX + 1), "application/json", 413, "body-too-large"),
    ],
)
async def test_a_body_that_is_not_taken_is_told_apart(
    client: httpx.AsyncClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(POST, content=body, headers=headers)
    assert response.status_code == status
    assert response.json()["type"] == f"urn:dolittle:problem:{code}"


async def test_a_body_without_an_announced_length_is_limited_too(
    client: httpx.AsyncClient,
) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * (BODY_BYTES_MAX // 16)

    headers = {"content-type": "application/json"}
    response = await client.post(POST, content=chunks(), headers=headers)
    assert response.status_code == 413


async def test_json_with_a_charset_is_json(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    body = '{"dish": "é", "chef": "x"}'.encode()
    assert (await client.post(POST, content=body, headers=headers)).status_code == 200


async def test_every_built_in_answer_has_the_headers_of_safety(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/nothing"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_requests_are_logged_with_their_path_undecoded(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="dolittle.http"):
        await client.get("/aggregates/Kitchen/a%1B%5B31mb")
    assert "GET /aggregates/Kitchen/a%1B%5B31mb 200" in caplog.text


async def own(scope: Any, receive: Any, send: Any) -> None:
    """A service's own application that says where it was asked."""
    body = f"own {scope['path']} {scope['state']['microservice'].name}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def with_own(
    microservice: Microservice, connect: Callable[[Any], httpx.AsyncClient]
) -> httpx.AsyncClient:
    from dolittle.runtime.http.own_application import OwnApplication

    return connect(HttpApplication(microservice, own=OwnApplication(own, microservice)))


@pytest.mark.parametrize("path", ["/", "/menu", "/events/other", "/aggregates"])
async def test_the_own_application_answers_what_no_built_in_route_does(
    with_own: httpx.AsyncClient, path: str
) -> None:
    assert (await with_own.get(path)).text == f"own {path} kitchen"


async def test_built_in_routes_win_over_the_own_application(with_own: httpx.AsyncClient) -> None:
    assert (await with_own.get("/health")).json()["status"] == "ok"
    assert (await with_own.delete("/events")).status_code == 405


async def test_the_own_application_is_behind_the_same_checks(with_own: httpx.AsyncClient) -> None:
    response = await with_own.get("/menu", headers={"host": "evil.test"})
    assert response.status_code == 421
    assert (await with_own.get("/menu")).headers["x-content-type-options"] == "nosniff"


async def test_an_error_of_the_own_application_is_a_problem(
    microservice: Microservice, connect: Callable[[Any], httpx.AsyncClient]
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("hidden")

    client = connect(HttpApplication(microservice, own=broken))
    response = await client.get("/menu")
    assert (response.status_code, "hidden" in response.text) == (500, False)


def test_routes_are_named_once() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
