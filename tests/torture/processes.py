"""Real processes on a real disk: killed at any moment, or after the same few versions."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dolittle.engines.file import FileStore
from dolittle.store import CommittedEvent, Selection, Stream
from tests.torture.history import require

HERE: Final = Path(__file__).parent
COMMITTER: Final = HERE.parent / "dolittle" / "engines" / "file" / "committer.py"
CONTENDER: Final = HERE / "contender.py"
CHECK_EVERY: Final = 20
"""Rounds after which the store is checked whole; it grows, and so does what a check costs."""

ROUNDS_MAX: Final = 100
"""Rounds on one store; then a new one is begun."""

ANSWER_S_MAX: Final = 120.0


def _started(program: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def kill_rounds(folder: Path, rounds: int, *, processes: int, seed: int) -> Counter[str]:
    """Let processes commit and kill each at a moment of its own, again and again.

    Args:
        folder: For the stores.
        rounds: How often.
        processes: How many write at once.
        seed: When each is killed.

    Raises:
        BrokenPromiseError: An acknowledged commit is gone, or anything else is not as it should.
    """
    chance = random.Random(seed)
    tried: Counter[str] = Counter()
    acknowledged: list[str] = []
    for number in range(rounds):
        store = folder / str(number // ROUNDS_MAX)
        if number % ROUNDS_MAX == 0:
            acknowledged = []
        told = _kill_once(store, number, processes, chance)
        acknowledged += told
        tried["commits acknowledged"] += len(told)
        tried["rounds"] += 1
        tried["processes killed"] += processes
        if number % CHECK_EVERY == CHECK_EVERY - 1 or number == rounds - 1:
            tried["events checked"] += asyncio.run(_check(store, acknowledged))
            print(f"{number + 1:,} of {rounds:,} rounds, {len(acknowledged):,} acknowledged")
            sys.stdout.flush()
    return tried


def _kill_once(store: Path, number: int, processes: int, chance: random.Random) -> list[str]:
    acknowledged: list[str] = []
    running = [_started(COMMITTER, store, f"r{number}-{which}", 0) for which in range(processes)]
    try:
        # All have committed something before the first one dies.
        for process in running:
            assert process.stdout is not None
            acknowledged.append(process.stdout.readline().strip())
        for process in running:
            _run_on(chance.random() * 0.02)
            process.kill()
    finally:
        for process in running:
            process.kill()
            acknowledged += _said_until_its_end(process)
    return acknowledged


def _said_until_its_end(process: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a process has still said; ``communicate`` would lose some.

    It reads past what ``readline`` has read ahead already.
    """
    process.wait(ANSWER_S_MAX)
    assert process.stdout is not None
    with process.stdout as out:
        return [line.strip() for line in out.read().splitlines(True) if line.endswith("\n")]


def _run_on(seconds: float) -> None:
    """Let the others work for a moment; there is no condition to wait for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


async def _check(folder: Path, acknowledged: Iterable[str]) -> int:
    store = await FileStore.open(folder)
    require(store.damage is None, f"a false alarm: {store.damage}")
    findings = await store.verify()
    require(not findings, f"verify found {findings[:3]}")
    events = [event async for page in store.read(Selection()) for event in page.events]
    check_events(events)
    there = {event.commit.id for event in events}
    missing = set(acknowledged) - there
    require(not missing, f"acknowledged and gone: {sorted(missing)[:3]}")
    await store.close()
    return len(events)


def check_events(events: list[CommittedEvent]) -> None:
    """Check positions, versions, and that each commit of two events is whole and there once."""
    require([e.position for e in events] == list(range(len(events))), "positions have a gap")
    versions: dict[Stream, int] = {}
    for event in events:
        if event.aggregate:
            stream = Stream(event.aggregate, event.source)
            versions[stream] = versions.get(stream, 0) + 1
            require(event.version == versions[stream], f"{stream} has a hole in its versions")
    commits = Counter(event.commit.id for event in events)
    require(set(commits.values()) <= {2}, "a commit is there in part, or twice")


def contend(folder: Path, decisions: int, *, processes: int, sources: int) -> Counter[str]:
    """Let processes commit to the same few versions; return how many were won and lost.

    Raises:
        BrokenPromiseError: A version was won by two, or by none.
    """
    each = -(-decisions // processes)
    running = [
        _started(CONTENDER, folder, f"p{number}", each, sources) for number in range(processes)
    ]
    tried: Counter[str] = Counter()
    try:
        for process in running:
            out, _ = process.communicate(timeout=3_600)
            require(process.returncode == 0, "a contender failed")
            won, lost = map(int, out.split())
            tried["won"] += won
            tried["lost"] += lost
    finally:
        for process in running:
            process.kill()
            process.communicate()
    asyncio.run(_check_contended(folder, tried["won"]))
    return tried


async def _check_contended(folder: Path, won: int) -> None:
    store = await FileStore.open(folder)
    require(await store.verify() == [], "verify found something")
    streams = await store.streams()
    events = [event async for page in store.read(Selection()) for event in page.events]
    require(len(events) == won, "others have won than were told so")
    seen = {(event.aggregate, event.source, event.version) for event in events}
    require(len(seen) == won, "a version was won twice")
    require(sum(version for _, version in streams) == won, "a version was won by nobody")
    await store.close()
