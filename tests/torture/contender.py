"""A process that fights for versions; started by ``processes.contend``.

Usage: contender.py FOLDER NAME DECISIONS SOURCES. Each decision expects the version that it has
just read. Prints how many it has won and lost.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from dolittle.engines.file import FileStore
from dolittle.errors import WrongExpectedVersion
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit, Stream


async def main(folder: Path, name: str, decisions: int, sources: int) -> None:
    """Decide as often as asked."""
    store = await FileStore.open(folder, lock_wait_s=120)
    chance = random.Random(name)
    won = 0
    for number in range(decisions):
        stream = Stream("Table", f"Table {chance.randrange(sources)}")
        version = await store.version(stream)
        event = EventToCommit(
            "Paid", stream.source, b'{"by":"%b"}' % name.encode(), aggregate="Table"
        )
        commit = Commit(f"{name}-{number}", (event,), ExecutionContext(), {stream: version})
        try:
            answer = await store.commit(commit)
        except WrongExpectedVersion:
            continue
        assert answer.events[0].version == version + 1
        won += 1
    await store.close()
    print(won, decisions - won)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
