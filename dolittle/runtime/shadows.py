"""Shadow replay: what the code as it is now makes of the events, beside what readers see."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from dolittle.execution import SystemClock
from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.configuration import RetryPolicy
from dolittle.runtime.delivery.projecting import ProjectionLoop
from dolittle.runtime.delivery.surroundings import Signal, Surroundings
from dolittle.runtime.field_changes import FieldChange, changes
from dolittle.runtime.microservice import Microservice
from dolittle.runtime.state import (
    Change,
    Document,
    FailingPartition,
    Processor,
    State,
    active,
    next_build,
    shadow,
)
from dolittle.store import START, Position, Selection

PAGE_DOCUMENTS: Final = 1_000
"""Documents of each build that are held in memory while two builds are compared."""

MEETINGS_MAX: Final = 20
"""How often a shadow is brought level with a build that moves on, before they are compared."""

Kind = Literal["added", "changed", "deleted"]


@dataclass(frozen=True)
class KeyChange:
    """A read model that the code as it is now makes otherwise.

    Attributes:
        fields: What differs; of an added one every field, of a deleted one none.
    """

    key: str
    kind: Kind
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class Difference:
    """What differs between the read models that readers see and a shadow of them.

    Attributes:
        projection: The class.
        id: Of the projection.
        before: The build that readers see; 0: there is none yet.
        after: The shadow.
        position: Both have seen every event before it.
        unlike: Events that one has seen and the other has not: 0, but where events come faster
            than they can be folded.
        keys: The first of the changes, in the order of their keys.
        failing_before: Keys that fail in the build that readers see.
        failing: What fails in the shadow.
    """

    projection: str
    id: str
    before: int
    after: int
    position: Position
    unlike: int
    added: int
    changed: int
    deleted: int
    same: int
    keys: tuple[KeyChange, ...]
    failing_before: tuple[str, ...]
    failing: tuple[FailingPartition, ...]

    @property
    def changes(self) -> int:
        """How many read models differ."""
        return self.added + self.changed + self.deleted


class Shadow:
    """The shadow of one projection: a build that readers never see and nobody delivers to.

    It runs no handler and writes no event. One process at a time makes it.
    """

    def __init__(
        self, microservice: Microservice, declaration: ProjectionDeclaration, package: str
    ) -> None:
        """Take a projection; nothing is looked up yet.

        Args:
            microservice: With the code as it is now, opened without delivery: see
                ``State.snapshot``.
            declaration: The projection's.
            package: The digest of the code around it, see :func:`package_digest`.
        """
        self._store = microservice.store
        self._state = microservice.state
        self._around = _surroundings(microservice)
        self._declaration = declaration
        self._fingerprint = f"{declaration.fingerprint}/{package}"

    async def find(self) -> Processor | None:
        """Return the build, or ``None`` where there is none, be it of this code or of other."""
        return shadow(await self._state.processors(self._declaration.id))

    def is_of_this_code(self, build: Processor) -> bool:
        """Tell whether the code has stayed the same since a shadow was made."""
        return build.fingerprint == self._fingerprint

    async def behind(self, build: Processor) -> int:
        """Return how many events of the projection a shadow has not folded yet."""
        return await self._count(build.position, await self._store.head())

    async def discard(self) -> Processor | None:
        """Delete it; return what was deleted."""
        found = await self.find()
        if found is not None:
            await self._state.discard(found.name, found.build)
        return found

    async def fold(
        self, keys_max: int, folding: Callable[[ProjectionLoop], None] = lambda _loop: None
    ) -> Difference:
        """Make it, or bring it level with what readers see, and compare the two.

        A shadow that other code has made is made anew. Both have then seen the same events, so
        that what differs is the work of the code; where nothing was delivered yet, the shadow has
        seen every event there is.

        Args:
            keys_max: So many changes are kept, the others only counted.
            folding: Is given the loop that folds, to be asked how far it is.

        Raises:
            StoreError: The event log cannot be read.
            StateUnavailable: The state cannot be written.
        """
        build = await self.find()
        if build is not None and not self.is_of_this_code(build):
            await self.discard()
            build = None
        if build is None:
            build = await self._begin()
        for meeting in range(MEETINGS_MAX):
            current = active(await self._state.processors(build.name))
            stop = current.position if current is not None else await self._store.head()
            loop = ProjectionLoop(self._declaration, build, self._around)
            folding(loop)
            await loop.project_until(stop)
            async with self._state.snapshot():
                builds = await self._state.processors(build.name)
                found, current = shadow(builds), active(builds)
                assert found is not None  # nobody else discards it: one process makes it
                build = found
                there = build.position if current is None else current.position
                unlike = await self._count(*sorted((build.position, there)))
                if not unlike or meeting == MEETINGS_MAX - 1:
                    return await self._compare(build, current, unlike, keys_max)
        raise AssertionError("the last meeting returns")

    async def _begin(self) -> Processor:
        name = self._declaration.id
        build = Processor(
            name,
            "shadow",
            build=next_build(await self._state.processors(name)),
            is_active=False,
            position=START,
            fingerprint=self._fingerprint,
        )
        await self._state.save(Change(build))
        return build

    async def _count(self, start: Position, stop: Position) -> int:
        if start >= stop:
            return 0
        types = frozenset(self._declaration.methods)
        count = 0
        async for page in self._store.read(Selection(start=start, stop=stop, types=types)):
            count += len(page.events)
        return count

    async def _compare(
        self, build: Processor, current: Processor | None, unlike: int, keys_max: int
    ) -> Difference:
        counts = {"added": 0, "changed": 0, "deleted": 0, "same": 0}
        keys: list[KeyChange] = []
        before = current.build if current is not None else 0
        async for key, old, new in _pairs(self._state, build.name, before, build.build):
            change = _change(key, old, new)
            counts[change.kind if change is not None else "same"] += 1
            if change is not None and len(keys) < keys_max:
                keys.append(change)
        failing_before = (
            [row.partition for row in await self._state.failing(build.name, build=before)]
            if before
            else []
        )
        return Difference(
            projection=self._declaration.name,
            id=build.name,
            before=before,
            after=build.build,
            position=build.position,
            unlike=unlike,
            keys=tuple(keys),
            failing_before=tuple(failing_before),
            failing=tuple(await self._state.failing(build.name, build=build.build)),
            **counts,
        )


def package_digest(project: Path, package: str) -> str:
    """Return a digest of all source of a package: it changes when any of its code does.

    Args:
        project: The folder that the package is in, itself or in its ``src``.
        package: Its name, with dots where it is within another one.
    """
    root = project.joinpath(*package.split("."))
    if not (root.is_dir() or root.with_suffix(".py").is_file()):
        root = project.joinpath("src", *package.split("."))
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(project).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


async def _pairs(
    state: State, name: str, before: int, after: int
) -> AsyncIterator[tuple[str, bytes | None, bytes | None]]:
    """Yield every key of two builds with its document in each, in the order of the keys."""
    old, new = _documents(state, name, before), _documents(state, name, after)
    left, right = await anext(old, None), await anext(new, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            assert left is not None
            yield left.key, left.content, None
            left = await anext(old, None)
        elif left is None or right.key < left.key:
            yield right.key, None, right.content
            right = await anext(new, None)
        else:
            yield left.key, left.content, right.content
            left, right = await anext(old, None), await anext(new, None)


async def _documents(state: State, name: str, build: int) -> AsyncIterator[Document]:
    after_key = ""
    while build:
        page = await state.documents(name, build, after_key=after_key, limit=PAGE_DOCUMENTS)
        for document in page:
            yield document
        if len(page) < PAGE_DOCUMENTS:
            return
        after_key = page[-1].key


def _change(key: str, old: bytes | None, new: bytes | None) -> KeyChange | None:
    if old == new:
        return None
    if new is None:
        return KeyChange(key, "deleted", ())
    after: Any = msgspec.json.decode(new)
    if old is None:
        return KeyChange(key, "added", tuple(changes({}, after)))
    fields = changes(msgspec.json.decode(old), after)
    return KeyChange(key, "changed", tuple(fields)) if fields else None


def _surroundings(microservice: Microservice) -> Surroundings:
    """Return what a projection's loop needs; its key that fails is tried once, and noted down."""
    return Surroundings(
        microservice=microservice.name,
        tenant=microservice.tenant,
        version="",
        environment="",
        store=microservice.store,
        state=microservice.state,
        event_types=microservice.event_types,
        clock=SystemClock(),
        retry=RetryPolicy(attempts_max=1),
        random=random.random,
        progressed=Signal(),
    )
