from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from dolittle_cli.loop import run_loop


def test_the_result_of_the_work_is_returned_and_its_error_raised() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise ValueError("no")

    assert run_loop(answer()) == 42
    with pytest.raises(ValueError, match="no"):
        run_loop(fail())


def test_a_signal_that_another_thread_gets_ends_the_sleep_of_the_loop() -> None:
    """Its handler is called at once, and not at the next event."""
    woken = asyncio.Event()
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: woken.set())

    async def sleep() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_later(10, woken.set)

        def send() -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

        thread = threading.Timer(0.05, send)
        thread.start()
        await woken.wait()
        thread.join()
        return loop.time() - begun

    try:
        assert run_loop(sleep()) < 5
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_wake_up_of_signals_is_put_back() -> None:
    async def nothing() -> None:
        return None

    run_loop(nothing())
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    assert before == -1
