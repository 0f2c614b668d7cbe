"""The testing kit: given events, when a command, then events, a refusal or a read model."""

from dolittle.testing.aggregates import Given, Performed, given
from dolittle.testing.clock import HeldClock
from dolittle.testing.declared import read_content, stored_content
from dolittle.testing.events import GivenEvents, event_context, given_events

__all__ = [
    "Given",
    "GivenEvents",
    "HeldClock",
    "Performed",
    "event_context",
    "given",
    "given_events",
    "read_content",
    "stored_content",
]
