"""A microservice in use: perform commands, commit events, ask read models, wait for them."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, get_type_hints

import msgspec

from dolittle.aggregates import (
    AggregateRoot,
    AggregateRootDeclaration,
    arguments_for,
    command_of,
    declaration_of,
)
from dolittle.errors import (
    DolittleError,
    LostRace,
    ProjectionFailed,
    Unknown,
    WaitTimedOut,
    WrongExpectedVersion,
)
from dolittle.events import event_type_of
from dolittle.execution import (
    DEVELOPMENT,
    Clock,
    ExecutionContext,
    SystemClock,
    current_context,
    new_id,
)
from dolittle.projections import projection_declaration_of
from dolittle.runtime.configuration import Configuration, find_project, load_configuration
from dolittle.runtime.definition import Definition, load_definition
from dolittle.runtime.delivery import Deliverer
from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.state import (
    FailingPartition,
    Processor,
    Request,
    SqliteState,
    State,
    active,
    newest,
)
from dolittle.serialization import encode, from_values
from dolittle.store import (
    Commit,
    CommittedEvent,
    CommittedEvents,
    EventStore,
    EventToCommit,
    Position,
    Selection,
    Stream,
)

A = TypeVar("A", bound=AggregateRoot)
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

ATTEMPTS_MAX: Final = 10
"""How often a command is tried when others keep winning the race for its aggregate."""

RACE_WAIT_S: Final = 0.002
"""The longest wait before the second try; it doubles with each further one."""

WAIT_S: Final = 10.0
"""How long a caller waits for a read model unless it says otherwise."""

LOOK_AGAIN_S: Final = 0.02
"""How often a position is looked at that another process moves."""


@dataclass(frozen=True)
class Performed(Generic[R]):
    """What a command came to.

    Attributes:
        value: What the command method returned.
        events: What was committed; ``None`` if the command applied no event.
        version: How many events the aggregate instance has now.
    """

    value: R
    events: CommittedEvents | None
    version: int


@dataclass(frozen=True)
class ProcessorStatus:
    """How far a handler or projection has got.

    Attributes:
        name: The class name.
        id: Under which its position is kept.
        kind: ``handler`` or ``projection``.
        position: Every event before it was handled or is in a failing partition.
        behind: How many events of its types are still to come; 0 if it is level.
        is_started: Whether it has ever run.
        is_replaying: Whether a replay or rebuild is under way.
    """

    name: str
    id: str
    kind: str
    position: Position
    behind: int
    is_started: bool
    is_replaying: bool
    failing: tuple[FailingPartition, ...] = ()


class Microservice:
    """A loaded microservice and the events of one of its tenants, open for use.

    ``async with Microservice.open() as kitchen:`` finds the project, loads its declarations,
    opens the store and delivers events meanwhile. ``for_tenant`` gives the same for another
    tenant.
    """

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
        clock: Clock | None = None,
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
        definition = load_definition(configuration.package, configuration.project)
        async with open_tenants(
            configuration,
            definition,
            tenants=configuration.tenants if deliver else (tenant,),
            deliver=deliver,
            only=only,
            ephemeral=ephemeral,
            clock=clock,
        ) as microservices:
            yield microservices[tenant]

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

    async def wait_until_seen(
        self, name: str, position: Position, *, timeout_s: float = WAIT_S
    ) -> None:
        """Wait until a handler or projection has seen the event at a position.

        Args:
            name: Its class name or id.
            position: Of an event, e.g. ``committed.position``.
            timeout_s: Seconds.

        Raises:
            Unknown: There is no such handler or projection.
            WaitTimedOut: It did not get there in time.
            ProjectionFailed: It is a projection, and an event up to that position failed.
        """
        declaration = self._processor_declaration(name)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        seen: Position = 0
        while True:
            change = asyncio.ensure_future(self._progressed.wait())
            try:
                current = await self._current(declaration.id)
                if current is not None:
                    seen = current.position
                    if seen > position:
                        await self._check_not_failing(declaration.name, current, position)
                        return
                remaining = end - loop.time()
                if remaining <= 0:
                    raise WaitTimedOut(declaration.name, position, seen, timeout_s)
                is_ours = self.deliverer is not None and self.deliverer.is_delivering
                pause = remaining if is_ours else min(remaining, LOOK_AGAIN_S)
                await asyncio.wait([change], timeout=pause)
            finally:
                change.cancel()

    async def _current(self, name: str) -> Processor | None:
        """Return the build that readers see, once its code is that of the loaded projection."""
        current = active(await self.state.processors(name))
        if current is None:
            return None
        for projection in self.definition.projections.values():
            if projection.id == name and projection.fingerprint != current.fingerprint:
                return None
        return current

    async def _check_not_failing(
        self, name: str, current: Processor, position: Position, key: str = ""
    ) -> None:
        if current.kind != "projection":
            return
        for row in await self.state.failing(current.name):
            is_same = row.build == current.build and key in ("", row.partition)
            if is_same and row.position <= position:
                raise ProjectionFailed(name, row.partition, row.position, row.error)

    def _processor_declaration(self, name: str) -> Any:
        for known in (self.definition.handlers, self.definition.projections):
            for declaration in known.values():
                if name in (declaration.name, declaration.id):
                    return declaration
        names = [*self.definition.handlers, *self.definition.projections]
        raise Unknown("event handler or projection", name, names)

    # Handlers and projections seen from outside

    async def processor_status(self, name: str) -> ProcessorStatus:
        """Return how far a handler or projection has got.

        ``behind`` is counted up to 10,000 events.

        Raises:
            Unknown: There is no such handler or projection.
        """
        declaration = self._processor_declaration(name)
        kind = "handler" if declaration.name in self.definition.handlers else "projection"
        builds = await self.state.processors(declaration.id)
        current = active(builds)
        latest = newest(builds)
        position = current.position if current else 0
        behind = await self._count(Selection(start=position, types=frozenset(declaration.methods)))
        failing = [
            row
            for row in await self.state.failing(declaration.id)
            if current is not None and row.build == current.build
        ]
        return ProcessorStatus(
            name=declaration.name,
            id=declaration.id,
            kind=kind,
            position=position,
            behind=behind,
            is_started=current is not None,
            is_replaying=bool(
                current and latest and (current.replay is not None or latest.build != current.build)
            ),
            failing=tuple(failing),
        )

    async def _count(self, selection: Selection, limit: int = 10_000) -> int:
        count = 0
        async for page in self.store.read(selection):
            count += len(page.events)
            if count >= limit:
                break
        return count

    async def request(self, request: Request) -> int:
        """Ask the process that delivers for a replay, a retry or a skip; return its number.

        Raises:
            Unknown: There is no such handler or projection.
        """
        declaration = self._processor_declaration(request.name)
        return await self.state.request(msgspec.structs.replace(request, name=declaration.id))


class AggregateInstance(Generic[A]):
    """A handle on one aggregate instance: perform its commands, or load it for reading."""

    def __init__(
        self,
        microservice: Microservice,
        root: type[A],
        declaration: AggregateRootDeclaration,
        source: str,
    ) -> None:
        self._microservice = microservice
        self._root = root
        self._declaration = declaration
        self._source = source

    async def perform(
        self, command: Callable[Concatenate[A, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> Performed[R]:
        """Load the instance, call a command on it, and commit what it applied.

        When another commit comes first, all three are done again, up to ``ATTEMPTS_MAX`` times.

        Args:
            command: A method of the aggregate root (``Kitchen.prepare_dish``), or any function
                that takes the instance first. It may be ``async``.
            args: Of the command.
            kwargs: Of the command.

        Raises:
            RuleViolation: A rule refused; nothing was committed.
            LostRace: Others won each time; nothing was committed.
            StoreError: See ``EventStore.commit``.
        """
        return await self.perform_once(command, "", *args, **kwargs)

    async def perform_once(
        self, command: Callable[..., Any], commit_id: str, *args: Any, **kwargs: Any
    ) -> Performed[Any]:
        """Do as :meth:`perform`, under a commit id: if that commit exists, it is answered again.

        A repeated command is not called; its ``value`` is ``None`` then.
        """
        store = self._microservice.store
        if commit_id:
            known = await store.find_commit(commit_id)
            if known is not None:
                repeated = msgspec.structs.replace(known, is_repeat=True)
                return Performed(None, repeated, known.events[-1].version)
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._try(command, commit_id, args, kwargs)
            except WrongExpectedVersion:
                longest = RACE_WAIT_S * 2**attempt
                await asyncio.sleep(random.uniform(0, longest))
        raise LostRace(self._declaration.name, self._source, ATTEMPTS_MAX)

    async def load(self) -> A:
        """Return the instance as it is now, for reading; an instance without events is new."""
        instance: A = self._root(self._source)
        selection = Selection(source=self._source, aggregate=self._declaration.id)
        async for page in self._microservice.store.read(selection):
            self._fold(instance, page.events)
        return instance

    async def _try(
        self,
        command: Callable[..., Any],
        commit_id: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Performed[Any]:
        instance = await self.load()
        loaded = instance.version
        value = command(instance, *args, **kwargs)
        if inspect.isawaitable(value):
            value = await value
        if not instance.applied_events:
            return Performed(value, None, loaded)
        stream = Stream(self._declaration.id, self._source)
        prepared = tuple(
            self._microservice._prepare(event, self._source, aggregate=self._declaration.id)
            for event in instance.applied_events
        )
        committed = await self._microservice._commit(prepared, commit_id, {stream: loaded})
        return Performed(value, committed, instance.version)

    def _fold(self, instance: A, events: Sequence[CommittedEvent]) -> None:
        """Fold stored events; those without an ``@on`` method count and are not decoded."""
        event_types = self._microservice.definition.event_types
        folds = self._declaration.folds
        for event in events:
            cls = event_types.class_of(event.type_id)
            if cls is not None and cls in folds:
                instance._fold(event_types.decode(event))
            else:
                instance._version += 1


class ReadModels(Generic[T]):
    """The read models of one projection: one document per key."""

    def __init__(self, microservice: Microservice, id: str, name: str, cls: type[T]) -> None:
        self._microservice = microservice
        self._id = id
        self._name = name
        self._decoder = msgspec.json.Decoder(cls)

    async def get(
        self,
        key: str,
        *,
        after: CommittedEvents | Performed[Any] | None = None,
        timeout_s: float = WAIT_S,
    ) -> T | None:
        """Return the document of a key, or ``None``.

        Args:
            key: The key's text.
            after: Wait until the projection has seen this commit.
            timeout_s: Seconds to wait for that.

        Raises:
            WaitTimedOut: The projection did not get there in time.
            ProjectionFailed: It could not handle an event that was waited for.
        """
        await self._wait(after, timeout_s)
        build = await self._build()
        content = await self._microservice.state.document(self._id, build, key) if build else None
        return None if content is None else self._decoder.decode(content)

    async def all(
        self,
        *,
        after: CommittedEvents | Performed[Any] | None = None,
        timeout_s: float = WAIT_S,
    ) -> dict[str, T]:
        """Return every document by key, sorted by key. For many documents, use :meth:`page`."""
        await self._wait(after, timeout_s)
        found: dict[str, T] = {}
        after_key = ""
        while True:
            page = await self.page(after_key=after_key, limit=1_000)
            found |= page
            if len(page) < 1_000:
                return found
            after_key = next(reversed(page))

    async def page(self, *, after_key: str = "", limit: int = 100) -> dict[str, T]:
        """Return up to ``limit`` documents with keys behind ``after_key``, sorted by key."""
        return {
            key: self._decoder.decode(content)
            for key, content in await self.raw_page(after_key=after_key, limit=limit)
        }

    async def raw_page(self, *, after_key: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return up to ``limit`` keys and documents as JSON, as they are stored."""
        build = await self._build()
        if not build:
            return []
        documents = await self._microservice.state.documents(
            self._id, build, after_key=after_key, limit=limit
        )
        return [(document.key, document.content) for document in documents]

    async def raw(self, key: str) -> bytes | None:
        """Return a document as JSON, as it is stored, or ``None``."""
        build = await self._build()
        return await self._microservice.state.document(self._id, build, key) if build else None

    async def count(self) -> int:
        """Return how many documents there are."""
        build = await self._build()
        return await self._microservice.state.count(self._id, build) if build else 0

    async def _build(self) -> int:
        current = active(await self._microservice.state.processors(self._id))
        return current.build if current is not None else 0

    async def _wait(self, after: CommittedEvents | Performed[Any] | None, timeout_s: float) -> None:
        events = after.events if isinstance(after, Performed) else after
        if events is not None:
            position = events.position if isinstance(events, CommittedEvents) else 0
            await self._microservice.wait_until_seen(self._name, position, timeout_s=timeout_s)


