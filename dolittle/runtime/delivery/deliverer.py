"""Runs the loops of one tenant: starts and stops them, rebuilds projections, takes requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import msgspec

from dolittle.projections import ProjectionDeclaration
from dolittle.runtime.definition import Definition
from dolittle.runtime.delivery.handling import HandlerLoop
from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.delivery.projecting import ProjectionLoop
from dolittle.runtime.delivery.surroundings import Signal, Surroundings, log, said_by
from dolittle.runtime.state import (
    Change,
    Processor,
    Request,
    active,
    newest,
    next_build,
    shadow,
)
from dolittle.store import START

LOOK_FOR_REQUESTS_S: Final = 0.3
"""How often the state is asked whether another process has left a request (microseconds each)."""

AGAIN_AFTER_S: Final = 5.0
"""How long a loop that broke off (a damaged store, a full disk) waits before it starts again."""

IN_HAND_S: Final = 2.0
"""How long a stop may take before it says what it waits for."""


class Deliverer:
    """Delivers the events of one tenant while it holds the lease.

    Another process may hold it; then this one waits in line and takes over.
    """

    def __init__(
        self,
        definition: Definition,
        around: Surroundings,
        lease: Lease | None,
        make_handler: Callable[[type], Any],
        only: frozenset[str] = frozenset(),
    ) -> None:
        """Make a deliverer.

        Args:
            definition: What to deliver to.
            around: Store, state and the rest.
            lease: ``None`` where no other process can reach the tenant (memory).
            make_handler: Makes the instance of a handler's class.
            only: Ids of the handlers and projections to deliver to; empty: all.
        """
        self._definition = definition
        self._around = around
        self._lease = lease
        self._make_handler = make_handler
        self._only = only
        self._handlers: dict[str, HandlerLoop] = {}
        self._projections: dict[tuple[str, int], ProjectionLoop] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._main: asyncio.Task[None] | None = None
        self._errors: dict[str, str] = {}
        self._taken: set[int] = set()
        self._paused: set[tuple[str, int]] = set()
        self._is_stopping = False

    @property
    def is_delivering(self) -> bool:
        """Whether this process holds the lease and delivers."""
        return bool(self._tasks)

    @property
    def holder(self) -> str:
        """Who holds the lease, in words."""
        return self._lease.holder() if self._lease is not None else "this process"

    @property
    def errors(self) -> dict[str, str]:
        """Loops that broke off, by name, with the reason; they start again by themselves."""
        return dict(self._errors)

    @property
    def progressed(self) -> Signal:
        """Notified when a position has moved."""
        return self._around.progressed

    async def start(self) -> None:
        """Begin to deliver; where the lease is taken, as soon as it is free.

        Raises:
            Exception: What making a handler raised, or what the state or the lease raised.
        """
        if self._lease is None or self._lease.try_take():
            await self._begin()
            self._main = asyncio.create_task(self._keep_watching())
        else:
            self._main = asyncio.create_task(self._wait_in_line())

    async def stop(self) -> None:
        """Finish the events in hand, save the positions, let go of the lease."""
        self._is_stopping = True
        self._stop_loops()
        if self._main is not None:
            self._main.cancel()
            await asyncio.gather(self._main, return_exceptions=True)
            self._stop_loops()  # one may have been started meanwhile
        for key in self._paused:
            self._tasks[key].cancel()
        telling = asyncio.create_task(self._tell_what_is_in_hand())
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        telling.cancel()
        self._tasks.clear()
        if self._lease is not None:
            self._lease.let_go()

    async def _tell_what_is_in_hand(self) -> None:
        """Say what keeps this from stopping, once it takes long."""
        await asyncio.sleep(IN_HAND_S)
        for handler in self._handlers.values():
            for each in handler.in_hand:
                log.warning("stopping: waiting for %s", each)

    def _stop_loops(self) -> None:
        for handler in self._handlers.values():
            handler.stop()
        for projection in self._projections.values():
            projection.stop()

    async def _wait_in_line(self) -> None:
        assert self._lease is not None
        await self._lease.take()
        log.info("delivery is taken over from another process")
        while True:
            try:
                await self._begin()
                break
            except Exception as error:  # noqa: BLE001 - said, kept for people to see, and tried again
                await self._pause_after("delivery", error)
        await self._keep_watching()

    async def _keep_watching(self) -> None:
        """Watch; after an error say so and go on."""
        while True:
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001 - said, kept for people to see, and tried again
                await self._pause_after("delivery", error)

    async def _pause_after(self, name: str, error: Exception) -> None:
        """Say what broke off and wait before it begins again."""
        self._errors[name] = said_by(error)
        self._around.progressed.notify()
        log.error("%s broke off; again in %s s", name, AGAIN_AFTER_S, exc_info=error)
        clock = self._around.clock
        await clock.wait_until(clock.now() + timedelta(seconds=AGAIN_AFTER_S))
        self._errors.pop(name, None)

    async def _begin(self) -> None:
        """Start a loop for every handler and for every build of every projection."""
        for declaration in self._definition.handlers.values():
            if self._is_wanted(declaration.id) and declaration.id not in self._handlers:
                instance = self._make_handler(declaration.cls)
                loop = HandlerLoop(declaration, instance, self._around)
                self._handlers[declaration.id] = loop
                self._run((declaration.id, 1), loop)
        for projection in self._definition.projections.values():
            if self._is_wanted(projection.id):
                await self._begin_projection(projection)
        await self._look_for_requests()

    def _is_wanted(self, name: str) -> bool:
        return not self._only or name in self._only

    async def _begin_projection(self, declaration: ProjectionDeclaration) -> None:
        """Start the builds of a projection; begin a new one where its code has changed."""
        name = declaration.id
        await self._promote_asked(declaration)
        builds = await self._around.state.processors(name)
        latest = newest(builds)
        if latest is None:
            latest = await self._begin_build(declaration)
            builds = [latest]
        elif latest.fingerprint != declaration.fingerprint:
            log.info("%s has changed: it is rebuilt beside the read model there is", name)
            latest = await self._begin_build(declaration)
            builds = [*builds, latest]
        for build in builds:
            if build.kind == "shadow":
                continue
            if build.fingerprint == declaration.fingerprint:
                self._start_build(declaration, build)
            elif not build.is_active:
                await self._around.state.discard(name, build.build)

    async def _begin_build(self, declaration: ProjectionDeclaration) -> Processor:
        """Make the next build of a projection, from the start of the log."""
        name = declaration.id
        builds = await self._discard_unfinished(name)
        made = Processor(
            name,
            "projection",
            build=next_build(builds),
            is_active=newest(builds) is None,
            position=START,
            fingerprint=declaration.fingerprint,
        )
        await self._around.state.save(Change(made))
        return made

    async def _discard_unfinished(self, name: str) -> list[Processor]:
        """Give up a rebuild that is under way; return the builds that there were."""
        builds = await self._around.state.processors(name)
        for build in builds:
            if not build.is_active and build.kind != "shadow":
                await self._stop_loop((name, build.build))
                await self._around.state.discard(name, build.build)
        return builds

    async def _promote_asked(self, declaration: ProjectionDeclaration) -> None:
        """Promote the shadow that a request asks for, before a rebuild of the same is begun."""
        for request in await self._around.state.requests():
            if request.kind == "promote" and request.name == declaration.id:
                await self._promote(declaration)
                await self._around.state.finish_request(request.number)

    async def _promote(self, declaration: ProjectionDeclaration) -> Processor | None:
        """Make a shadow the rebuild of its projection: it goes on, and is swapped in when level.

        Returns:
            The build; ``None`` where there is no shadow, or one of other code.
        """
        name = declaration.id
        found = shadow(await self._around.state.processors(name))
        if found is None or found.fingerprint.partition("/")[0] != declaration.fingerprint:
            log.warning(
                "%s has no shadow that its code, as it is loaded here, has made: "
                "nothing is promoted",
                name,
            )
            return None
        builds = await self._discard_unfinished(name)
        made = msgspec.structs.replace(
            found,
            kind="projection",
            is_active=active(builds) is None,
            fingerprint=declaration.fingerprint,
        )
        await self._around.state.save(Change(made))
        return made

    def _start_build(self, declaration: ProjectionDeclaration, build: Processor) -> None:
        if (build.name, build.build) not in self._projections:
            loop = ProjectionLoop(declaration, build, self._around)
            self._projections[build.name, build.build] = loop
            self._run((build.name, build.build), loop)

    def _run(self, key: tuple[str, int], loop: HandlerLoop | ProjectionLoop) -> None:
        self._tasks[key] = asyncio.create_task(self._keep_running(key, loop))

    async def _keep_running(self, key: tuple[str, int], loop: HandlerLoop | ProjectionLoop) -> None:
        """Run a loop; if it breaks off, say so and start it again."""
        while True:
            try:
                await loop.run()
                return
            except Exception as error:  # noqa: BLE001 - said, kept for people to see, and tried again
                if self._is_stopping:
                    log.exception("delivery to %s broke off while it was stopped", loop.name)
                    return
                self._paused.add(key)
                try:
                    await self._pause_after(loop.name, error)
                finally:
                    self._paused.discard(key)

    async def _stop_loop(self, key: tuple[str, int]) -> None:
        loop, task = self._projections.pop(key, None), self._tasks.pop(key, None)
        if loop is not None and task is not None:
            loop.stop()
            if key in self._paused:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        """Swap in finished rebuilds, and take requests that a person or a process leaves."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_FOR_REQUESTS_S):
                    await self._around.progressed.wait()
            await self._swap_finished()
            await self._look_for_requests()

    async def _look_for_requests(self) -> None:
        for request in await self._around.state.requests():
            if request.number not in self._taken:
                await self._take(request)
                self._taken.add(request.number)

    async def _take(self, request: Request) -> None:
        if request.name in self._handlers:
            self._handlers[request.name].take(request)
            return
        builds = [loop for key, loop in self._projections.items() if key[0] == request.name]
        if builds and request.kind in ("replay", "promote"):
            declaration = builds[0].declaration
            begin = self._promote if request.kind == "promote" else self._begin_build
            build = await begin(declaration)
            if build is not None:
                self._start_build(declaration, build)
            await self._around.state.finish_request(request.number)
        elif builds:
            for loop in builds:
                loop.take(request)
        elif not self._only:
            log.warning("there is no handler or projection %r to %s", request.name, request.kind)
            await self._around.state.finish_request(request.number)

    async def _swap_finished(self) -> None:
        """Let readers see a rebuild that has come as far as the read model it replaces."""
        for name, build in list(self._projections):
            loop = self._projections.get((name, build))
            if loop is None or loop.processor.is_active:
                continue
            old = active(await self._around.state.processors(name))
            if old is None or loop.processor.position < old.position:
                continue
            await self._stop_loop((name, old.build))
            old = active(await self._around.state.processors(name))
            if old is not None and loop.processor.position < old.position:
                continue  # the old one got further before it stopped; readers never go back
            await self._stop_loop((name, build))
            await self._around.state.activate(name, build)
            fresh = active(await self._around.state.processors(name))
            if fresh is not None:
                self._start_build(loop.declaration, fresh)
            log.info("%s is rebuilt", name)
            self._around.progressed.notify()
