from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from dolittle.errors import (
    CommitOutcomeUnknown,
    DolittleError,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
)
from dolittle.runtime.microservice import Microservice
from dolittle.store import Commit, CommittedEvents

JSON = {"content-type": "application/json"}


async def test_a_command_answers_what_it_committed(prepare: Any) -> None:
    response = await prepare()
    assert response.status_code == 200
    answer = response.json()
    assert answer["position"] == 0
    assert answer["is_repeat"] is False
    assert answer["value"] == 1
    (event,) = answer["events"]
    assert event["type"] == "DishPrepared"
    assert event["type_id"] == "dish-prepared"
    assert (event["aggregate"], event["source"], event["version"]) == ("Kitchen", "Tacos", 1)
    assert event["content"] == {"dish": "Bean Blaster Taco", "chef": "Mr. Taco"}
    assert event["commit"] == answer["commit"]


async def test_a_command_may_be_a_coroutine(client: httpx.AsyncClient) -> None:
    response = await client.post("/aggregates/Kitchen/Tacos/take_order", json={"guests": 3})
    assert response.status_code == 200
    assert response.json()["events"][0]["content"] == {"guests": 3, "note": ""}


async def test_a_command_that_applies_nothing_commits_nothing(client: httpx.AsyncClient) -> None:
    response = await client.post("/aggregates/Kitchen/Tacos/look_around")
    assert response.json() == {
        "commit": None,
        "position": None,
        "is_repeat": False,
        "events": [],
        "value": "all is quiet",
    }


async def test_a_command_that_blocks_holds_up_nobody_else(
    client: httpx.AsyncClient, door: tuple[threading.Event, threading.Event]
) -> None:
    knocked, opened = door
    blocked = asyncio.create_task(client.post("/aggregates/Kitchen/Tacos/wait_for_guests"))
    while not knocked.is_set():
        await asyncio.sleep(0)
    assert (await client.get("/health")).status_code == 200
    assert not blocked.done()
    opened.set()
    assert (await blocked).json()["value"] == "let in"


async def test_a_value_that_is_no_json_is_null(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.post("/aggregates/Kitchen/Tacos/open_the_window")
    assert response.json()["value"] is None
    assert "Kitchen.open_the_window returned a value that is no JSON" in caplog.text


async def test_a_refused_rule_is_a_conflict_and_commits_nothing(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    await prepare()
    await prepare()
    response = await prepare()
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:dolittle:problem:rule-violation",
        "title": "Rule violation",
        "status": 409,
        "detail": "We have run out of ingredients, sorry!",
    }
    assert len((await client.get("/events")).json()["events"]) == 2


async def test_the_state_of_an_aggregate_is_its_fields_and_version(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    await prepare()
    assert (await client.get("/aggregates/Kitchen/Tacos")).json() == {
        "aggregate": "Kitchen",
        "source": "Tacos",
        "version": 1,
        "state": {"ingredients": 1},
    }


async def test_an_instance_without_events_is_at_version_0(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/aggregates/Kitchen/Nowhere")).json()
    assert (answer["version"], answer["state"]) == (0, {"ingredients": 2})


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("Dolittle%20Tacos", "Dolittle Tacos"),
        ("north%2Fwest", "north/west"),
        ("caf%C3%A9", "café"),
        ("..%2F..%2Fetc%2Fpasswd", "../../etc/passwd"),
        ("100%25", "100%"),
    ],
)
async def test_an_event_source_is_percent_decoded_once(
    client: httpx.AsyncClient, path: str, source: str
) -> None:
    done = await client.post(f"/aggregates/Kitchen/{path}/take_order", json={"guests": 1})
    assert done.json()["events"][0]["source"] == source
    assert (await client.get(f"/aggregates/Kitchen/{path}")).json()["source"] == source


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/aggregates/Kitchn/T/prepare_dish", "there is no aggregate 'Kitchn'"),
        ("/aggregates/Kitchen/T/prepare_dishes", "there is no command of Kitchen 'prepare_dishes'"),
        ("/aggregates/Kitchen/T/on_dish_prepared", "there is no command of Kitchen"),
        ("/aggregates/Kitchen/T/apply", "there is no command of Kitchen 'apply'"),
        ("/aggregates/Kitchen/T/__init__", "there is no command of Kitchen '__init__'"),
    ],
)
async def test_an_unknown_name_is_not_found(
    client: httpx.AsyncClient, path: str, detail: str
) -> None:
    response = await client.post(path, json={})
    assert response.status_code == 404
    problem = response.json()
    assert problem["type"] == "urn:dolittle:problem:unknown"
    assert detail in problem["detail"]


async def test_an_unknown_name_comes_with_a_suggestion(client: httpx.AsyncClient) -> None:
    response = await client.get("/aggregates/Kitchn/T")
    assert response.json()["hint"] == "did you mean Kitchen?"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"dish": "Taco"}, "Kitchen.prepare_dish: missing argument `chef`"),
        ({"dish": 3, "chef": "x"}, "expected `str`, got `int`"),
        ({"dish": "x", "chef": "y", "cheff": "z"}, "there is no argument 'cheff'"),
    ],
)
async def test_values_that_do_not_fit_are_unprocessable(
    client: httpx.AsyncClient, body: Any, detail: str
) -> None:
    response = await client.post("/aggregates/Kitchen/T/prepare_dish", json=body)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:dolittle:problem:payload"
    assert detail in response.json()["detail"]


