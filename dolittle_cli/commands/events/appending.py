"""``dolittle events append``: one event, checked against its class, committed."""

from __future__ import annotations

from collections.abc import Mapping

from dolittle.runtime.microservice import Microservice
from dolittle.serialization import EventTypes
from dolittle.store import CommittedEvents
from dolittle_cli.committed import committed_json, write_committed
from dolittle_cli.console import Console
from dolittle_cli.errors import WrongUsage
from dolittle_cli.project import Place, commit_with


async def append_event(
    place: Place, event_type: str, source: str, fields: Mapping[str, str], *, as_json: bool
) -> None:
    """Commit one event, and show it.

    Raises:
        Unknown: There is no such event type.
        PayloadDoesNotFit: The fields do not fit it.
        WrongUsage: The event source is empty.
        StoreError: It cannot be stored.
    """
    if not source:
        raise WrongUsage("--source is empty", hint="an event is about something: name it")

    async def append(microservice: Microservice) -> tuple[CommittedEvents, EventTypes]:
        committed = await microservice.append_by_name([(event_type, source, fields)], lenient=True)
        return committed, microservice.definition.event_types

    committed, event_types = await commit_with(place, append)
    if as_json:
        Console().json(committed_json(committed, event_types, place.tenant))
    else:
        write_committed(committed, event_types)
