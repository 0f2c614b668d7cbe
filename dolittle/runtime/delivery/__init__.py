"""Delivery: the loops that bring committed events to handlers and projections."""

from dolittle.runtime.delivery.deliverer import Deliverer

__all__ = ["Deliverer"]
