"""A process of its own that waits for a store to grow; started by the tests of waking.

Usage: waiter.py FOLDER COUNT. Prints ``ready``, then for each commit that it was woken for the
nanoseconds between the committing process's note of the time and its own, then the processor
time in seconds that it has used since.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from dolittle.engines.file import FileStore
from dolittle.store import Selection


async def main(folder: Path, count: int) -> None:
    store = await FileStore.open(folder)
    position = await store.head()
    print("ready", flush=True)
    used_s = time.process_time()
    for _ in range(count):
        await store.wait(position)
        seen_ns = time.monotonic_ns()
        async for page in store.read(Selection(start=position)):
            position = page.next_position
            for event in page.events:
                began_ns = msgspec.json.decode(event.content)["ns"]
        print(seen_ns - began_ns, flush=True)
    print(time.process_time() - used_s, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
