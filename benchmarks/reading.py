"""Reading all events of a log, with payloads left as they are and decoded into classes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring import Contestant, Figures, Row, Target, Work, median_rate
from benchmarks.service.declared import OrderPlaced
from benchmarks.stores import EVENTS
from dolittle.engines.file import FileStore
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvent, Selection

BLOCK_BYTES = 1024 * 1024


class _RawEvent(msgspec.Struct, gc=False):
    type: str
    source: str
    content: msgspec.Raw


class _DecodedEvent(msgspec.Struct, gc=False):
    type: str
    source: str
    content: OrderPlaced


class _RawLine(msgspec.Struct, gc=False):
    position: int
    events: list[_RawEvent]


class _DecodedLine(msgspec.Struct, gc=False):
    position: int
    events: list[_DecodedEvent]


def _blocks(folder: Path) -> Iterator[bytes]:
    """Yield whole lines, a block at a time."""
    for path in sorted((folder / "log").iterdir()):
        rest = b""
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK_BYTES):
                cut = block.rfind(b"\n") + 1
                if cut:
                    yield rest + block[:cut]
                    rest = block[cut:]
                else:
                    rest += block


def floor(work: Work, log: str, decodes: bool) -> Figures:
    """Decode the same file with msgspec: no checksum, no index, no event objects of ours."""
    folder = work.data / log / EVENTS
    line_type: Any = _DecodedLine if decodes else _RawLine
    decoder = msgspec.json.Decoder(line_type)
    count = 0

    def read_all() -> None:
        nonlocal count
        count = 0
        for block in _blocks(folder):
            for line in decoder.decode_lines(block):
                count += len(line.events)

    read_all()
    return {"rate": median_rate(count, read_all, work.scale.pass_s_min)}


def _count(events: Sequence[CommittedEvent]) -> None:
    """Do nothing: as the floor, which counts what it has decoded from a line."""


def _look(events: Sequence[CommittedEvent]) -> None:
    """Look at each content as bytes, so that every event is built and its content copied."""
    for event in events:
        event.content  # noqa: B018 - being asked for is what is measured


_LOOKS: dict[str, Callable[[Sequence[CommittedEvent]], object]] = {
    "raw": _count,
    "raw, looked at": _look,
    "decoded": EventTypes([OrderPlaced]).decode_all,
}


def dolittle(work: Work, log: str, mode: str) -> Figures:
    """``store.read(Selection())``, and something for the events of each page."""
    return asyncio.run(_dolittle(work, log, _LOOKS[mode]))


async def _dolittle(
    work: Work, log: str, look: Callable[[Sequence[CommittedEvent]], object]
) -> Figures:
    store = await FileStore.open(work.data / log / EVENTS)
    count = 0
    taken: list[float] = []
    while sum(taken) < work.scale.pass_s_min or len(taken) < 3:
        count = 0
        begin = time.perf_counter()
        async for page in store.read(Selection()):
            look(page.events)
            count += len(page.events)
        taken.append(time.perf_counter() - begin)
    await store.close()
    taken = sorted(taken[1:])
    return {"rate": count / taken[len(taken) // 2]}


def _row(id: str, title: str, log: str) -> Row:
    raw, decoded = {"log": log, "decodes": False}, {"log": log, "decodes": True}
    return Row(
        id,
        title,
        (
            Contestant("msgspec, raw", "reading:floor", raw),
            Contestant("msgspec, decoded", "reading:floor", decoded),
            *(
                Contestant(f"dolittle, {mode}", "reading:dolittle", {"log": log, "mode": mode})
                for mode in _LOOKS
            ),
            Contestant("sqlite3, decoded", "peers.sqlite:read_all", {"log": log}),
            Contestant(
                "eventsourcing, decoded", "peers.eventsourcing:read_all", {"log": log}, True
            ),
            Contestant("umadb, decoded", "peers.umadb:read_all", {"log": log}, True),
        ),
        (
            Target("raw, of msgspec", "dolittle, raw", against="msgspec, raw", at_least=0.7),
            Target(
                "decoded, of msgspec",
                "dolittle, decoded",
                against="msgspec, decoded",
                at_least=0.7,
            ),
            Target(
                "decoded, of SQLite",
                "dolittle, decoded",
                against="sqlite3, decoded",
                at_least=1.2,
            ),
            Target(
                "decoded, of eventsourcing",
                "dolittle, decoded",
                against="eventsourcing, decoded",
                at_least=5,
            ),
        ),
        needs=(log, f"sqlite {log}", f"eventsourcing {log}", f"umadb {log}"),
    )


ROWS = (
    _row("read", "read all events, committed 100 at a time", "batches"),
    _row("read-singles", "read all events, committed 1 at a time", "scattered"),
)
