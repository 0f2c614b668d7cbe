"""What the tasks of one event loop commit within one turn of the loop: it goes the same way.

A task alone is answered soonest when its loop writes at once, in its own thread. Several are
handed to the writer's thread together, which syncs once for all while the loop goes on.
"""

from __future__ import annotations

import asyncio
import threading

from dolittle.engines.file.replies import LoopReply, deliver
from dolittle.engines.file.writer import Writer
from dolittle.errors import StoreClosed
from dolittle.store import Commit


class TurnOfLoop:
    """Gathers what is committed until everything that the loop had to do now is done."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._mutex = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gathered: list[tuple[Commit, LoopReply]] = []

    def add(self, commit: Commit, reply: LoopReply) -> bool:
        """Take a commit in; ``False`` if commits of another event loop are just being gathered."""
        with self._mutex:
            if self._loop is None or self._loop.is_closed():
                # Whoever committed in a loop that was closed meanwhile waits no more.
                self._gathered = []
                reply.loop.call_soon(self._end)
                self._loop = reply.loop
            elif self._loop is not reply.loop:
                return False
            self._gathered.append((commit, reply))
            return True

    def _take(self) -> list[tuple[Commit, LoopReply]]:
        with self._mutex:
            gathered, self._gathered, self._loop = self._gathered, [], None
            return gathered

    def _end(self) -> None:
        gathered = self._take()
        if len(gathered) != 1:
            self._queue(gathered)
            return
        commit, reply = gathered[0]
        try:
            is_written = self._writer.write_now(commit, reply)
        finally:
            reply.resolve()
        if not is_written:
            self._queue(gathered)

    def hand_over(self) -> None:
        """Let the writer's thread have what was gathered until now."""
        self._queue(self._take())

    def _queue(self, gathered: list[tuple[Commit, LoopReply]]) -> None:
        for commit, reply in gathered:
            try:
                self._writer.enqueue(commit, reply)
            except StoreClosed as error:
                reply.set_exception(error)
                deliver([reply])
