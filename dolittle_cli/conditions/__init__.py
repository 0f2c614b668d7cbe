"""Conditions on events: what ``--where`` takes, from a text to a function of an event."""

from dolittle_cli.conditions.compiling import Condition, parse_condition
from dolittle_cli.conditions.fields import FIELDS, Subject

__all__ = ["FIELDS", "Condition", "Subject", "parse_condition"]
