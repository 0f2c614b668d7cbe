"""What the tasks of one event loop commit within one turn of the loop: it goes the same way.

A task alone is answered soonest when it writes at once, in the loop's own thread. Several are
handed to the writer's thread together, which syncs once for all while the loop goes on.
"""

from __future__ import annotations

import asyncio
import threading

from dolittle.engines.file.replies import LoopReply, deliver
from dolittle.engines.file.writer import Writer
from dolittle.errors import StoreClosed
from dolittle.store import Commit, CommittedEvents


class TurnOfLoop:
    """Gathers what is committed until every task that is ready now has had its turn."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._mutex = threading.Lock()
        self._gathered: dict[asyncio.AbstractEventLoop, list[tuple[Commit, LoopReply]]] = {}

    async def commit(self, commit: Commit) -> CommittedEvents:
        """Commit, and return the answer; raises what the writer answers with.

        Raises:
            StoreClosed: Nothing is written any more.
        """
        reply = LoopReply()
        with self._mutex:
            gathered = self._gathered.get(reply.loop)
            is_first = gathered is None
            if gathered is None:
                gathered = self._gathered[reply.loop] = []
            gathered.append((commit, reply))
        if is_first:
            try:
                await asyncio.sleep(0)
            except BaseException:
                # Cancelled: the others that were gathered go on.
                reply.future.cancel()
                self._queue(self._take(reply.loop))
                raise
            gathered = self._take(reply.loop)
            if len(gathered) == 1 and self._writer.write_now(commit, reply):
                return reply.answer() if reply.done() else await reply.future
            self._queue(gathered)
        return await reply.future

    def _take(self, loop: asyncio.AbstractEventLoop) -> list[tuple[Commit, LoopReply]]:
        with self._mutex:
            return self._gathered.pop(loop, [])

    def hand_over(self) -> None:
        """Let the writer's thread have what was gathered until now, whichever loop waits for it."""
        with self._mutex:
            loops = list(self._gathered)
        for loop in loops:
            self._queue(self._take(loop))

    def _queue(self, gathered: list[tuple[Commit, LoopReply]]) -> None:
        try:
            self._writer.enqueue(gathered)
        except StoreClosed as error:
            for _, reply in gathered:
                reply.set_exception(error)
            deliver(reply for _, reply in gathered)
