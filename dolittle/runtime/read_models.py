"""The read models of one projection: ask for one, all or a page, and wait until they are new."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from dolittle.errors import PayloadDoesNotFit
from dolittle.runtime.instances import Performed
from dolittle.runtime.state import State, active
from dolittle.store import CommittedEvents, Position

T = TypeVar("T")
R = TypeVar("R")

WAIT_S: Final = 10.0
"""How long a caller waits for a read model unless it says otherwise."""


class Waiter(Protocol):
    """What read models need of their microservice: the state, and a way to wait."""

    @property
    def state(self) -> State:
        """The state of the tenant."""
        ...

    async def wait_until_seen(
        self, name: str, position: Position, *, timeout_s: float = ..., key: str = ...
    ) -> None:
        """Wait until a projection has seen the event at a position."""
        ...


class ReadModels(Generic[T]):
    """The read models of one projection: one document per key."""

    def __init__(self, microservice: Waiter, id: str, name: str, cls: type[T]) -> None:
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
            PayloadDoesNotFit: The document was made by other code, and does not fit the class.
        """
        await self._wait(after, timeout_s, key)
        content = await self.raw(key)
        return None if content is None else self._decoded(key, content)

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
            key: self._decoded(key, content)
            for key, content in await self.raw_page(after_key=after_key, limit=limit)
        }

    async def raw_page(self, *, after_key: str = "", limit: int = 100) -> list[tuple[str, bytes]]:
        """Return up to ``limit`` keys and documents as JSON, as they are stored."""
        state = self._microservice.state
        documents = await self._of_build(
            lambda build: state.documents(self._id, build, after_key=after_key, limit=limit)
        )
        return [(document.key, document.content) for document in documents or ()]

    async def raw(self, key: str) -> bytes | None:
        """Return a document as JSON, as it is stored, or ``None``."""
        state = self._microservice.state
        return await self._of_build(lambda build: state.document(self._id, build, key))

    async def count(self) -> int:
        """Return how many documents there are."""
        state = self._microservice.state
        return await self._of_build(lambda build: state.count(self._id, build)) or 0

    async def _of_build(self, ask: Callable[[int], Awaitable[R]]) -> R | None:
        """Ask the build that readers see; again, if another process has just swapped it."""
        build = await self._build()
        while build:
            answer = await ask(build)
            now = await self._build()
            if answer or now == build:
                return answer
            build = now
        return None

    def _decoded(self, key: str, content: bytes) -> T:
        try:
            return self._decoder.decode(content)
        except msgspec.MsgspecError as error:
            raise PayloadDoesNotFit(
                f"read model {self._name} {key!r}",
                str(error),
                hint="other code of this projection made it; it is rebuilt while the "
                "microservice runs, and after= waits for that",
            ) from error

    async def _build(self) -> int:
        current = active(await self._microservice.state.processors(self._id))
        return current.build if current is not None else 0

    async def _wait(
        self, after: CommittedEvents | Performed[Any] | None, timeout_s: float, key: str = ""
    ) -> None:
        committed = after.events if isinstance(after, Performed) else after
        if committed is not None:
            position = committed.position
            await self._microservice.wait_until_seen(
                self._name, position, timeout_s=timeout_s, key=key
            )
