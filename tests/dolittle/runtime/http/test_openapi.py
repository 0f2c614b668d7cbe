from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from dolittle import AggregateRoot, aggregate_root, event_type
from dolittle.runtime.definition import define
from dolittle.runtime.http.application import ROUTES
from dolittle.runtime.http.openapi import openapi_document


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get("/openapi.json")).json()
    return answer


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolve(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        assert resolve(document, reference)


async def test_every_built_in_route_is_described(document: dict[str, Any]) -> None:
    names = {"{aggregate}": "Kitchen", "{command}": "prepare_dish", "{projection}": "DishCounter"}
    for route in ROUTES:
        path = route.path
        for name, value in names.items():
            path = path.replace(name, value)
        assert route.method.lower() in document["paths"][path], route.path


async def test_operations_have_ids_of_their_own(document: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(set(ids)) == len(ids)


async def test_a_command_is_described_with_its_arguments(document: dict[str, Any]) -> None:
    operation = document["paths"]["/aggregates/Kitchen/{source}/prepare_dish"]["post"]
    assert operation["summary"] == "Prepare a dish."
    assert "It takes one ingredient." in operation["description"]
    schema = resolve(
        document, operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    )
    assert schema["properties"] == {"dish": {"type": "string"}, "chef": {"type": "string"}}
    assert schema["required"] == ["dish", "chef"]
    assert schema["additionalProperties"] is False
    assert {"200", "404", "409", "422"} <= set(operation["responses"])


async def test_a_command_without_required_arguments_needs_no_body(
    document: dict[str, Any],
) -> None:
    operation = document["paths"]["/aggregates/Kitchen/{source}/look_around"]["post"]
    assert operation["requestBody"]["required"] is False


async def test_read_models_and_states_are_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["DishCounter.document"]["properties"]["count"]["type"] == "integer"
    assert schemas["Kitchen.state"]["properties"] == {"ingredients": {"type": "integer"}}
    assert schemas["DishPrepared.content"]["required"] == ["dish", "chef"]


async def test_an_answer_has_the_keys_that_are_described(
    document: dict[str, Any], prepare: Any
) -> None:
    answer = (await prepare()).json()
    schemas = document["components"]["schemas"]
    assert set(answer) == set(schemas["Performed"]["required"])
    assert set(answer["events"][0]) == set(schemas["Event"]["required"])


class Dish(msgspec.Struct):
    name: str


OtherDish = msgspec.defstruct("Dish", [("number", int)], module="elsewhere")


@aggregate_root
class First(AggregateRoot):
    def make(self, dish: Dish) -> None: ...


@aggregate_root
class Second(AggregateRoot):
    def make(self, dish: OtherDish) -> None: ...  # type: ignore[valid-type]


@event_type
class Made:
    pass


def test_types_and_commands_of_one_name_get_names_of_their_own() -> None:
    document = openapi_document(define("x", [First, Second, Made]), name="x", version="")
    schemas = document["components"]["schemas"]

    def dish(command: str) -> Any:
        return resolve(document, schemas[command]["properties"]["dish"]["$ref"])["properties"]

    assert dish("First.make") == {"name": {"type": "string"}}
    assert dish("Second.make") == {"number": {"type": "integer"}}


def test_a_microservice_without_declarations_has_a_document() -> None:
    document = openapi_document(define("x", []), name="x", version="")
    for reference in references(document):
        assert resolve(document, reference)
