"""Opens and closes the tenants of a loaded microservice: store, state and delivery of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeVar

from dolittle.execution import Clock, SystemClock, Timer
from dolittle.runtime.configuration import Configuration
from dolittle.runtime.definition import Definition
from dolittle.runtime.delivery import Deliverer
from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.making import make_handler
from dolittle.runtime.sqlite_state import SqliteState
from dolittle.runtime.state import State
from dolittle.store import EventStore


class Opened(Protocol):
    """What is opened for a tenant: a microservice in use."""

    store: EventStore
    state: State
    deliverer: Deliverer | None


M = TypeVar("M", bound=Opened)

Make = Callable[[Surroundings, Mapping[str, M]], M]
"""Makes it of what was opened, and of those of all tenants, which are filled in meanwhile."""


@asynccontextmanager
async def open_tenants(
    configuration: Configuration,
    definition: Definition,
    make: Make[M],
    *,
    tenants: Iterable[str],
    deliver: bool,
    only: Iterable[str] = (),
    ephemeral: bool = False,
    clock: Timer | None = None,
) -> AsyncIterator[dict[str, M]]:
    """Open tenants of a loaded microservice; close them at last.

    Used as ``Microservice.open_tenants``, which knows what to make of them.
    """
    opened: dict[str, M] = {}
    try:
        for tenant in tenants:
            opened[tenant] = await _open_tenant(
                configuration,
                definition,
                make,
                tenant,
                ephemeral=ephemeral,
                clock=clock or SystemClock(),
                opened=opened,
                only=frozenset(only),
                deliver=deliver,
            )
        for microservice in opened.values():
            if microservice.deliverer is not None:
                await microservice.deliverer.start()
        yield dict(opened)
    finally:
        await close_tenants(opened.values())


async def close_tenants(microservices: Iterable[Opened]) -> None:
    """Stop delivery first, everywhere at once, then close stores and states."""
    opened = list(microservices)
    deliverers = [item.deliverer for item in opened if item.deliverer is not None]
    async with AsyncExitStack() as at_last:
        for item in opened:
            at_last.push_async_callback(item.state.close)
            at_last.push_async_callback(item.store.close)
        await asyncio.gather(*(deliverer.stop() for deliverer in deliverers))


async def _open_tenant(
    configuration: Configuration,
    definition: Definition,
    make: Make[M],
    tenant: str,
    *,
    ephemeral: bool,
    clock: Timer,
    opened: Mapping[str, M],
    only: frozenset[str],
    deliver: bool,
) -> M:
    folder = configuration.tenant_folder(tenant)
    store = await open_store(configuration, tenant, ephemeral=ephemeral, clock=clock)
    if deliver and store.damage is not None:
        await store.close()
        raise store.damage
    state = SqliteState(None if ephemeral else folder / "state.sqlite", store_id=store.id)
    around = Surroundings(
        microservice=configuration.name,
        tenant=tenant,
        version=configuration.version,
        environment=configuration.environment,
        store=store,
        state=state,
        event_types=definition.event_types,
        clock=clock,
        retry=configuration.retry,
        random=random.random,
        progressed=Signal(),
    )
    microservice = make(around, opened)
    if deliver:
        lease = None if ephemeral else Lease(folder / "delivery.lock")
        microservice.deliverer = Deliverer(
            definition, around, lease, lambda cls: make_handler(cls, microservice), only
        )
    return microservice


async def open_store(
    configuration: Configuration,
    tenant: str,
    *,
    ephemeral: bool = False,
    clock: Clock | None = None,
) -> EventStore:
    """Open the event store of a tenant, by the engine that the configuration names.

    Raises:
        Unknown: The tenant is not configured.
        StoreError: The store cannot be opened.
    """
    folder = configuration.tenant_folder(tenant)
    if ephemeral:
        from dolittle.engines.memory import MemoryStore

        return MemoryStore(clock=clock)
    from dolittle.engines.file import FileStore

    return await FileStore.open(folder / "events", durability=configuration.durability, clock=clock)
