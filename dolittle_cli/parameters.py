"""Lets typer take words as they are, where it would load pydantic (60 ms) to see that they fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_MAKERS: Final[dict[Any, Callable[[Any], Any]]] = {str: str, list[str]: list, Path: Path}
"""What a word or words of the command line become, by annotation; nothing of it can fail."""

_DEMANDS: Final = ("parser", "click_type", "exists", "writable", "resolve_path", "allow_dash")
"""Settings of a parameter that ask for more than to take the word."""


def take_words(parameter: Any) -> None:
    """Let a parameter of text, texts or a path take its words without a converter of typer's.

    Where this typer works in another way than is known here, nothing is changed.
    """
    descriptor = getattr(parameter, "type_descriptor", None)
    made = _MAKERS.get(getattr(descriptor, "annotation", None))
    if descriptor is None or made is None or not hasattr(parameter, "_runtime_param"):
        return
    if any(getattr(descriptor.parameter_info, name, None) for name in _DEMANDS):
        return
    parameter._runtime_param = _Words(made)


def quicken_help(command: Any) -> None:
    """Give a command's ``--help`` a default that typer need not convert."""
    found = command.get_help_option

    def get_help_option(ctx: Any) -> Any:
        option = found(ctx)
        if option is not None:
            option.default = False
        return option

    command.get_help_option = get_help_option


class _Words:
    """Stands in for a converter of typer's."""

    def __init__(self, made: Callable[[Any], Any]) -> None:
        self._made = made

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """Return the value of a parameter; none is nothing, as typer has it."""
        del ctx  # a converter that can fail tells it where
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        return self._made(value)
