"""UmaDB: its server, from the same wheel as its client, on a port of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from umadb import Client, Event, Query, QueryItem

from benchmarks.measuring import Figures, Work, disk_bytes, median_rate, seconds
from benchmarks.order import (
    ONE,
    TYPE,
    Order,
    of_writer,
    plain_json_bytes,
    round_robin,
    with_one,
)
from benchmarks.peers.decoded import OrderPlaced
from benchmarks.racing import race_processes, race_threads
from benchmarks.tail_times import WARM_UP, Reader, latencies, pace

_START_S_MAX = 10


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Run a server on a free port; end it by its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(sys.executable).with_name("umadb")
    process = subprocess.Popen(
        [script, "--listen", f"127.0.0.1:{port}", "--db-path", folder / "uma.db"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=_START_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + _START_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _events(orders: list[Order]) -> list[Event]:
    return [Event(TYPE, o.content, [o.source]) for o in orders]


def one_writer(work: Work, events: int) -> Figures:
    """One client, ``append`` after ``append``."""
    count = (work.scale.singles if events == 1 else work.scale.hundreds) // 2
    commits = [_events(orders) for orders in round_robin(count, events)]
    with _server(work.folder) as url:
        client = Client(url)
        client.append(_events([Order("warm-up", 1, b"{}")]))

        def commit_all() -> None:
            for made in commits:
                client.append(made)

        return {"rate": count * events / seconds(commit_all)}


def _committing(url: str, writer: int, each: int) -> Callable[[], None]:
    client = Client(url)
    commits = [_events(orders) for orders in of_writer(writer, each)]
    client.append(_events([Order(f"warm-up-{writer}", 1, b"{}")]))

    def commit_all() -> None:
        for made in commits:
            client.append(made)

    return commit_all


def _committing_to(folder: Path, writer: int, each: int) -> Callable[[], None]:
    return _committing((folder / "url").read_text(), writer, each)


def threads(work: Work, writers: int) -> Figures:
    """A client for each thread."""
    each = work.scale.per_writer
    with _server(work.folder) as url:
        actions = [_committing(url, writer, each) for writer in range(writers)]
        return {"rate": race_threads(actions, each)}


def processes(work: Work, writers: int) -> Figures:
    """A client for each process."""
    with _server(work.folder) as url:
        (work.folder / "url").write_text(url)
        each = work.scale.per_writer
        return {"rate": race_processes(_committing_to, work.folder, writers, each)}


def prepare(work: Work, name: str, events: int, per_commit: int) -> Figures:
    """Make the same log, 100 events to an append however many a commit has."""
    folder = work.data / f"umadb {name}"
    folder.mkdir()
    json_bytes = 0
    gathered: list[Order] = []
    with _server(folder) as url:
        client = Client(url)
        for orders in with_one(events, per_commit):
            json_bytes += sum(map(plain_json_bytes, orders))
            gathered += orders
            if len(gathered) >= 100:
                client.append(_events(gathered))
                gathered = []
    stored = disk_bytes(folder)
    return {"ratio": stored / json_bytes, "MB": stored / 1e6}


def read_all(work: Work, log: str) -> Figures:
    """``read`` everything, each content decoded into the event's class."""
    return _read(work, log, None)


def load(work: Work, log: str) -> Figures:
    """``read`` by tag, each content decoded."""
    return _read(work, log, Query([QueryItem(tags=[ONE])]))


def _read(work: Work, log: str, query: Query | None) -> Figures:
    decode = msgspec.json.Decoder(OrderPlaced).decode
    count = 0
    folder = work.folder / "copy"
    shutil.copytree(work.data / f"umadb {log}", folder)
    with _server(folder) as url:
        client = Client(url)

        def read() -> None:
            nonlocal count
            count = 0
            for found in client.read(query):
                decode(found.event.data)
                count += 1

        read()
        return {"rate": median_rate(count, read, work.scale.pass_s_min)}


def tail(work: Work) -> Figures:
    """Append here; another process subscribes."""
    count = WARM_UP + work.scale.tailed
    returned: list[int] = []
    with _server(work.folder) as url:
        client = Client(url)
        client.append(_events([Order("warm-up", 1, b"{}")]))
        with Reader("peers.umadb", url, count) as reader:
            begin = time.monotonic()
            for number, orders in enumerate(of_writer(0, count)):
                pace(begin, number)
                client.append(_events(orders))
                returned.append(time.monotonic_ns())
            seen = reader.seen()
    return latencies(returned, seen)


def main() -> None:
    """Be the reading process."""
    client = Client(sys.argv[1])
    count = int(sys.argv[2])
    subscribed = client.subscribe(None, client.head())
    print("ready", flush=True)
    seen: list[int] = []
    for _ in subscribed:
        seen.append(time.monotonic_ns())
        if len(seen) >= count:
            break
    print(seen)


if __name__ == "__main__":
    main()
