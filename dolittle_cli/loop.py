"""Runs a command's coroutine; asyncio is imported then, and not while a shell completes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop of its own and return what it returns."""
    import asyncio

    return asyncio.run(work)
