"""Several writers that begin at the same moment: threads or processes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

Committing = Callable[[Path, int, int], Callable[[], None]]
"""Prepares a writer in its process: folder, number and count in, what it will do out."""


def race_threads(actions: Sequence[Callable[[], None]], each: int) -> float:
    """Run actions in threads, from one moment on; return events a second, of ``each`` each.

    Raises:
        RuntimeError: An action failed; its thread has printed why.
    """
    barrier = threading.Barrier(len(actions) + 1)
    done = [False] * len(actions)

    def run(number: int) -> None:
        barrier.wait()
        actions[number]()
        done[number] = True

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - begin
    if not all(done):
        raise RuntimeError("a thread failed")
    return len(actions) * each / taken


def race_processes(committing: Committing, folder: Path, writers: int, each: int) -> float:
    """Run writers in processes of their own, from one moment on; return events a second.

    Raises:
        EOFError: A process failed; it has printed why.
    """
    context = multiprocessing.get_context("spawn")
    ends = []
    started = []
    for writer in range(writers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_race, args=(committing, folder, writer, each, theirs))
        process.start()
        theirs.close()
        ends.append(ours)
        started.append(process)
    for end in ends:
        end.recv()
    for end in ends:
        end.send("go")
    spans: list[tuple[float, float]] = [end.recv() for end in ends]
    for process in started:
        process.join()
    taken = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return writers * each / taken


def _race(committing: Committing, folder: Path, writer: int, each: int, parent: Connection) -> None:
    action = committing(folder, writer, each)
    parent.send("ready")
    parent.recv()
    begin = time.monotonic()
    action()
    parent.send((begin, time.monotonic()))
