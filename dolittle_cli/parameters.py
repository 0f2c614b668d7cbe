"""Takes words and whole numbers itself, where typer would load pydantic (60 ms) to convert them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

NUMBER_MAX: Final = 10**12
"""Of an option that says no limit of its own: more than there will ever be events."""

SHOWN_CHARACTERS_MAX: Final = 20
"""Characters of what was typed, in a message."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+")

_MAKERS: Final[dict[Any, Callable[[Any], Any]]] = {str: str, list[str]: list, Path: Path}
"""What a word or words of the command line become, by annotation; nothing of it can fail."""

_DEMANDS: Final = ("parser", "click_type", "exists", "writable", "resolve_path", "allow_dash")
"""Settings of a parameter that ask for more than to take the word."""


def take_words(parameter: Any) -> None:
    """Let a parameter of text, a path or a whole number take its words without typer's converter.

    Where this typer works in another way than is known here, nothing is changed.
    """
    descriptor = getattr(parameter, "type_descriptor", None)
    annotation = getattr(descriptor, "annotation", None)
    made = _MAKERS.get(annotation)
    is_number = annotation is int and not parameter.multiple and parameter.nargs == 1
    if descriptor is None or not hasattr(parameter, "_runtime_param"):
        return
    if not is_number and made is None:
        return
    if any(getattr(descriptor.parameter_info, name, None) for name in _DEMANDS):
        return
    info = descriptor.parameter_info
    parameter._runtime_param = _Words(made) if made else _WholeNumber(info.min, info.max)


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


class _WholeNumber:
    """Stands in for a converter of typer's, and refuses in words that say the way out."""

    def __init__(self, least: int | None, most: int | None) -> None:
        self._least = -NUMBER_MAX if least is None else least
        self._most = NUMBER_MAX if most is None else most

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """Return the number that a word means; what is no word is a default.

        Raises:
            WrongUsage: It is no whole number, or is not within the limits.
        """
        if not isinstance(value, str):
            return value
        if _NUMBER.fullmatch(value) and len(value) <= SHOWN_CHARACTERS_MAX:
            number = int(value)
            if self._least <= number <= self._most:
                return number
        raise self._refused(value, param, ctx)

    def _refused(self, value: str, param: Any, ctx: Any) -> Exception:
        from dolittle_cli.errors import WrongUsage

        option = param.opts[0]
        shown = value if len(value) <= SHOWN_CHARACTERS_MAX else f"{value[:SHOWN_CHARACTERS_MAX]}…"
        default = param.get_default(ctx, call=False)
        leave_out = f"leave {option} out" + ("" if default is None else f", then it is {default}")
        return WrongUsage(
            f"{option} {shown}: {option} takes a whole number from {self._least} to {self._most}",
            hint=f"give one, or {leave_out}; see {ctx.command_path} --help",
        )
