from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dolittle import (
    AggregateRoot,
    RuleViolation,
    aggregate_root,
    event_handler,
    event_type,
    handles,
    on,
    projection,
)
from dolittle.runtime.configuration import Configuration
from dolittle.runtime.definition import define
from dolittle.runtime.http.application import HttpApplication, secured
from dolittle.runtime.http.security import allowed_hosts
from dolittle.runtime.microservice import Microservice

DOOR = threading.Event()
"""Lets the guest in that a blocking command waits for."""

KNOCKED = threading.Event()
"""Set once that command waits."""

BASE_URL = "http://127.0.0.1:8000"


@event_type("dish-prepared")
class DishPrepared:
    dish: str
    chef: str


@event_type
class OrderTaken:
    guests: int
    note: str = ""


@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 2

    def prepare_dish(self, dish: str, chef: str) -> int:
        """Prepare a dish.

        It takes one ingredient.
        """
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish, chef=chef))
        return self.ingredients

    async def take_order(self, guests: int, note: str = "") -> None:
        await asyncio.sleep(0)
        self.apply(OrderTaken(guests=guests, note=note))

    def look_around(self) -> str:
        return "all is quiet"

    def open_the_window(self) -> object:
        return object()

    def wait_for_guests(self) -> str:
        """Block until a guest is let in."""
        KNOCKED.set()
        return "let in" if DOOR.wait(timeout=10) else "nobody came"

    def burn(self) -> None:
        raise ZeroDivisionError("a secret of the kitchen")

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1


@event_handler
class Guard:
    @handles(OrderTaken)
    def count(self, event: OrderTaken) -> None:
        if event.guests > 100:
            raise ValueError("too many")


@projection
class DishCounter:
    dish: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_dish_prepared(self, event: DishPrepared) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")
        self.dish = event.dish
        self.count += 1


@pytest.fixture
async def microservice(tmp_path: Path) -> AsyncIterator[Microservice]:
    """The kitchen in memory, with the tenants development and north."""
    definition = define("kitchen", [DishPrepared, OrderTaken, Kitchen, Guard, DishCounter])
    configuration = Configuration(
        project=tmp_path,
        name="kitchen",
        package="kitchen",
        tenants=("development", "north"),
        data_path=tmp_path / ".dolittle",
        version="1.2.0",
        environment="test",
    )
    async with Microservice.open_tenants(
        configuration,
        definition,
        tenants=configuration.tenants,
        deliver=True,
        ephemeral=True,
    ) as tenants:
        yield tenants["development"]


@pytest.fixture
def application(microservice: Microservice) -> Iterator[HttpApplication]:
    made = HttpApplication(microservice)
    yield made
    made.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Any], httpx.AsyncClient]]:
    """Makes clients of an ASGI application; closes them at last."""
    clients: list[httpx.AsyncClient] = []

    def make(app: Any, base_url: str = BASE_URL) -> httpx.AsyncClient:
        hosts = allowed_hosts("127.0.0.1", 8000)
        transport = httpx.ASGITransport(secured(app, hosts), raise_app_exceptions=False)
        clients.append(httpx.AsyncClient(transport=transport, base_url=base_url))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def client(
    application: HttpApplication, connect: Callable[[Any], httpx.AsyncClient]
) -> httpx.AsyncClient:
    """A client of the kitchen."""
    return connect(application)


@pytest.fixture
def prepare(client: httpx.AsyncClient) -> Any:
    """Prepares a dish over HTTP; returns the response."""

    async def prepare_dish(
        dish: str = "Bean Blaster Taco", source: str = "Tacos", **headers: str
    ) -> httpx.Response:
        return await client.post(
            f"/aggregates/Kitchen/{source}/prepare_dish",
            json={"dish": dish, "chef": "Mr. Taco"},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return prepare_dish


@pytest.fixture
def door() -> tuple[threading.Event, threading.Event]:
    """Set once ``wait_for_guests`` waits; and what lets it go on."""
    DOOR.clear()
    KNOCKED.clear()
    return KNOCKED, DOOR
