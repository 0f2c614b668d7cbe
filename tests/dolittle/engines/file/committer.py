"""A process of its own that commits to a store; started by the tests of several processes.

Usage: committer.py FOLDER NAME COUNT. Prints the id of each commit after its answer, one a line.
With COUNT 0 it goes on until it is killed. Each commit raises the version of the one instance
that all processes share, if it wins, and always that of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from dolittle.engines.file import FileStore
from dolittle.errors import WrongExpectedVersion
from dolittle.execution import ExecutionContext
from dolittle.store import Commit, EventToCommit, Stream

SHARED = Stream("Shared", "one")


async def commit_once(store: FileStore, name: str, number: int) -> None:
    own = EventToCommit("Own", name, b'{"number":%d}' % number, aggregate="Own")
    shared = EventToCommit(
        "Shared", SHARED.source, b'{"by":"%b"}' % name.encode(), aggregate=SHARED.aggregate
    )
    version = await store.version(SHARED)
    commit_id = f"{name}-{number}"
    try:
        await store.commit(
            Commit(f"{commit_id}-both", (own, shared), ExecutionContext(), {SHARED: version})
        )
        print(f"{commit_id}-both", flush=True)
    except WrongExpectedVersion:
        await store.commit(Commit(f"{commit_id}-own", (own, own), ExecutionContext()))
        print(f"{commit_id}-own", flush=True)


async def main(folder: Path, name: str, count: int) -> None:
    store = await FileStore.open(folder, segment_bytes=200_000)
    for number in range(count) if count else itertools.count():
        if count:
            await commit_once(store, name, number)
        else:
            await asyncio.gather(*(commit_once(store, name, 3 * number + i) for i in range(3)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
