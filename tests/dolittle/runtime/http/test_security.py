from __future__ import annotations

import httpx
import pytest
from starlette.datastructures import Headers

from dolittle.runtime.http.security import allowed_hosts, refusal

HOSTS = allowed_hosts("127.0.0.1", 8000)
HOME = {"host": "127.0.0.1:8000"}
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 0),
        ("localhost:8000", 0),
        ("LOCALHOST:8000", 0),
        ("[::1]:8000", 0),
        ("127.0.0.1", 421),
        ("127.0.0.1:8001", 421),
        ("evil.test:8000", 421),
        ("localhost.evil.test:8000", 421),
        ("127.0.0.1:8000.evil.test", 421),
        ("", 421),
    ],
)
def test_only_exact_hosts_are_answered(host: str, status: int) -> None:
    refused = refusal("GET", Headers({"host": host}), HOSTS)
    assert (refused.status if refused else 0) == status


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 0),
        ("POST", {"sec-fetch-site": "same-origin"}, 0),
        ("POST", {"sec-fetch-site": "none"}, 0),
        ("POST", {"sec-fetch-site": "same-site"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {"sec-fetch-site": "cross-site", **NAVIGATION}, 403),
        ("POST", {"sec-fetch-site": "anything-new"}, 403),
        ("GET", {"sec-fetch-site": "cross-site"}, 403),
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION}, 0),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION, "sec-fetch-dest": "iframe"}, 403),
        ("POST", {"origin": "http://127.0.0.1:8000"}, 0),
        ("POST", {"origin": "http://localhost:8000"}, 0),
        ("POST", {"origin": "http://127.0.0.1:3000"}, 403),
        ("POST", {"origin": "https://evil.test"}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"origin": ""}, 403),
        ("GET", {"origin": "https://evil.test"}, 403),
    ],
)
def test_pages_of_elsewhere_are_refused(method: str, headers: dict[str, str], status: int) -> None:
    refused = refusal(method, Headers(HOME | headers), HOSTS)
    assert (refused.status if refused else 0) == status


def test_a_named_host_is_answered_with_and_without_a_port() -> None:
    hosts = allowed_hosts("0.0.0.0", 8000, ["Example.org", "example.net:80"])
    assert {"example.org", "example.org:8000", "example.net:80"} <= hosts
    assert "example.net:8000" not in hosts
    assert "0.0.0.0:8000" not in hosts


def test_an_address_that_is_listened_on_is_answered() -> None:
    assert "192.0.2.1:8000" in allowed_hosts("192.0.2.1", 8000)
    assert "[2001:db8::1]:8000" in allowed_hosts("2001:db8::1", 8000)


def test_port_80_needs_no_number() -> None:
    assert "localhost" in allowed_hosts("127.0.0.1", 80)


def test_any_host_still_refuses_pages_of_elsewhere() -> None:
    hosts = allowed_hosts("0.0.0.0", 8000, ["*"])
    assert refusal("POST", Headers({"host": "a.test"}), hosts) is None
    assert refusal("POST", Headers({"host": "a.test", "origin": "http://a.test"}), hosts) is None
    assert refusal("POST", Headers({"host": "a.test", "origin": "http://b.test"}), hosts)


async def test_a_refused_page_changes_nothing(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/events",
        json={"type": "OrderTaken", "source": "x", "content": {"guests": 1}},
        headers={"sec-fetch-site": "same-site"},
    )
    assert response.status_code == 403
    assert response.json()["type"] == "urn:dolittle:problem:cross-site"
    assert (await client.get("/events")).json()["events"] == []


async def test_a_form_of_another_page_changes_nothing(client: httpx.AsyncClient) -> None:
    body = b'{"type": "OrderTaken", "source": "x", "content": {"guests": 1}}'
    response = await client.post("/events", content=body, headers={"content-type": "text/plain"})
    assert response.status_code == 415
    assert (await client.get("/events")).json()["events"] == []
