"""Shows lines of logs: of several microservices in the order of their times, and what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from dolittle.execution import SystemClock
from dolittle.runtime.configuration import Configuration
from dolittle.runtime.event_json import time_json
from dolittle_cli.console import Console, printable
from dolittle_cli.errors import WrongUsage
from dolittle_cli.pipe import until_reader_is_gone
from dolittle_cli.ranges import Ago, AtTime, parse
from dolittle_cli.run_logs import LogLine, LogReader, log_path

LOOK_S: Final = 0.2
"""How often a log is looked at while it is followed: one stat of a file."""


def parse_since(text: str) -> datetime:
    """Read a time, or how long ago: ``15m``.

    Raises:
        WrongUsage: It is none.
    """
    for written in (f"@-{text}", text if text.startswith("@") else f"@{text}"):
        try:
            bound = parse(written)
        except WrongUsage:
            continue
        if isinstance(bound, Ago):
            return SystemClock().now() - bound.age
        if isinstance(bound, AtTime):
            return bound.time
    raise WrongUsage(
        f"--since {text!r} is no time", hint="write 15m, 2h, 2026-01-31 or 2026-01-31T10:00Z"
    )


async def show_logs(
    configurations: Sequence[Configuration],
    *,
    count: int,
    follow: bool,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Write the last lines of logs, and those that come while following.

    Raises:
        BrokenPipeError: The reader of stdout is gone.
    """
    console = Console()
    shown = _Shown(console, [item.name for item in configurations], as_json=as_json)
    readers = [LogReader(item.name, log_path(item)) for item in configurations]
    lines = [line for reader in readers for line in reader.last(max(count, 1), since)]
    lines.sort(key=lambda line: line.time)
    shown.write(lines[-count:] if count else [])
    if not lines and not follow:
        console.note("no logs: dolittle run writes them")
    async with until_reader_is_gone():
        while follow:
            await asyncio.sleep(LOOK_S)
            more = [line for reader in readers for line in reader.more()]
            shown.write(sorted(more, key=lambda line: line.time))


class _Shown:
    """Writes lines, each behind the name of its microservice where there are several."""

    def __init__(self, console: Console, names: Sequence[str], *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        width = max(len(name) for name in names)
        self._prefixes = {
            name: console.tinted(f"{name.ljust(width)} |", number) + " "
            for number, name in enumerate(names)
        }
        if len(names) == 1:
            self._prefixes = dict.fromkeys(names, "")

    def write(self, lines: Sequence[LogLine]) -> None:
        """Write lines to stdout."""
        for line in lines:
            if self._as_json:
                self._console.json(
                    {
                        "time": time_json(line.time),
                        "microservice": line.microservice,
                        "line": line.text,
                    }
                )
            else:
                self._console.data(self._prefixes[line.microservice] + printable(line.text))
