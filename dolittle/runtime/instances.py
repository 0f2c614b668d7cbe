"""A handle on one aggregate instance: load it, perform its commands, try again on a lost race."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

import msgspec

from dolittle.aggregates import AggregateRoot, AggregateRootDeclaration
from dolittle.errors import CommitIdReused, LostRace, RuleViolation, WrongExpectedVersion
from dolittle.serialization import EventTypes
from dolittle.store import (
    CommittedEvent,
    CommittedEvents,
    EventStore,
    Selection,
    Stream,
    type_ids,
)

A = TypeVar("A", bound=AggregateRoot)
R = TypeVar("R")
P = ParamSpec("P")

ATTEMPTS_MAX: Final = 10
"""How often a command is tried when others keep winning the race for its aggregate."""

RACE_WAIT_S: Final = 0.002
"""The longest wait before the second try; it doubles with each further one."""


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


class Committer(Protocol):
    """What an instance needs of its microservice: the store, and a way to commit."""

    @property
    def store(self) -> EventStore:
        """The event log of the tenant."""
        ...

    @property
    def event_types(self) -> EventTypes:
        """The event types of the microservice."""
        ...

    async def commit_applied(
        self, events: Sequence[object], stream: Stream, expected: int, commit_id: str
    ) -> CommittedEvents:
        """Commit the events that an aggregate instance applied."""
        ...


class AggregateInstance(Generic[A]):
    """A handle on one aggregate instance: perform its commands, or load it for reading."""

    def __init__(
        self,
        microservice: Committer,
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
            CommitTooLarge: The command applied too many or too large events.
            StoreError: See ``EventStore.commit``.
        """
        return await self.perform_once(command, "", *args, **kwargs)

    async def perform_once(
        self, command: Callable[..., Any], commit_id: str, *args: Any, **kwargs: Any
    ) -> Performed[Any]:
        """Do as :meth:`perform`, under a commit id: if that commit exists, it is answered again.

        A repeated command is not called; its ``value`` is ``None`` then.

        Raises:
            CommitIdReused: The id names a commit of another aggregate instance.
        """
        for attempt in range(ATTEMPTS_MAX):
            answered = await self._answered(commit_id)
            if answered is not None:
                return answered
            try:
                return await self._try(command, commit_id, args, kwargs)
            except WrongExpectedVersion:
                longest = RACE_WAIT_S * 2**attempt
                await asyncio.sleep(random.uniform(0, longest))
            except (RuleViolation, CommitIdReused):
                # The same commit may have come from somebody else while this one was tried.
                answered = await self._answered(commit_id)
                if answered is not None:
                    return answered
                raise
        raise LostRace(self._declaration.name, self._source, ATTEMPTS_MAX)

    async def _answered(self, commit_id: str) -> Performed[Any] | None:
        """Return what a commit came to that was made before, if it was.

        Raises:
            CommitIdReused: It was made on another aggregate instance, or on none.
        """
        known = await self._microservice.store.find_commit(commit_id) if commit_id else None
        if known is None:
            return None
        here = (self._declaration.id, self._source)
        if any((event.aggregate, event.source) != here for event in known.events):
            raise CommitIdReused(commit_id)
        repeated = msgspec.structs.replace(known, is_repeat=True)
        return Performed(None, repeated, known.events[-1].version)

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
        value = await _call(partial(command, instance, *args, **kwargs), command)
        if not instance.applied_events:
            return Performed(value, None, loaded)
        stream = Stream(self._declaration.id, self._source)
        committed = await self._microservice.commit_applied(
            instance.applied_events, stream, loaded, commit_id
        )
        return Performed(value, committed, committed.events[-1].version)

    def _fold(self, instance: A, events: Sequence[CommittedEvent]) -> None:
        """Fold stored events; those without an ``@on`` method count and are not decoded."""
        event_types, folds = self._microservice.event_types, self._declaration.folds
        fold_of = {
            type_id: folds.get(event_types.class_of(type_id) or object)
            for type_id in set(type_ids(events))
        }
        if all(fold_of.values()):
            for value in event_types.decode_all(events):
                folds[type(value)](instance, value)
                instance._version += 1
            return
        for event in events:
            fold = fold_of[event.type_id]
            if fold is not None:
                fold(instance, event_types.decode(event))
            instance._version += 1


async def _call(call: Callable[[], Any], command: Callable[..., Any]) -> Any:
    """Call a command: ``async def`` on the event loop, ``def`` in a thread, where it may block."""
    if inspect.iscoroutinefunction(command):
        return await call()
    value, error = await asyncio.to_thread(_outcome, call)
    if error is not None:
        raise error
    return await value if inspect.isawaitable(value) else value


def _outcome(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Return what a call returned or raised; a future cannot carry a ``StopIteration``."""
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return None, error
