"""``dolittle events verify``: the whole event store, checked without changing anything."""

from __future__ import annotations

import time

from dolittle.engines.file import FileStore, Finding
from dolittle_cli.console import Console, counted
from dolittle_cli.project import STORE_FOLDER, Place

SHOW_EVERY_S = 0.1
"""How often the progress is shown."""


async def verify_store(place: Place, *, as_json: bool) -> bool:
    """Check a tenant's event store and write what is found; tell whether anything is wrong.

    Raises:
        StoreError: The store cannot be opened.
    """
    console = Console()
    if not place.has_store:
        findings: list[Finding] = []
        events = 0
    else:
        store = await FileStore.open(
            place.folder / STORE_FOLDER,
            durability=place.configuration.durability,
            read_only=True,
        )
        try:
            findings = await store.verify(_Progress(console).show)
            events = (await store.facts()).events
        finally:
            await store.close()
        console.progress("")
    if as_json:
        console.json(
            {
                "is_ok": not findings,
                "events": events,
                "findings": [{**item._asdict(), "path": str(item.path)} for item in findings],
            }
        )
    else:
        for item in findings:
            place_text = f"{item.path}:{item.line}" if item.line else str(item.path)
            console.data(
                f"{place_text}: {item.what} (position {item.position}, byte {item.offset:,})"
            )
    if not place.has_store:
        console.note("there is nothing to verify: nothing was committed yet")
    elif findings:
        console.note(f"{counted(len(findings), 'thing')} wrong; nothing was changed")
        console.note(f"{counted(events, 'event')} can be read")
    else:
        console.note(f"{counted(events, 'event')} verified, all is well")
    return bool(findings)


class _Progress:
    """Shows how much was checked, how fast, and how long the rest takes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._shown = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Take the bytes done and the bytes there are."""
        now = time.monotonic()
        if now - self._shown < SHOW_EVERY_S:
            return
        self._shown = now
        rate = done / (now - self._started)
        left = f"{(total - done) / rate:,.0f} s left" if rate else "starting"
        self._console.progress(
            f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB, {rate / 1e6:,.0f} MB a second, {left}"
        )
