"""Keeps a microservice served while its code is edited: load first, then swap the processes.

The supervisor holds the listening socket for as long as it runs, so connections that come in
while processes are swapped wait in its queue instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from dolittle.runtime.child import Child, OutputLine
from dolittle.runtime.host import Hosting
from dolittle.runtime.reports import (
    Changed,
    EndedEarly,
    Failed,
    Loaded,
    ReloadPaused,
    StillServing,
    Tell,
    TooSlow,
    Waiting,
)
from dolittle.runtime.stopping import GRACE_S

RELOADS_MAX: Final = 10
RELOADS_WINDOW_S: Final = 10.0
"""More than ``RELOADS_MAX`` reloads in so many seconds are no person at work, but a loop."""

QUIET_S: Final = 3.0
"""How long nothing may change before a loop is taken to be over."""

RESTARTS_MAX: Final = 5
"""How often a process that ends by itself is started again before it is left alone."""

RESTART_S: Final = 0.5
"""The wait before the first restart; it doubles with each further one."""

HEALTHY_S: Final = 30.0
"""A process that ran for so long makes earlier restarts forgotten."""

Changes = Callable[[Path], AsyncIterator[frozenset[Path]]]


@dataclass(frozen=True)
class Pace:
    """The limits above, held together so that tests can shorten them."""

    reloads_max: int = RELOADS_MAX
    reloads_window_s: float = RELOADS_WINDOW_S
    quiet_s: float = QUIET_S
    restarts_max: int = RESTARTS_MAX
    restart_s: float = RESTART_S
    healthy_s: float = HEALTHY_S
    grace_s: float = GRACE_S


class _Next(Enum):
    """What woke the supervisor."""

    STOP = "stop"
    CHANGE = "change"
    ENDED = "ended"


class _Loading(Enum):
    """What became of a process that loaded code."""

    TOOK_OVER = "took over"
    REFUSED = "refused"
    OVERTAKEN = "overtaken"
    """It was stopped, or the code changed once more, before it was ready."""


class Supervisor:
    """Runs one microservice in a process of its own; swaps it when its code changes."""

    def __init__(
        self,
        hosting: Hosting,
        listener: socket.socket,
        *,
        tell: Tell,
        changes: Changes | None,
        watches: bool = True,
        on_output: OutputLine | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Make it.

        Args:
            hosting: What to host.
            listener: Listens already; closed by its owner.
            tell: Gets every report.
            changes: Yields changed files; ``None``: the code is never loaded again.
            watches: Whether a change of the code is among ``changes``, and so may mend what
                cannot run; else they are what somebody asks for, and it is given up.
            on_output: Gets each line of output; ``None``: the process writes by itself.
            pace: Limits.
        """
        self._hosting = hosting
        self._project = hosting.project.resolve()
        self._listener = listener
        self._tell = tell
        self._changes = changes
        self._watches = watches and changes is not None
        self._on_output = on_output
        self._pace = pace or Pace()
        self._current: Child | None = None
        self._relay: asyncio.Task[Failed | None] | None = None
        self._changed: asyncio.Queue[frozenset[Path]] = asyncio.Queue(maxsize=1_000)
        self._reloads: deque[float] = deque(maxlen=self._pace.reloads_max + 1)
        self._children: set[Child] = set()

    def kill(self) -> None:
        """Kill what runs, at once; for a second Ctrl-C."""
        for child in self._children:
            child.kill()

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until ``stop`` is set; return 0, or 1 if it was given up.

        It is given up when its store cannot be opened; without watching also when its code
        cannot be loaded or started, or when its process has ended by itself too often.
        """
        watching = None
        if self._changes is not None:
            watching = asyncio.create_task(self._watch(self._changes))
        try:
            return await self._run(stop)
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            await self._stop_current()
            for child in [*self._children]:
                await self._let_go(child)

    async def _let_go(self, child: Child) -> None:
        await child.close()
        self._children.discard(child)

    async def _run(self, stop: asyncio.Event) -> int:
        restarts = 0
        loop = asyncio.get_running_loop()
        is_wanted = True
        began_s = loop.time()
        while not stop.is_set():
            if is_wanted:
                began_s = loop.time()
                outcome = await self._load(stop)
                if outcome is _Loading.REFUSED and self._current is None:
                    if not self._watches:
                        return 1
                    self._tell(Waiting())
            is_wanted = False
            woken = await self._wait(stop)
            if woken is _Next.CHANGE:
                restarts = 0
                is_wanted = await self._take_changes(stop)
            elif woken is _Next.ENDED:
                if loop.time() - began_s >= self._pace.healthy_s:
                    restarts = 0
                restarts += 1
                goes_on = await self._after_end(restarts, stop)
                if goes_on is None:
                    return 1
                is_wanted = goes_on
        return 0

    # Loading

    async def _load(self, stop: asyncio.Event) -> _Loading:
        """Start a process; if its code is in order, let it take over."""
        child = await Child.start(self._hosting, self._listener, on_output=self._on_output)
        self._children.add(child)
        first = asyncio.ensure_future(child.next_report())
        await self._first_of(stop, first, with_changes=True)
        if not first.done():
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await self._let_go(child)
            return _Loading.OVERTAKEN
        report = first.result()
        if isinstance(report, Loaded):
            await self._stop_current()
            self._begin(child)
            return _Loading.TOOK_OVER
        self._tell(report if isinstance(report, Failed) else EndedEarly(await child.ended()))
        await self._let_go(child)
        if self._current is not None:
            self._tell(StillServing())
        return _Loading.REFUSED

    def _begin(self, child: Child) -> None:
        self._current = child
        child.serve()
        self._relay = asyncio.create_task(self._relay_reports(child))

    async def _relay_reports(self, child: Child) -> Failed | None:
        """Hand on what a process reports; return why it ended, if it said so."""
        failed = None
        async for report in child.reports():
            if isinstance(report, Failed):
                failed = report
            self._tell(report)
        return failed

    async def _stop_current(self) -> None:
        child, relay = self._current, self._relay
        self._current = self._relay = None
        if child is None:
            return
        if not await child.stop(self._pace.grace_s):
            self._tell(TooSlow(self._pace.grace_s))
        self._children.discard(child)
        if relay is not None:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)

    # Waiting

    async def _wait(self, stop: asyncio.Event) -> _Next:
        ended = None
        if self._current is not None:
            ended = asyncio.ensure_future(self._current.ended())
        try:
            return await self._first_of(stop, ended, with_changes=self._changes is not None)
        finally:
            if ended is not None:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)

    async def _first_of(
        self, stop: asyncio.Event, other: asyncio.Future[Any] | None, *, with_changes: bool
    ) -> _Next:
        """Wait until one happens; a change stays in the queue."""
        stopped = asyncio.ensure_future(stop.wait())
        waiting: set[asyncio.Future[Any]] = {stopped}
        changed = None
        if with_changes and self._changes is not None:
            changed = asyncio.ensure_future(self._changed.get())
            waiting.add(changed)
        if other is not None:
            waiting.add(other)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if changed is not None and changed.done():
                self._put_back(changed.result())
            if stopped.done():
                return _Next.STOP
            if other is not None and other.done():
                return _Next.ENDED
            return _Next.CHANGE
        finally:
            for task in (stopped, changed):
                if task is not None:
                    task.cancel()

    # Changes

    async def _watch(self, changes: Changes) -> None:
        try:
            async for paths in changes(self._project):
                await self._changed.put(paths)
        except OSError as error:
            hint = "start again; where that does not help, use --no-reload"
            self._tell(Failed("watching", f"the code is no longer watched: {error}", hint))

    def _put_back(self, paths: frozenset[Path]) -> None:
        self._changed.put_nowait(paths | self._drain())

    def _drain(self) -> frozenset[Path]:
        found: frozenset[Path] = frozenset()
        while not self._changed.empty():
            found |= self._changed.get_nowait()
        return found

    async def _take_changes(self, stop: asyncio.Event) -> bool:
        """Take the changes there are; tell whether the code is to be loaded again."""
        paths = self._drain()
        if not paths:
            return False
        loop = asyncio.get_running_loop()
        self._reloads.append(loop.time())
        is_full = len(self._reloads) == self._reloads.maxlen
        if is_full and loop.time() - self._reloads[0] <= self._pace.reloads_window_s:
            names = self._names(paths)
            self._tell(
                ReloadPaused(
                    self._pace.reloads_max, self._pace.reloads_window_s, self._pace.quiet_s, names
                )
            )
            paths |= await self._until_quiet(stop)
            self._reloads.clear()
        if stop.is_set():
            return False
        self._tell(Changed(self._names(paths)))
        return True

    async def _until_quiet(self, stop: asyncio.Event) -> frozenset[Path]:
        """Wait until nothing has changed for a while; return what changed until then."""
        found: frozenset[Path] = frozenset()
        while not stop.is_set():
            quiet = asyncio.ensure_future(asyncio.sleep(self._pace.quiet_s))
            woken = await self._first_of(stop, quiet, with_changes=True)
            quiet.cancel()
            if woken is not _Next.CHANGE:
                break
            found |= self._drain()
        return found

    def _names(self, paths: frozenset[Path]) -> list[str]:
        return sorted(
            str(path.relative_to(self._project) if path.is_relative_to(self._project) else path)
            for path in paths
        )

    # Ends

    async def _after_end(self, restarts: int, stop: asyncio.Event) -> bool | None:
        """Deal with a process that ended by itself.

        Returns:
            Whether to start it again; ``None`` to give up.
        """
        child, relay = self._current, self._relay
        assert child is not None
        self._current = self._relay = None
        reason = await child.ended()
        failed = await relay if relay is not None else None
        await self._let_go(child)
        if failed is not None:
            # It said why it cannot be opened; time mends nothing, a change of the code may.
            if not self._watches or not failed.is_in_code:
                return None
            self._tell(Waiting())
            return False
        if restarts > self._pace.restarts_max:
            self._tell(EndedEarly(reason))
            if not self._watches:
                return None
            self._tell(Waiting())
            return False
        delay_s = self._pace.restart_s * 2 ** (restarts - 1)
        self._tell(EndedEarly(reason, again_after_s=delay_s))
        pause = asyncio.ensure_future(asyncio.sleep(delay_s))
        try:
            await self._first_of(stop, pause, with_changes=True)
        finally:
            pause.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pause
        # What changed meanwhile is loaded with it.
        self._drain()
        return True
