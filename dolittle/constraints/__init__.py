"""Constraints on fields: limits that stand beside a type, checked before anything is stored.

They hold for what is new: an event that is about to be committed, the arguments of a command, the
state that a command leads to, a read model's document. What is stored already is read as it is,
so that a constraint may become tighter without making old events unreadable.
"""

from dolittle.constraints.checking import (
    CLASSES_MAX,
    Check,
    check_of_type,
    constraint_problems,
    type_problems,
    violation_of,
)
from dolittle.constraints.limits import Constraint, constraint

__all__ = [
    "CLASSES_MAX",
    "Check",
    "Constraint",
    "check_of_type",
    "constraint",
    "constraint_problems",
    "type_problems",
    "violation_of",
]
