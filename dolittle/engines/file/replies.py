"""How an answer gets from the writer's thread to who waits for it: a thread, or an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Final, Protocol

from dolittle.store import CommittedEvents


class Reply(Protocol):
    """What the writer answers to; ``concurrent.futures.Future`` is one, for threads."""

    def set_running_or_notify_cancel(self) -> bool:
        """Return whether an answer is still wanted; afterwards there is one."""
        ...

    def done(self) -> bool:
        """Return whether it was answered."""
        ...

    def set_result(self, result: CommittedEvents, /) -> None:
        """Answer."""
        ...

    def set_exception(self, exception: BaseException | None, /) -> None:
        """Answer with an error."""
        ...


class ThreadReply(Future[CommittedEvents]):
    """A reply to a thread, which remembers whether the thread waits for its answers."""

    def result(self, timeout: float | None = None) -> CommittedEvents:
        """Return the answer, as any future does."""
        _thread.awaits = True
        return super().result(timeout)

    @staticmethod
    def is_awaited_here() -> bool:
        """Tell whether this thread has asked for an answer since this was called before.

        One that hands over several and then waits gains by having them written at once. The
        main thread is left out, for Ctrl-C may interrupt it anywhere.
        """
        awaits = getattr(_thread, "awaits", False)
        _thread.awaits = False
        return awaits and threading.current_thread() is not threading.main_thread()


_thread: Final = threading.local()


class LoopReply:
    """A reply to a task of an event loop. It is on its way once :func:`deliver` was called.

    All answers of a batch go to a loop in one call. To wake it for each costs a system call each,
    in which this thread and the loop's take the interpreter from one another: measured with 1,000
    committers, 7,000 commits a second instead of 20,000.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[CommittedEvents] = self.loop.create_future()
        self._answer: CommittedEvents | BaseException | None = None

    def set_running_or_notify_cancel(self) -> bool:
        """Return whether the task still waits."""
        return not self.future.cancelled()

    def done(self) -> bool:
        """Return whether there is an answer."""
        return self._answer is not None

    def set_result(self, result: CommittedEvents, /) -> None:
        """Answer."""
        self._answer = result

    def set_exception(self, exception: BaseException | None, /) -> None:
        """Answer with an error."""
        self._answer = exception

    def answer(self) -> CommittedEvents:
        """Return the answer that there is, or raise it."""
        if isinstance(self._answer, BaseException):
            raise self._answer
        assert self._answer is not None
        return self._answer

    def resolve(self) -> None:
        """Let the task go on; called by its loop."""
        if self.future.done():
            # The task was cancelled meanwhile.
            return
        if isinstance(self._answer, BaseException):
            self.future.set_exception(self._answer)
        elif self._answer is not None:
            self.future.set_result(self._answer)


def deliver(replies: Iterable[Reply | Future[CommittedEvents]]) -> None:
    """Send answers to their event loops, one call for each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[LoopReply]] = {}
    for reply in replies:
        if isinstance(reply, LoopReply):
            loops.setdefault(reply.loop, []).append(reply)
    for loop, answered in loops.items():
        with contextlib.suppress(RuntimeError):
            # Raised when the loop has been closed: then nobody waits.
            loop.call_soon_threadsafe(_resolve, answered)


def _resolve(answered: list[LoopReply]) -> None:
    for reply in answered:
        reply.resolve()
