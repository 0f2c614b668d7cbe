"""``dolittle restart``: have the process that runs a microservice load it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dolittle_cli.options import ProjectOption

if TYPE_CHECKING:
    from dolittle_cli.errors import CommandLineError
    from dolittle_cli.running import Running


def restart(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="The microservice; needed where there are several.",
            show_default=False,
        ),
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Restart a microservice that dolittle run keeps running; the others go on.

    Its code is loaded first: where that fails, what runs goes on.
    """
    from dolittle_cli.console import Console
    from dolittle_cli.errors import CommandLineError, WrongUsage
    from dolittle_cli.places import find_configurations
    from dolittle_cli.running import ask_restart, running

    found = find_configurations(project, [name] if name else ())
    if len(found) > 1:
        names = ", ".join(item.name for item in found)
        raise WrongUsage("there are several microservices", hint=f"name one of them: {names}")
    [configuration] = found
    asked = [item for item in running(configuration) if item.can_restart]
    if not asked:
        raise _refuse(configuration.name, running(configuration))
    for item in asked:
        try:
            ask_restart(configuration, item)
        except PermissionError as error:
            raise CommandLineError(f"process {item.pid} is another person's") from error
        except ProcessLookupError:
            # It has just ended.
            continue
        Console().note(
            f"asked process {item.pid} to restart {configuration.name}; see dolittle logs"
        )


def _refuse(name: str, runs: Sequence[Running]) -> CommandLineError:
    from dolittle_cli.errors import CommandLineError

    if not runs:
        return CommandLineError(f"{name} does not run", hint="dolittle run")
    pid = runs[0].pid
    return CommandLineError(
        f"{name} runs with --no-reload, within process {pid} itself: that cannot load the code "
        "anew beside what it serves",
        hint=f"end process {pid} and start it again; without --no-reload, and in the folder of an "
        "application, restart works",
    )
