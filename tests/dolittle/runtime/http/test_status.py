from __future__ import annotations

from typing import Any

import httpx

from dolittle.runtime.microservice import Microservice


async def test_health_tells_how_far_everything_is(
    client: httpx.AsyncClient, prepare: Any, microservice: Microservice
) -> None:
    position = (await prepare()).json()["position"]
    for name in ("Guard", "DishCounter"):
        await microservice.wait_until_seen(name, position)
    answer = (await client.get("/health")).json()
    assert (answer["status"], answer["microservice"], answer["version"]) == (
        "ok",
        "kitchen",
        "1.2.0",
    )
    development, north = answer["tenants"]
    assert (development["events"], north["events"]) == (1, 0)
    assert development["held_by"] == ""
    assert {
        (item["name"], item["kind"], item["lag"], item["failing"])
        for item in development["processors"]
    } == {("Guard", "handler", 0, 0), ("DishCounter", "projection", 0, 0)}


async def test_health_says_when_a_partition_fails(
    client: httpx.AsyncClient, microservice: Microservice
) -> None:
    order = {"type": "OrderTaken", "source": "T", "content": {"guests": 500}}
    position = (await client.post("/events", json=order)).json()["position"]
    await microservice.wait_until_seen("Guard", position)
    answer = (await client.get("/health")).json()
    assert answer["status"] == "failing"
    assert answer["tenants"][0]["processors"][0]["failing"] == 1


async def test_metrics_count_events_requests_and_refusals(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    for _ in range(3):
        await prepare()
    await client.post("/aggregates/Kitchen/T/nothing", headers={"Tenant-ID": "invented"})
    response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    route = "/aggregates/{aggregate}/{source}/{command}"
    assert 'dolittle_events_total{tenant="development",type="DishPrepared"} 2' in lines
    assert 'dolittle_commits_total{tenant="development"} 2' in lines
    assert 'dolittle_refused_total{tenant="development",code="rule-violation"} 1' in lines
    assert 'dolittle_refused_total{tenant="",code="unknown"} 1' in lines
    assert f'dolittle_http_requests_total{{route="{route}",method="POST",status="200"}} 2' in lines
    assert "invented" not in response.text
    assert (
        'dolittle_processor_failing_partitions{tenant="north",kind="handler",processor="Guard"} 0'
        in lines
    )


async def test_metrics_of_one_name_stand_together(client: httpx.AsyncClient) -> None:
    lines = (await client.get("/metrics")).text.splitlines()
    titles = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(set(titles)) == len(titles)
    current = ""
    for line in lines:
        if line.startswith("# TYPE "):
            current = line.split()[2]
        elif not line.startswith("#"):
            assert line.partition("{")[0].partition(" ")[0] == current
            float(line.rpartition(" ")[2])


async def test_invented_methods_make_no_labels(client: httpx.AsyncClient) -> None:
    await client.request("INVENTED", "/nothing")
    text = (await client.get("/metrics")).text
    assert 'method="other",status="404"' in text
    assert "INVENTED" not in text