async def test_texts_do_not_stand_for_numbers(client: httpx.AsyncClient) -> None:
    response = await client.post("/aggregates/Kitchen/T/take_order", json={"guests": "3"})
    assert response.status_code == 422


async def test_an_error_of_the_code_is_told_in_the_log_only(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.post("/aggregates/Kitchen/T/burn")
    assert response.status_code == 500
    assert response.json()["type"] == "urn:dolittle:problem:internal"
    assert "secret" not in response.text
    assert "a secret of the kitchen" in caplog.text


# Idempotency


async def test_a_repeated_key_answers_what_the_first_one_answered(prepare: Any) -> None:
    first = (await prepare(idempotency_key="order-1")).json()
    again = (await prepare(idempotency_key="order-1")).json()
    assert first["commit"] == "order-1"
    assert again == {**first, "is_repeat": True}


async def test_a_quoted_key_is_the_same_key(prepare: Any) -> None:
    first = (await prepare(idempotency_key="order-1")).json()
    assert (await prepare(idempotency_key='"order-1"')).json()["commit"] == first["commit"]


async def test_a_repeated_key_is_answered_even_when_the_rule_would_refuse_now(
    prepare: Any,
) -> None:
    await prepare()
    last = (await prepare(idempotency_key="last")).json()
    assert (await prepare()).status_code == 409
    assert (await prepare(idempotency_key="last")).json()["position"] == last["position"]


@pytest.mark.parametrize(
    ("dish", "source"), [("Other", "Tacos"), ("Bean Blaster Taco", "Burritos")]
)
async def test_a_key_of_another_request_is_refused(prepare: Any, dish: str, source: str) -> None:
    await prepare(idempotency_key="order-1")
    response = await prepare(dish, source, idempotency_key="order-1")
    assert response.status_code == 422
    assert response.json()["type"] == "urn:dolittle:problem:commit-id-reused"


async def test_the_same_key_twice_at_once_commits_once(
    client: httpx.AsyncClient, prepare: Any
) -> None:
    answers = await asyncio.gather(*(prepare(idempotency_key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["position"] for answer in answers} == {0}
    assert {answer.json()["value"] for answer in answers} == {1}
    assert len((await client.get("/events")).json()["events"]) == 1


async def test_a_refused_command_does_not_use_up_its_key(prepare: Any) -> None:
    await prepare(source="A")
    await prepare(source="A")
    assert (await prepare(source="A", idempotency_key="k")).status_code == 409
    assert (await prepare(source="B", idempotency_key="k")).status_code == 200


@pytest.mark.parametrize("key", ["", '""', "x" * 201, "tab\there"])
async def test_a_key_that_is_no_id_is_refused(prepare: Any, key: str) -> None:
    response = await prepare(idempotency_key=key)
    assert response.status_code == 400
    assert response.json()["type"] == "urn:dolittle:problem:bad-request"


# Execution context


async def test_traceparent_becomes_the_correlation(prepare: Any) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    response = await prepare(traceparent=f"00-{trace}-b7ad6b7169203331-01", x_request_id="r-1")
    (event,) = response.json()["events"]
    assert (event["correlation"], event["causation"]) == (trace, "r-1")


async def test_a_tenant_has_a_log_of_its_own(client: httpx.AsyncClient, prepare: Any) -> None:
    await prepare(tenant_id="north")
    assert (await client.get("/events")).json()["events"] == []
    (event,) = (await client.get("/events", headers={"Tenant-ID": "north"})).json()["events"]
    assert event["tenant"] == "north"


async def test_an_unknown_tenant_is_not_found(prepare: Any) -> None:
    response = await prepare(tenant_id="south")
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no tenant 'south'"


async def test_a_commit_carries_version_and_environment(
    prepare: Any, microservice: Microservice
) -> None:
    await prepare(idempotency_key="k")
    found = await microservice.store.find_commit("k")
    assert found is not None
    header = found.events[0].commit
    assert (header.version, header.environment) == ("1.2.0", "test")


# A store that cannot


class FaultyStore:
    """A store whose commits fail; everything else is that of the store behind it."""

    def __init__(self, behind: Any, error: DolittleError) -> None:
        self._behind, self._error = behind, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    async def commit(self, commit: Commit) -> CommittedEvents:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreFull, 507),
        (StoreReadOnly, 503),
        (StoreClosed, 503),
        (lambda path: StoreBusy(path, 5.0), 503),
        (lambda path: CommitOutcomeUnknown("c", "input/output error"), 503),
    ],
)
async def test_a_store_that_cannot_commit_says_so(
    microservice: Microservice, prepare: Any, tmp_path: Any, error: Any, status: int
) -> None:
    microservice.store = FaultyStore(microservice.store, error(tmp_path))
    for headers in ({}, {"idempotency_key": "k"}):
        response = await prepare(**headers)
        assert response.status_code == status
        assert response.json()["hint"]
