from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from dolittle.runtime.http.application import HttpApplication


async def test_a_document_is_there_once_its_commit_was_waited_for(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    await prepare()
    position = (await prepare()).json()["position"]
    response = await client.get(
        f"/projections/DishCounter/Bean%20Blaster%20Taco?after_position={position}"
    )
    assert response.json() == {
        "key": "Bean Blaster Taco",
        "document": {"dish": "Bean Blaster Taco", "count": 2},
    }


async def test_pages_lead_through_all_documents(client: httpx.AsyncClient, prepare: Any) -> None:
    for number in range(5):
        done = await prepare(dish=f"Dish {number}/a", source=f"s{number}")
    position = done.json()["position"]
    found: list[str] = []
    after = ""
    for _ in range(5):
        response = await client.get(
            "/projections/DishCounter",
            params={"limit": 2, "after": after, "after_position": position},
        )
        found += [item["key"] for item in response.json()["documents"]]
        after = response.json()["next"]
        if after is None:
            break
    assert found == [f"Dish {number}/a" for number in range(5)]
    one = await client.get("/projections/DishCounter/Dish%203%2Fa")
    assert one.json()["document"]["count"] == 1


async def test_a_key_without_a_document_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get("/projections/DishCounter/Nothing")
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no document of DishCounter 'Nothing'"


@pytest.mark.parametrize("path", ["/projections/DishCount", "/projections/DishCount/x"])
async def test_an_unknown_projection_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert response.json()["hint"] == "did you mean DishCounter?"


async def test_waiting_has_an_end(client: httpx.AsyncClient) -> None:
    response = await client.get("/projections/DishCounter/x?after_position=3&timeout=0.01")
    assert response.status_code == 504
    assert response.json()["type"] == "urn:dolittle:problem:wait-timed-out"


@pytest.mark.parametrize(
    "query", ["timeout=61", "timeout=-1", "timeout=x", "timeout=nan", "after_position=x", "a=1"]
)
async def test_waiting_parameters_have_limits(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/projections/DishCounter/x?{query}")).status_code == 422


async def test_waiting_ends_when_the_host_stops(
    client: httpx.AsyncClient, application: HttpApplication
) -> None:
    waiting = asyncio.create_task(
        client.get("/projections/DishCounter/x?after_position=3&timeout=60")
    )
    await asyncio.sleep(0)
    application.closing.set()
    async with asyncio.timeout(5):
        response = await waiting
    assert response.status_code == 503
    assert response.json()["type"] == "urn:dolittle:problem:stopping"


async def test_a_failing_projection_is_told_to_who_waits_for_it(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    position = (await prepare(dish="poison")).json()["position"]
    response = await client.get(f"/projections/DishCounter/x?after_position={position}")
    assert response.status_code == 500
    assert response.json()["type"] == "urn:dolittle:problem:projection-failed"
    assert "that is poison" in response.json()["detail"]
