"""Shows what a commit came to: its events for people, or one JSON object."""

from __future__ import annotations

from typing import Any

from dolittle.runtime.event_json import event_json
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvents
from dolittle_cli.console import Console
from dolittle_cli.event_lines import EventLines


def committed_json(
    committed: CommittedEvents | None, event_types: EventTypes, tenant: str
) -> dict[str, Any]:
    """Return the keys ``commit`` (``None`` if nothing was committed), ``is_repeat``, ``events``."""
    events = committed.events if committed is not None else ()
    return {
        "commit": committed.id if committed is not None else None,
        "is_repeat": committed is not None and committed.is_repeat,
        "events": [event_json(event, event_types, tenant) for event in events],
    }


def write_committed(committed: CommittedEvents | None, event_types: EventTypes) -> None:
    """Write the events under titles to stdout; say on stderr if there are none."""
    console = Console()
    if committed is None:
        console.note("nothing was committed: the command applied no event")
        return
    EventLines(console, event_types, with_date=False).write(committed.events, titles=True)
