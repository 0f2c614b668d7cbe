from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from dolittle.runtime.http.application import HttpApplication

ORDER = {"type": "OrderTaken", "source": "Tacos", "content": {"guests": 2}}
BAD_SHAPES: list[Any] = [
    [],
    3,
    "text",
    [ORDER, 3],
    {},
    {"type": "OrderTaken"},
    {"type": "OrderTaken", "source": "", "content": {"guests": 1}},
    {"type": 3, "source": "x", "content": {}},
    {**ORDER, "content": []},
    {**ORDER, "more": 1},
    {**ORDER, "content": {}},
    {**ORDER, "content": {"guests": "many"}},
    {**ORDER, "content": {"guests": 1, "gusts": 1}},
    {**ORDER, "type": "OrderTken"},
]


async def commit(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    return await client.post("/events", json=body, headers=headers)


async def test_an_event_is_committed(client: httpx.AsyncClient) -> None:
    answer = (await commit(client, ORDER)).json()
    (event,) = answer["events"]
    assert (event["type"], event["content"]) == ("OrderTaken", {"guests": 2, "note": ""})
    assert event["aggregate"] is None
    assert "value" not in answer


async def test_an_event_type_may_be_named_by_its_id(client: httpx.AsyncClient) -> None:
    body = {"type": "dish-prepared", "source": "T", "content": {"dish": "a", "chef": "b"}}
    assert (await commit(client, body)).json()["events"][0]["type"] == "DishPrepared"


async def test_a_list_is_one_commit(client: httpx.AsyncClient) -> None:
    answer = (await commit(client, [ORDER, {**ORDER, "source": "Burritos"}])).json()
    assert {event["commit"] for event in answer["events"]} == {answer["commit"]}
    assert [event["index"] for event in answer["events"]] == [0, 1]
    assert answer["position"] == answer["events"][-1]["position"]


async def test_a_list_with_one_bad_event_commits_nothing(client: httpx.AsyncClient) -> None:
    response = await commit(client, [ORDER, {**ORDER, "content": {}}])
    assert response.status_code == 422
    assert (await client.get("/events")).json()["events"] == []


@pytest.mark.parametrize("body", BAD_SHAPES, ids=str)
async def test_a_body_of_another_shape_is_unprocessable(
    client: httpx.AsyncClient, body: Any
) -> None:
    response = await commit(client, body)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:dolittle:problem:payload"


async def test_an_unknown_event_type_comes_with_a_suggestion(client: httpx.AsyncClient) -> None:
    response = await commit(client, {**ORDER, "type": "OrderTken"})
    assert response.json()["hint"] == "did you mean OrderTaken?"


async def test_too_many_events_in_one_commit_are_too_large(client: httpx.AsyncClient) -> None:
    body = [{"type": "OrderTaken", "source": "T", "content": {"guests": 1}}] * 10_001
    assert (await commit(client, body)).status_code == 413


async def test_a_repeated_key_commits_once(client: httpx.AsyncClient) -> None:
    first = (await commit(client, ORDER, **{"Idempotency-Key": "k"})).json()
    again = (await commit(client, ORDER, **{"Idempotency-Key": "k"})).json()
    assert again == {**first, "is_repeat": True}
    other = await commit(client, [ORDER], **{"Idempotency-Key": "k"})
    assert other.status_code == 422


# Pages


@pytest.fixture
async def ten(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A log of ten events: orders of A and B in turn, the last one a dish."""
    for number in range(9):
        await commit(client, {**ORDER, "source": "AB"[number % 2]})
    dish = {"type": "DishPrepared", "source": "A", "content": {"dish": "a", "chef": "b"}}
    await commit(client, dish, traceparent=f"00-{'1' * 32}-{'2' * 16}-01")
    return client


def positions(response: httpx.Response) -> list[int]:
    return [event["position"] for event in response.json()["events"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [*range(10)]),
        ("from=7", [7, 8, 9]),
        ("to=2", [0, 1]),
        ("from=3&to=5", [3, 4]),
        ("from=10", []),
        ("from=99999", []),
        ("source=B", [1, 3, 5, 7]),
        ("type=DishPrepared", [9]),
        ("type=dish-prepared", [9]),
        ("type=DishPrepared&type=OrderTaken&from=8", [8, 9]),
        (f"correlation={'1' * 32}", [9]),
        ("source=B&type=DishPrepared", []),
    ],
)
async def test_a_page_has_what_was_asked_for(
    ten: httpx.AsyncClient, query: str, expected: list[int]
) -> None:
    assert positions(await ten.get(f"/events?{query}")) == expected


@pytest.mark.parametrize("filters", ["", "&source=B", "&type=OrderTaken"])
async def test_next_leads_through_everything_once(ten: httpx.AsyncClient, filters: str) -> None:
    found: list[int] = []
    going_on, at_end = 0, False
    for _ in range(20):
        response = await ten.get(f"/events?limit=3&from={going_on}{filters}")
        found += positions(response)
        going_on, at_end = response.json()["next"], response.json()["at_end"]
        if at_end:
            break
    assert at_end
    assert found == positions(await ten.get(f"/events?limit=1000{filters}"))
    await commit(ten, {**ORDER, "source": "B"})
    assert positions(await ten.get(f"/events?from={going_on}{filters}")) == [10]


@pytest.mark.parametrize(
    "query",
    [
        "from=-1",
        "from=x",
        "from=1.5",
        "from=",
        "from=%D9%A3",
        "from=99999999999999999999",
        "limit=0",
        "limit=1001",
        "limit=all",
        "type=OrderTken",
        "form=3",
        "offset=3",
    ],
)
async def test_a_parameter_that_cannot_be_used_is_refused(
    ten: httpx.AsyncClient, query: str
) -> None:
    response = await ten.get(f"/events?{query}")
    assert response.status_code == 422
    assert response.json()["type"] == "urn:dolittle:problem:parameter"


# The stream


async def test_the_stream_resumes_and_ends_when_the_host_stops(
    ten: httpx.AsyncClient, application: HttpApplication
) -> None:
    getting = asyncio.create_task(ten.get("/events/stream", headers={"Last-Event-ID": "8"}))
    async with asyncio.timeout(5):
        while application.counters.streams == 0:
            await asyncio.sleep(0)
        await commit(ten, {**ORDER, "source": "late"})
        application.closing.set()
        response = await getting
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert "id: 9\n" in response.text
    assert "id: 8\n" not in response.text
    assert application.counters.streams == 0


async def test_the_stream_begins_with_the_next_event_unless_asked(
    ten: httpx.AsyncClient, application: HttpApplication
) -> None:
    application.closing.set()
    assert "data:" not in (await ten.get("/events/stream")).text


async def test_the_stream_refuses_what_a_page_refuses(ten: httpx.AsyncClient) -> None:
    assert (await ten.get("/events/stream?type=Nope")).status_code == 422
    assert (await ten.get("/events/stream?to=3")).status_code == 422


async def test_only_so_many_clients_may_follow(
    ten: httpx.AsyncClient, application: HttpApplication
) -> None:
    application.counters.streams = 200
    response = await ten.get("/events/stream")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
