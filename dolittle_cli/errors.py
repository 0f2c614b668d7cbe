"""Errors of the command line itself; the exit code is part of the class."""

from __future__ import annotations

from typing import ClassVar

from dolittle.errors import DolittleError


class CommandLineError(DolittleError):
    """The root of what the command line refuses on its own account; exit code 1."""

    code = "command-line"
    exit_code: ClassVar[int] = 1


class WrongUsage(CommandLineError):
    """What was typed cannot work: a bad name, a bad value, a missing confirmation; exit code 2."""

    code = "usage"
    exit_code = 2
