"""Measures the file engine against floors of the same run: python benchmarks/file_engine.py.

A disk drifts by half from minute to minute, so floor and engine take turns and only their ratio
counts. Prints the median of each figure. Takes about half a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from dolittle.engines.file import FileStore
from dolittle.engines.file.line import StoredCommit
from dolittle.execution import ExecutionContext, new_id
from dolittle.store import Commit, EventToCommit, Selection

SOURCES = 1_000
CONTENT = msgspec.json.encode(
    {"dish": "Bean Blaster Taco", "chef": "Mr. Taco", "guests": 4, "note": "n" * 80}
)


def commit(number: int, events: int = 1) -> Commit:
    return Commit(
        new_id(),
        tuple(
            EventToCommit(
                "DishPrepared", f"kitchen {(number + i) % SOURCES}", CONTENT, aggregate="Kitchen"
            )
            for i in range(events)
        ),
        ExecutionContext(),
    )


def bare_append(folder: Path, line: bytes, count: int) -> float:
    """Return writes and syncs a second of a loop that does nothing else."""
    fd = os.open(folder / new_id(), os.O_WRONLY | os.O_CREAT)
    began = time.perf_counter()
    for _ in range(count):
        os.write(fd, line)
        os.fdatasync(fd)
    taken = time.perf_counter() - began
    os.close(fd)
    return count / taken


async def one_committer(store: FileStore, count: int, events: int = 1) -> float:
    began = time.perf_counter()
    for number in range(count):
        await store.commit(commit(number, events))
    return count / (time.perf_counter() - began)


async def many_committers(store: FileStore, count: int, committers: int) -> float:
    async def one(first: int) -> None:
        for number in range(count // committers):
            await store.commit(commit(first + number))

    began = time.perf_counter()
    await asyncio.gather(*(one(n * 997) for n in range(committers)))
    return count / (time.perf_counter() - began)


async def reading(store: FileStore, folder: Path) -> tuple[float, float]:
    """Return events a second of decoding the files and of reading the store."""
    decoder = msgspec.json.Decoder(StoredCommit)
    began, events = time.perf_counter(), 0
    for path in sorted((folder / "log").iterdir()):
        for stored in decoder.decode_lines(path.read_bytes()):
            events += len(stored.events)
    floor = events / (time.perf_counter() - began)
    began, events = time.perf_counter(), 0
    async for page in store.read(Selection()):
        events += len(page.events)
    return floor, events / (time.perf_counter() - began)


async def measure(folder: Path, rounds: int, count: int) -> dict[str, list[float]]:
    store = await FileStore.open(folder)
    figures: dict[str, list[float]] = {}

    async def note(name: str, measured: Callable[[], Awaitable[float]]) -> None:
        figures.setdefault(name, []).append(await measured())

    await store.commit(commit(0))
    line = (folder / "log" / f"{0:020}.jsonl").read_bytes()
    await store.commit(commit(0, 100))
    large = (folder / "log" / f"{0:020}.jsonl").read_bytes()[len(line) :]
    for _ in range(rounds):
        figures.setdefault("bare append, 1 event", []).append(bare_append(folder, line, count))
        await note("one committer, 1 event", lambda: one_committer(store, count))
        await note("64 committers, 1 event", lambda: many_committers(store, 8 * count, 64))
        figures.setdefault("bare append, 100 events", []).append(
            bare_append(folder, large, count // 10)
        )
        await note("one committer, 100 events", lambda: one_committer(store, count // 10, 100))
        floor, read = await reading(store, folder)
        figures.setdefault("decoding alone", []).append(floor)
        figures.setdefault("read all", []).append(read)
    await store.close()
    return figures


FLOORS = {
    "one committer, 1 event": "bare append, 1 event",
    "64 committers, 1 event": "one committer, 1 event",
    "one committer, 100 events": "bare append, 100 events",
    "read all": "decoding alone",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 21))
    parser.add_argument("--count", type=int, default=500, help="commits a round", metavar="N")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), options.rounds, options.count))
    for name, values in figures.items():
        ratio = ""
        if name in FLOORS:
            pairs = zip(values, figures[FLOORS[name]], strict=True)
            ratio = f"{statistics.median(a / b for a, b in pairs):5.2f} of {FLOORS[name]}"
        print(f"{name:28} {statistics.median(values):12,.0f} a second  {ratio}")


if __name__ == "__main__":
    main()
