"""The Dolittle event-driven microservice framework for Python."""

from typing import TYPE_CHECKING, Any

from dolittle.aggregates import AggregateRoot, aggregate_root
from dolittle.constraints import constraint
from dolittle.declarations import on
from dolittle.errors import DolittleError, RuleViolation
from dolittle.events import EventContext, EventType, event_type
from dolittle.execution import ExecutionContext
from dolittle.handlers import event_handler, handles, side_effect
from dolittle.projections import (
    Outcome,
    by_function,
    by_property,
    by_property_and_time,
    by_source,
    by_static,
    projection,
)
from dolittle.upcasters import upcaster
from dolittle.values import value

if TYPE_CHECKING:
    from dolittle.runtime.microservice import Microservice

__version__ = "0.1.0"

__all__ = [
    "AggregateRoot",
    "DolittleError",
    "EventContext",
    "EventType",
    "ExecutionContext",
    "Microservice",
    "Outcome",
    "RuleViolation",
    "aggregate_root",
    "by_function",
    "by_property",
    "by_property_and_time",
    "by_source",
    "by_static",
    "constraint",
    "event_handler",
    "event_type",
    "handles",
    "on",
    "projection",
    "side_effect",
    "upcaster",
    "value",
]


def __getattr__(name: str) -> Any:
    """Import the runtime when it is first asked for: declarations alone do not need it."""
    if name == "Microservice":
        from dolittle.runtime.microservice import Microservice

        return Microservice
    raise AttributeError(f"module 'dolittle' has no attribute {name!r}")
