"""A microservice in use: perform commands, commit events, ask read models, wait for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dolittle.aggregates import AggregateRoot, arguments_for, command_of, declaration_of
from dolittle.errors import Unknown
from dolittle.events import event_type_of
from dolittle.execution import DEVELOPMENT, ExecutionContext, Timer, current_context, new_id
from dolittle.projections import projection_declaration_of
from dolittle.runtime.configuration import Configuration, find_project, load_configuration
from dolittle.runtime.definition import Definition, load_definition
from dolittle.runtime.delivery import Deliverer
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.instances import AggregateInstance, Performed
from dolittle.runtime.opening import open_tenants
from dolittle.runtime.progress import ProcessorStatus, Progress, processor_declaration
from dolittle.runtime.read_models import WAIT_S, ReadModels
from dolittle.runtime.state import Request, State
from dolittle.serialization import EventTypes, encode, from_values
from dolittle.store import (
    Commit,
    CommittedEvents,
    EventStore,
    EventToCommit,
    Position,
    Stream,
)

__all__ = ["Microservice", "ProcessorStatus"]

A = TypeVar("A", bound=AggregateRoot)
T = TypeVar("T")


class Microservice:
    """A loaded microservice and the events of one of its tenants, open for use.

    ``async with Microservice.open() as kitchen:`` finds the project, loads its declarations,
    opens the store and delivers events meanwhile. ``for_tenant`` gives the same for another
    tenant.
    """

    __dolittle_filled_in__ = True  # FILLED_IN_MARK: an event handler may ask for it

    def __init__(
        self,
        definition: Definition,
        store: EventStore,
        state: State,
        *,
        name: str,
        tenant: str = DEVELOPMENT,
        deliverer: Deliverer | None = None,
        configuration: Configuration | None = None,
        tenants: Mapping[str, Microservice] | None = None,
        progressed: Signal | None = None,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.definition = definition
        self.store = store
        self.state = state
        self.deliverer = deliverer
        self.configuration = configuration
        self._tenants = tenants if tenants is not None else {tenant: self}
        self._progressed = progressed or Signal()

    @staticmethod
    @asynccontextmanager
    async def open(
        project: Path | str = ".",
        *,
        tenant: str = DEVELOPMENT,
        deliver: bool = True,
        only: Iterable[str] = (),
        ephemeral: bool = False,
        clock: Timer | None = None,
    ) -> AsyncIterator[Microservice]:
        """Open the microservice whose ``dolittle.toml`` is in a folder or above it.

        Args:
            project: The folder to begin at.
            tenant: Which tenant's events to use.
            deliver: Whether to deliver events to handlers and projections meanwhile, of every
                tenant. If another process does so already, it goes on and this one waits in line.
            only: Ids of the handlers and projections to deliver to; empty: all.
            ephemeral: Keep everything in memory instead of on disk.
            clock: Tells the time of commits and retries.

        Raises:
            ProjectNotFound: There is no ``dolittle.toml``.
            ConfigurationError: It cannot be used.
            DeclarationErrors: The microservice's declarations cannot work.
            Unknown: The tenant is not configured.
            StoreError: The store cannot be opened.
        """
        configuration = load_configuration(find_project(Path(project)))
        configuration.tenant_folder(tenant)
        async with Microservice.open_tenants(
            configuration,
            load_definition(configuration.package, configuration.project),
            tenants=configuration.tenants if deliver else (tenant,),
            deliver=deliver,
            only=only,
            ephemeral=ephemeral,
            clock=clock,
        ) as microservices:
            yield microservices[tenant]

    @staticmethod
    @asynccontextmanager
    async def open_tenants(
        configuration: Configuration,
        definition: Definition,
        *,
        tenants: Iterable[str],
        deliver: bool,
        only: Iterable[str] = (),
        ephemeral: bool = False,
        clock: Timer | None = None,
    ) -> AsyncIterator[dict[str, Microservice]]:
        """Open tenants of a loaded microservice as :meth:`open` does; close them at last.

        Raises:
            Unknown: A tenant is not configured.
            StoreError: A store cannot be opened.
        """

        def make(around: Surroundings, tenants: Mapping[str, Microservice]) -> Microservice:
            return Microservice(
                definition,
                around.store,
                around.state,
                name=configuration.name,
                tenant=around.tenant,
                configuration=configuration,
                tenants=tenants,
                progressed=around.progressed,
            )

        async with open_tenants(
            configuration,
            definition,
            make,
            tenants=tenants,
            deliver=deliver,
            only=only,
            ephemeral=ephemeral,
            clock=clock,
        ) as opened:
            yield opened

    def for_tenant(self, tenant: str) -> Microservice:
        """Return the same microservice for another tenant.

        Raises:
            Unknown: The tenant is not configured, or was not opened.
        """
        if tenant not in self._tenants:
            if self.configuration is not None:
                self.configuration.tenant_folder(tenant)
            raise Unknown("open tenant", tenant, self._tenants)
        return self._tenants[tenant]

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants that are open."""
        return tuple(self._tenants)

    # Committing

    async def commit(
        self, *events: object, source: str, commit_id: str = "", public: bool = False
    ) -> CommittedEvents:
        """Commit events that no aggregate guards, atomically.

        Args:
            events: 1 or more instances of event types.
            source: What they are about.
            commit_id: Names this commit: the same id again answers what the first one
                answered. Default: a new one.
            public: Make them public even if their event types are not.

        Raises:
            PayloadDoesNotFit: A value cannot be stored.
            TypeError: One of them is no event.
            StoreError: See ``EventStore.commit``.
        """
        prepared = tuple(self._prepare(event, source, public=public) for event in events)
        return await self._commit(prepared, commit_id, {})

    async def append_by_name(
        self,
        items: Sequence[tuple[str, str, Mapping[str, Any]]],
        *,
        commit_id: str = "",
        lenient: bool = False,
        public: bool = False,
    ) -> CommittedEvents:
        """Commit events given by ``(type name, event source, values)``, all or none.

        Args:
            items: 1 or more.
            commit_id: As for :meth:`commit`.
            lenient: Whether texts may stand for other values (a command line's values).
            public: As for :meth:`commit`.

        Raises:
            Unknown: There is no such event type.
            PayloadDoesNotFit: Values do not fit the event type.
            StoreError: See ``EventStore.commit``.
        """
        prepared = []
        for name, source, values in items:
            found = self.definition.event_types.find(name)
            if found is None:
                known = [item.alias for item in self.definition.event_types]
                raise Unknown("event type", name, known)
            event = from_values(found[0], values, what=f"event type {name}", lenient=lenient)
            prepared.append(self._prepare(event, source, public=public))
        return await self._commit(tuple(prepared), commit_id, {})

    def _prepare(
        self, event: object, source: str, *, public: bool = False, aggregate: str = ""
    ) -> EventToCommit:
        event_type = event_type_of(event)
        if event_type is None:
            raise TypeError(
                f"{type(event).__name__} is no event type: decorate the class with @event_type"
            )
        return EventToCommit(
            type_id=event_type.id,
            source=source,
            content=encode(event),
            generation=event_type.generation,
            public=public or event_type.public,
            aggregate=aggregate,
        )

    async def _commit(
        self,
        events: tuple[EventToCommit, ...],
        commit_id: str,
        expected: Mapping[Stream, Position],
    ) -> CommittedEvents:
        context = current_context() or ExecutionContext()
        if self.configuration is not None:
            version, environment = self.configuration.version, self.configuration.environment
            context = replace(
                context,
                version=context.version or version,
                environment=context.environment or environment,
            )
        context = replace(context, microservice=self.name, tenant=self.tenant)
        commit = Commit(id=commit_id or new_id(), events=events, context=context, expected=expected)
        return await self.store.commit(commit)

    @property
    def event_types(self) -> EventTypes:
        """The event types of the microservice."""
        return self.definition.event_types

    async def commit_applied(
        self, events: Sequence[object], stream: Stream, expected: int, commit_id: str
    ) -> CommittedEvents:
        """Commit the events that an aggregate instance applied; for aggregate handles.

        Raises:
            WrongExpectedVersion: Another commit came first.
            StoreError: See ``EventStore.commit``.
        """
        prepared = tuple(
            self._prepare(event, stream.source, aggregate=stream.aggregate) for event in events
        )
        return await self._commit(prepared, commit_id, {stream: expected})

    # Aggregates

    def aggregate(self, root: type[A], source: str) -> AggregateInstance[A]:
        """Return a handle on one aggregate instance; nothing is loaded yet.

        Raises:
            Unknown: The class is no aggregate root.
        """
        declaration = declaration_of(root)
        if declaration is None:
            raise Unknown("aggregate root", root.__name__, self.definition.aggregates)
        return AggregateInstance(self, root, declaration, source)

    async def load_many(self, root: type[A], sources: Iterable[str]) -> dict[str, A]:
        """Load several instances of one aggregate root, by event source, for reading."""
        return {source: await self.aggregate(root, source).load() for source in sources}

    async def perform_by_name(
        self,
        aggregate: str,
        source: str,
        command: str,
        values: Mapping[str, Any],
        *,
        commit_id: str = "",
        lenient: bool = False,
    ) -> Performed[Any]:
        """Perform a command given by names and JSON-like values.

        Raises:
            Unknown: There is no such aggregate root or command.
            PayloadDoesNotFit: The values do not fit the command's arguments.
            RuleViolation: A rule refused; nothing was committed.
            LostRace: Others won ``ATTEMPTS_MAX`` times; nothing was committed.
            StoreError: See ``EventStore.commit``.
        """
        declaration = self.definition.aggregate(aggregate)
        found = command_of(declaration, command)
        what = f"{declaration.name}.{command}"
        arguments = arguments_for(found, values, what=what, lenient=lenient)
        instance: AggregateInstance[Any] = self.aggregate(declaration.cls, source)
        return await instance.perform_once(found.function, commit_id, **arguments)

    async def aggregate_state(self, aggregate: str, source: str) -> AggregateRoot:
        """Return an aggregate instance as it is now, by its name; its version 0 means none.

        Raises:
            Unknown: There is no such aggregate root.
        """
        return await self.aggregate(self.definition.aggregate(aggregate).cls, source).load()

    # Read models

    def projection(self, projection: type[T]) -> ReadModels[T]:
        """Return the read models of a projection.

        Raises:
            Unknown: The class is no projection.
        """
        declaration = projection_declaration_of(projection)
        if declaration is None:
            raise Unknown("projection", projection.__name__, self.definition.projections)
        return ReadModels(self, declaration.id, declaration.name, declaration.cls)

    def projection_by_name(self, name: str) -> ReadModels[Any]:
        """Return the read models of a projection by its name.

        Raises:
            Unknown: There is none.
        """
        declaration = self.definition.projection(name)
        return ReadModels(self, declaration.id, declaration.name, declaration.cls)

    # Handlers and projections seen from outside

    async def wait_until_seen(
        self, name: str, position: Position, *, timeout_s: float = WAIT_S, key: str = ""
    ) -> None:
        """Wait until a handler or projection has seen the event at a position.

        Args:
            name: Its class name or id.
            position: Of an event, e.g. ``committed.position``.
            timeout_s: Seconds.
            key: Of a projection's document; then failures of other keys do not matter.

        Raises:
            Unknown: There is no such handler or projection.
            WaitTimedOut: It did not get there in time.
            ProjectionFailed: It is a projection, and an event up to that position failed.
        """
        progress = Progress(self.definition, self.store, self.state)
        await progress.wait_until_seen(
            name,
            position,
            timeout_s=timeout_s,
            key=key,
            progressed=self._progressed,
            is_ours=lambda: self.deliverer is not None and self.deliverer.is_delivering,
        )

    async def processor_status(self, name: str) -> ProcessorStatus:
        """Return how far a handler or projection has got.

        ``behind`` is counted up to 10,000 events.

        Raises:
            Unknown: There is no such handler or projection.
        """
        return await Progress(self.definition, self.store, self.state).status(name)

    async def request(self, request: Request) -> int:
        """Ask the process that delivers for a replay, a retry or a skip; return its number.

        Raises:
            Unknown: There is no such handler or projection.
        """
        declaration = processor_declaration(self.definition, request.name)
        return await self.state.request(msgspec.structs.replace(request, name=declaration.id))
