from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dolittle.runtime.microservice import Microservice

DELIVERED_S = 30.0

KITCHEN = '''\
"""The kitchen."""

from dolittle import (
    AggregateRoot,
    EventContext,
    RuleViolation,
    aggregate_root,
    event_handler,
    event_type,
    handles,
    on,
    projection,
    side_effect,
)

print("the kitchen is imported")


@event_type("dish-prepared")
class DishPrepared:
    dish: str
    chef: str


@event_type(public=True)
class OrderTaken:
    guests: int
    note: str = ""


@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 2

    def prepare_dish(self, dish: str, chef: str) -> None:
        if self.ingredients == 0:
            raise RuleViolation("We have run out of ingredients, sorry!")
        self.apply(DishPrepared(dish=dish, chef=chef))

    def look_around(self) -> None:
        pass

    @on(DishPrepared)
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.ingredients -= 1


@event_handler
class DishHandler:
    @handles(DishPrepared)
    def announce(self, event: DishPrepared, context: EventContext) -> None:
        if event.dish == "poison":
            raise ValueError("that is poison")
        again = " again" if context.is_replay else ""
        print(f"{event.chef} has prepared {event.dish}{again}")

    @side_effect
    @handles(OrderTaken)
    def mail(self, event: OrderTaken) -> None:
        print(f"mail for {event.guests}")


@projection
class DishCounter:
    dish: str
    count: int = 0

    @on(DishPrepared, key="dish")
    def on_dish_prepared(self, event: DishPrepared) -> None:
        self.dish = event.dish
        self.count += 1
'''

CONFIGURATION = """\
[microservice]
name = "kitchen"
package = "kitchen"
tenants = ["development", "north"]

[delivery]
attempts_max = 3
delay_s = 30.0
"""


@pytest.fixture
def forget() -> Callable[[], None]:
    """Forget what was imported, so that changed source is read again."""

    def forget() -> None:
        importlib.invalidate_caches()
        for name in list(sys.modules):
            if name.partition(".")[0] == "kitchen":
                del sys.modules[name]

    return forget


@pytest.fixture
def kitchen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]
) -> Iterator[Path]:
    """A microservice's folder, the current one; what was imported from it is forgotten after."""
    project = tmp_path / "kitchen"
    (project / "kitchen").mkdir(parents=True)
    (project / "dolittle.toml").write_text(CONFIGURATION)
    (project / "kitchen" / "__init__.py").write_text(KITCHEN)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = list(sys.path)
    yield project
    sys.path[:] = path
    forget()


@pytest.fixture
def deliver(kitchen: Path) -> Callable[[], None]:
    """Let everything be handled that there is, as ``dolittle run`` does."""

    async def run() -> None:
        async with Microservice.open(kitchen) as microservice:
            last = await microservice.store.head() - 1
            for name in ("DishHandler", "DishCounter"):
                await microservice.wait_until_seen(name, last, timeout_s=DELIVERED_S)

    return lambda: asyncio.run(run())
