"""The Dolittle event-driven microservice framework for Python."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from dolittle.runtime.microservice import Microservice
    from dolittle.upcasters import upcaster
    from dolittle.values import value

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


_HOMES = {
    "AggregateRoot": "dolittle.aggregates",
    "aggregate_root": "dolittle.aggregates",
    "constraint": "dolittle.constraints",
    "on": "dolittle.declarations",
    "DolittleError": "dolittle.errors",
    "RuleViolation": "dolittle.errors",
    "EventContext": "dolittle.events",
    "EventType": "dolittle.events",
    "event_type": "dolittle.events",
    "ExecutionContext": "dolittle.execution",
    "event_handler": "dolittle.handlers",
    "handles": "dolittle.handlers",
    "side_effect": "dolittle.handlers",
    "Outcome": "dolittle.projections",
    "by_function": "dolittle.projections",
    "by_property": "dolittle.projections",
    "by_property_and_time": "dolittle.projections",
    "by_source": "dolittle.projections",
    "by_static": "dolittle.projections",
    "projection": "dolittle.projections",
    "Microservice": "dolittle.runtime.microservice",
    "upcaster": "dolittle.upcasters",
    "value": "dolittle.values",
}
"""Where each name stands."""


def __getattr__(name: str) -> Any:
    """Import what a name stands for when it is first asked for.

    Declarations do not need the runtime, and the command line does not need declarations to make
    something: all of it costs 40 ms.
    """
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dolittle' has no attribute {name!r}")
    found = getattr(import_module(home), name)
    globals()[name] = found
    return found