@asynccontextmanager
async def open_tenants(
    configuration: Configuration,
    definition: Definition,
    *,
    tenants: Iterable[str],
    deliver: bool,
    only: Iterable[str] = (),
    ephemeral: bool = False,
    clock: Clock | None = None,
) -> AsyncIterator[dict[str, Microservice]]:
    """Open tenants of a loaded microservice as ``Microservice.open`` does; close them at last."""
    opened: dict[str, Microservice] = {}
    try:
        for tenant in tenants:
            opened[tenant] = await _open_tenant(
                configuration,
                definition,
                tenant,
                ephemeral=ephemeral,
                clock=clock or SystemClock(),
                opened=opened,
                only=frozenset(only),
                deliver=deliver,
            )
        yield dict(opened)
    finally:
        await close_tenants(opened.values())


async def close_tenants(microservices: Iterable[Microservice]) -> None:
    """Stop delivery first, everywhere at once, then close stores and states."""
    opened = list(microservices)
    deliverers = [item.deliverer for item in opened if item.deliverer is not None]
    await asyncio.gather(*(deliverer.stop() for deliverer in deliverers))
    for item in opened:
        await item.store.close()
        await item.state.close()


async def _open_tenant(
    configuration: Configuration,
    definition: Definition,
    tenant: str,
    *,
    ephemeral: bool,
    clock: Clock,
    opened: Mapping[str, Microservice],
    only: frozenset[str],
    deliver: bool,
) -> Microservice:
    folder = configuration.tenant_folder(tenant)
    store = await open_store(configuration, tenant, ephemeral=ephemeral, clock=clock)
    try:
        state = SqliteState(None if ephemeral else folder / "state.sqlite")
        await state.claim(store.id)
    except DolittleError:
        await store.close()
        raise
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
    microservice = Microservice(
        definition,
        store,
        state,
        name=configuration.name,
        tenant=tenant,
        configuration=configuration,
        tenants=opened,
        progressed=around.progressed,
    )
    if deliver:
        lease = None if ephemeral else Lease(folder / "delivery.lock")
        microservice.deliverer = Deliverer(
            definition, around, lease, lambda cls: _make_handler(cls, microservice), only
        )
        await microservice.deliverer.start()
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


def _make_handler(cls: type, microservice: Microservice) -> Any:
    """Make a handler; a parameter of its ``__init__`` annotated ``Microservice`` is filled in."""
    wanted = {}
    if cls.__init__ is not object.__init__:  # type: ignore[misc]
        for name, annotation in get_type_hints(cls.__init__).items():  # type: ignore[misc]
            if annotation is Microservice:
                wanted[name] = microservice
    return cls(**wanted)
