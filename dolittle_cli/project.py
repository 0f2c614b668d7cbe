"""Finds the microservice and the tenant that a command is about, and opens what they have."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from dolittle.errors import ProjectNotFound
from dolittle.runtime.configuration import (
    FILE_NAME,
    Configuration,
    find_project,
    is_application,
    load_application,
    load_configuration,
)
from dolittle_cli.console import Console
from dolittle_cli.errors import CommandLineError, WrongUsage

if TYPE_CHECKING:
    from dolittle.runtime.definition import Definition
    from dolittle.runtime.microservice import Microservice
    from dolittle.store import EventStore
    from dolittle_cli.aliases import Aliases

T = TypeVar("T")

STORE_FOLDER: Final = "events"
"""The folder of a tenant's event store within the tenant's folder."""

STORE_FILE: Final = "store.json"
"""The file of an event store that is there once the store was made."""

LOG_FOLDER: Final = "log"
"""The folder of an event store that holds the events."""

STATE_FILE: Final = "state.sqlite"
DELIVERY_LOCK: Final = "delivery.lock"
SHADOW_LOCK: Final = "shadow.lock"
"""Held by the one process that makes, promotes or discards the shadows of a tenant."""


@dataclass(frozen=True)
class Place:
    """A tenant of a microservice.

    Attributes:
        folder: Of the tenant's events and state; it need not exist.
    """

    configuration: Configuration
    tenant: str
    folder: Path

    @property
    def has_store(self) -> bool:
        """Whether there is an event store yet, be it a damaged one."""
        store = self.folder / STORE_FOLDER
        return (store / STORE_FILE).exists() or any((store / LOG_FOLDER).glob("*"))


def locate(project: Path | None) -> Path:
    """Return a project's folder: the one that was named, or the nearest one upwards.

    Raises:
        ProjectNotFound: There is none.
        WrongUsage: What was named is no folder.
    """
    if project is None:
        return find_project(Path.cwd())
    if not project.is_dir():
        raise WrongUsage(f"--project {project}: there is no such folder")
    if not (project / FILE_NAME).is_file():
        raise ProjectNotFound(project.absolute())
    return project.resolve()


def members(folder: Path) -> tuple[Path, ...]:
    """Return the folders of a project's microservices: itself, or an application's members.

    Raises:
        ConfigurationError: Its ``dolittle.toml`` cannot be used.
        CommandLineError: It is an application without microservices.
    """
    if not is_application(folder):
        return (folder,)
    found = load_application(folder).members
    if not found:
        raise CommandLineError(
            f"the application in {folder} has no microservices",
            hint="add one there: dolittle new microservice NAME",
        )
    return found


def find_place(project: Path | None, tenant: str) -> Place:
    """Return the microservice and tenant that a command is about.

    Raises:
        ProjectNotFound: There is no project.
        ConfigurationError: Its ``dolittle.toml`` cannot be used.
        Unknown: It has no such tenant.
    """
    configuration = load_configuration(locate(project))
    return Place(configuration, tenant, configuration.tenant_folder(tenant))


@asynccontextmanager
async def open_log(place: Place) -> AsyncIterator[EventStore]:
    """Open a tenant's event log to read it; the microservice's code is not imported.

    Where there is no store yet, none is made: an empty log stands in for it.
    """
    if place.has_store:
        from dolittle.runtime.opening import open_store

        store = await open_store(place.configuration, place.tenant)
    else:
        from dolittle.engines.memory import MemoryStore

        store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def use(
    place: Place, *, makes_store: bool, delivers_to: str = ""
) -> AsyncIterator[Microservice]:
    """Open a microservice with its code; what its code prints goes to stderr, out of the data.

    Args:
        place: The microservice and the tenant.
        makes_store: Whether a store may be made; else an empty one stands in where there is none.
        delivers_to: The id of the one handler or projection that events are delivered to
            meanwhile, unless another process does so.

    Raises:
        DeclarationErrors: It cannot be loaded.
        StoreError: The store cannot be opened, or its events are damaged.
    """
    from dolittle.runtime.microservice import Microservice

    if delivers_to:
        from dolittle.runtime.host import configure_logging

        # What a handler logs is shown as `dolittle run` shows it.
        configure_logging()
    with contextlib.redirect_stdout(sys.stderr):
        definition = load(place)
        async with Microservice.open_tenants(
            place.configuration,
            definition,
            tenants=(place.tenant,),
            deliver=bool(delivers_to),
            only=(delivers_to,) if delivers_to else (),
            ephemeral=not makes_store and not place.has_store,
        ) as opened:
            damage = opened[place.tenant].store.damage
            if damage is not None:
                raise damage
            yield opened[place.tenant]


async def commit_with(place: Place, action: Callable[[Microservice], Awaitable[T]]) -> T:
    """Do what commits events, and return what it returns.

    Where there is no store yet it is tried in memory first, so that what is refused makes none.

    Raises:
        DolittleError: What the action raises, or what keeps the store from being opened.
    """
    if not place.has_store:
        async with use(place, makes_store=False) as rehearsal:
            await action(rehearsal)
    async with use(place, makes_store=True) as microservice:
        return await action(microservice)


def deliverer_of(place: Place) -> str:
    """Return who delivers a tenant's events, in words; empty if nobody does."""
    from dolittle.runtime.delivery.lease import Lease

    path = place.folder / DELIVERY_LOCK
    if not path.exists() or not os.access(path, os.W_OK):
        return ""
    lease = Lease(path)
    if lease.try_take():
        lease.let_go()
        return ""
    return lease.holder()


def load(place: Place) -> Definition:
    """Import what a microservice declares; what its modules print goes to stderr.

    Raises:
        DeclarationErrors: It cannot be loaded.
    """
    configuration = place.configuration
    with contextlib.redirect_stdout(sys.stderr):
        from dolittle.runtime.definition import load_definition

        return load_definition(configuration.package, configuration.project)


def aliases_of(place: Place) -> Aliases:
    """Read the aliases of a microservice's event types; say which files could not be read."""
    from dolittle_cli.aliases import read_aliases

    found = read_aliases(place.configuration.project, place.configuration.package)
    for problem in found.unread:
        Console().warning(f"aliases of event types are not read from {problem}")
    return found
