"""Makes the instances of event handlers: fills in the microservice where they ask for it."""

from __future__ import annotations

import inspect
from typing import Any, Final, get_type_hints

FILLED_IN_MARK: Final = "__dolittle_filled_in__"
"""The attribute of a class whose instance is filled in: of ``Microservice``, which is above."""


def make_handler(cls: type, microservice: object) -> Any:
    """Make a handler; an argument of its ``__init__`` annotated ``Microservice`` is filled in."""
    return cls(**dict.fromkeys(_wanted(cls), microservice))


def unfilled_arguments(cls: type) -> list[str]:
    """Return the required arguments of a handler's ``__init__`` that nobody fills in."""
    wanted = _wanted(cls)
    return [
        parameter.name
        for parameter in _arguments(cls)
        if parameter.name not in wanted
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _arguments(cls: Any) -> list[inspect.Parameter]:
    if cls.__init__ is object.__init__:
        return []
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


def _wanted(cls: Any) -> list[str]:
    """Return the arguments that want the microservice, under whatever name it is annotated."""
    arguments = [parameter.name for parameter in _arguments(cls)]
    try:
        hints = get_type_hints(cls.__init__) if arguments else {}
    except NameError:
        hints = {}  # a name for type checkers only; then no argument can be filled in
    return [name for name in arguments if hasattr(hints.get(name), FILLED_IN_MARK)]
