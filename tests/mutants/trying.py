"""Runs the tests of one pytest session again for each change, each time in a child of its own.

The tests are collected once. A child begins where its parent stands, with everything imported,
so it costs what its tests cost. Those that noticed most changes of a function go first.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.mutants.changes import Change, put_in

if TYPE_CHECKING:
    from types import CodeType, FrameType

TEST_CPU_S_MIN = 3.0
TEST_CPU_FACTOR = 10.0
"""A test that takes so much longer than it should is in a loop without an end."""

WAITING_S_MAX = 30.0
"""A test that takes longer waits for what does not come."""

MEMORY_BYTES_MAX = 4 * 1024**3
"""A loop without an end may also be one that eats."""


@dataclass
class Tried:
    """What became of a change.

    Attributes:
        change: The change.
        killer: The test that noticed it; empty if none did.
        tests: How many tests ran.
        seconds: How long that took.
    """

    change: Change
    killer: str
    tests: int
    seconds: float


@dataclass
class _Test:
    item: pytest.Item
    seconds: float = 0.0
    reached: frozenset[str] = frozenset()
    kills: Counter[str] = field(default_factory=Counter)

    def worth(self, function: str) -> float:
        """How likely it is to notice a change of a function, for what it costs."""
        return (self.kills[function] + 0.1 * self.kills.total() + 0.01) / (self.seconds + 0.01)


class Trying:
    """A pytest plugin that runs the session's tests in its own way.

    Args:
        changes: What to try, in this order.
        limit_s: Begin no further change after so many seconds, not counting the look at the tests.
        tell: Called after each.

    Attributes:
        problem: Why nothing could be tried, or empty.
    """

    def __init__(
        self, changes: Sequence[Change], limit_s: float, tell: Callable[[Tried], None]
    ) -> None:
        self.problem = ""
        self._changes = changes
        self._limit_s = limit_s
        self._tell = tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try each change on the tests that reach its function."""
        if session.testsfailed or not session.items:
            self.problem = "the tests could not be collected"
            return True
        tests = [_Test(item) for item in session.items]
        paths = {change.module.replace(".", "/") + ".py": change.module for change in self._changes}
        for test in tests:
            if failure := _look(test, paths):
                self.problem = f"{test.item.nodeid} fails without any change:\n{failure}"
                return True
        reaching = defaultdict(list)
        for test in tests:
            for function in test.reached:
                reaching[function].append(test)
        started = time.monotonic()
        for change in self._changes:
            if time.monotonic() - started > self._limit_s:
                break
            self._tell(_try(change, reaching[f"{change.module}.{change.function}"]))
        return True


def _look(test: _Test, paths: dict[str, str]) -> str:
    """Run a test as it is; note which functions it reaches, and return why it fails, if it does."""

    def run(say: Callable[[Any], None]) -> None:
        reached: set[CodeType] = set()

        def note(frame: FrameType, event: str, argument: object) -> None:
            if event == "call":
                reached.add(frame.f_code)

        threading.setprofile(note)
        sys.setprofile(note)
        started = time.process_time()
        failure = _failure_of(test.item)
        seconds = time.process_time() - started
        sys.setprofile(None)
        names = [
            f"{module}.{code.co_qualname}"
            for code in reached
            for path, module in paths.items()
            if code.co_filename.endswith(path)
        ]
        say([failure, seconds, names])

    said = _in_a_child(run)
    if not said:
        return "its process ended"
    failure, test.seconds, reached = said[0]
    test.reached = frozenset(reached)
    return str(failure)


def _try(change: Change, tests: list[_Test]) -> Tried:
    function = f"{change.module}.{change.function}"
    ordered = sorted(tests, key=lambda test: -test.worth(function))

    def run(say: Callable[[Any], None]) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        put_in(change)
        for number, test in enumerate(ordered):
            say(number)
            # Whatever runs into one of these ends as a process that a signal has killed.
            signal.setitimer(
                signal.ITIMER_PROF, max(TEST_CPU_S_MIN, TEST_CPU_FACTOR * test.seconds)
            )
            signal.setitimer(signal.ITIMER_REAL, WAITING_S_MAX + TEST_CPU_FACTOR * test.seconds)
            if _failure_of(test.item):
                return
        say("survived")

    started = time.monotonic()
    said = _in_a_child(run)
    seconds = time.monotonic() - started
    if not ordered or said[-1:] == ["survived"]:
        return Tried(change, "", len(ordered), seconds)
    killer = ordered[said[-1]]
    killer.kills[function] += 1
    return Tried(change, killer.item.nodeid, len(said), seconds)


class _Failures:
    """Hears from pytest what fails."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.texts.append(report.longreprtext)


def _failure_of(item: pytest.Item) -> str:
    """Run a test; return how it fails, or nothing."""
    failures = _Failures()
    item.config.pluginmanager.register(failures)
    try:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    except BaseException as error:  # noqa: BLE001 - a change may do anything, also to pytest
        failures.texts.append(repr(error))
    item.config.pluginmanager.unregister(failures)
    return "\n".join(failures.texts)


def _say(fd: int, thing: Any) -> None:
    os.write(fd, json.dumps(thing).encode() + b"\n")


def _in_a_child(run: Callable[[Callable[[Any], None]], None]) -> list[Any]:
    """Run something in a child; return what it said until it ended, however it ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            silence = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(silence, fd)
            run(lambda thing: _say(writing, thing))
        finally:
            # Threads that a change has left behind must not keep the child alive.
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            return [json.loads(line) for line in lines]
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.waitpid(pid, 0)
