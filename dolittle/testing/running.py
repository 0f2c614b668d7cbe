"""Runs what may be async to its end, from a test that may itself be async."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_to_end(result: Any) -> Any:
    """Return a plain value as it is; run an awaitable to its end and return what it gave.

    Where an event loop runs already, the awaitable gets a thread and a loop of its own, so that
    a synchronous call inside an async test works.
    """
    if not inspect.isawaitable(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_wait(result))
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(context.run, asyncio.run, _wait(result)).result()


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
