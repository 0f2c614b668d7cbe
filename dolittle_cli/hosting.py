"""Runs hosts for the person at the terminal: opens ports, starts, prints reports, stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dolittle.errors import DolittleError
from dolittle.execution import SystemClock
from dolittle.runtime.configuration import (
    PORT_DEFAULT,
    Configuration,
    load_application,
    load_configuration,
)
from dolittle.runtime.host import Hosting, configure_logging, host, load_service
from dolittle.runtime.ports import ANY_HOST, LOOPBACK, WILDCARD_ADDRESSES, listen
from dolittle.runtime.reports import Report, Tell
from dolittle.runtime.stopping import Stopping, stop_signals
from dolittle.runtime.supervisor import Supervisor
from dolittle.runtime.watching import changes
from dolittle_cli.console import Console, printable
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.hosting_lines import HostingLines, Setting, ephemeral_notes
from dolittle_cli.run_logs import RunLog, log_path
from dolittle_cli.running import Restarts, noted

PATIENCE_S: Final = 2.0
"""After so long, a person who waits for the end is told what is waited for."""

_STOPPING: Final = b"\nstopping: what is in hand is finished first; Ctrl-C once more ends at once\n"
_STDERR: Final = 2


@dataclass(frozen=True)
class Asked:
    """What was asked for on the command line.

    Attributes:
        port: ``None`` where none was asked for.
    """

    project: Path
    address: str
    port: int | None
    allowed_hosts: tuple[str, ...]
    reloads: bool
    ephemeral: bool


@dataclass(frozen=True)
class Opened:
    """A microservice with its open port, and how its reports are printed.

    Attributes:
        write: Prints one line.
    """

    hosting: Hosting
    listener: socket.socket
    tell: Tell
    write: Callable[[str], None]


async def run_here(asked: Asked) -> int:
    """Run one microservice in this process; return the exit code.

    Raises:
        ConfigurationError: ``dolittle.toml`` cannot be used.
        DeclarationErrors: The code cannot be loaded.
        PortTaken: The port that was asked for is in use.
        StoreError: A store cannot be opened.
    """
    configuration = load_configuration(asked.project)
    opened = _open(asked, configuration, Console().note)
    try:
        async with _until_signal(lambda: None) as stopping:
            configure_logging()
            if not asked.ephemeral:
                _log_too(configuration)
            service = load_service(asked.project)
            with _noted(asked, configuration, opened, restarts=False):
                await host(
                    service, opened.hosting, opened.listener, tell=opened.tell, stop=stopping.asked
                )
            return stopping.exit_code
    finally:
        opened.listener.close()


async def run_watched(asked: Asked) -> int:
    """Run one microservice in a process of its own, swapped whenever its code changes.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: ``dolittle.toml`` cannot be used.
        PortTaken: The port that was asked for is in use.
    """
    configuration = load_configuration(asked.project)
    opened = _open(asked, configuration, Console().note)
    restarts = Restarts()
    supervisor = Supervisor(
        opened.hosting,
        opened.listener,
        tell=opened.tell,
        changes=restarts.joined(configuration, changes),
        on_output=opened.write,
    )
    with opened.listener, _noted(asked, configuration, opened, restarts=True):
        restarts.listen()
        async with _until_signal(supervisor.kill) as stopping:
            code = await supervisor.run(stopping.asked)
            return stopping.exit_code if stopping.asked.is_set() else code


async def run_application(asked: Asked) -> int:
    """Run every microservice of an application, each in a process and on a port of its own.

    One that cannot run does not stop the others; each line says which one it is from.

    Returns:
        The exit code: 1 once none of them runs any longer.

    Raises:
        ConfigurationError: The application's ``dolittle.toml`` cannot be used.
        CommandLineError: It has no microservice.
    """
    application = load_application(asked.project)
    if not application.members:
        raise CommandLineError(
            f"the application {application.name} has no microservice yet",
            hint="make one in its folder: dolittle new microservice NAME",
        )
    width = max(len(member.name) for member in application.members)
    opened: list[tuple[Configuration, Opened]] = []
    with contextlib.ExitStack() as open_until_the_end:
        # --port 0 and ports that were written down are not counted on from.
        next_port = PORT_DEFAULT if asked.port is None else asked.port
        for member in application.members:
            write = _prefixed(member.name.ljust(width))
            try:
                configuration = load_configuration(member)
                found = _open(asked, configuration, write, base=next_port)
            except DolittleError as error:
                _write_error(error, write)
                continue
            open_until_the_end.enter_context(found.listener)
            open_until_the_end.enter_context(_noted(asked, configuration, found, restarts=True))
            opened.append((configuration, found))
            if next_port:
                next_port = max(next_port, found.hosting.port) + 1
        return await _supervise(asked, opened)


async def _supervise(asked: Asked, opened: list[tuple[Configuration, Opened]]) -> int:
    restarts = Restarts()
    supervisors = [
        Supervisor(
            item.hosting,
            item.listener,
            tell=item.tell,
            changes=restarts.joined(configuration, changes if asked.reloads else _no_changes),
            watches=asked.reloads,
            on_output=item.write,
        )
        for configuration, item in opened
    ]
    restarts.listen()

    def kill() -> None:
        for supervisor in supervisors:
            supervisor.kill()

    async with _until_signal(kill) as stopping:
        await asyncio.gather(*(supervisor.run(stopping.asked) for supervisor in supervisors))
        return stopping.exit_code if stopping.asked.is_set() else 1


async def _no_changes(_project: Path) -> AsyncIterator[frozenset[Path]]:
    """Yield nothing, for ever: the files are not watched."""
    await asyncio.Event().wait()
    yield frozenset()


@asynccontextmanager
async def _until_signal(kill: Callable[[], None]) -> AsyncIterator[Stopping]:
    """Give what a signal asks to stop; say what is waited for when the end takes long."""
    stopping = Stopping()

    async def lose_patience() -> None:
        await stopping.asked.wait()
        await asyncio.sleep(PATIENCE_S)
        Console().note("still waiting for what is in hand, e.g. a handler that takes long")

    waiting = asyncio.create_task(lose_patience())
    try:
        with stop_signals(stopping, on_first=_say_stopping, on_second=kill):
            yield stopping
    finally:
        waiting.cancel()


def _say_stopping() -> None:
    # A signal may come in the middle of a print, so this is written past the buffers.
    os.write(_STDERR, _STOPPING)


def _open(
    asked: Asked, configuration: Configuration, write: Callable[[str], None], base: int = 0
) -> Opened:
    """Open the port of a microservice.

    Args:
        asked: What was asked for.
        configuration: Of the microservice.
        write: Prints one line.
        base: In an application: the port to take unless the microservice has its own.
    """
    _check_hosts(asked)
    wanted = asked.port
    if wanted is None or base:
        wanted = configuration.http_port if configuration.has_port else base or PORT_DEFAULT
    moves_on = asked.port is None and not configuration.has_port
    listener = listen(asked.address, wanted, move_on=moves_on)
    port: int = listener.getsockname()[1]
    if moves_on and port != wanted:
        write(f"port {wanted} is taken, so this is port {port}; choose one with --port N")
    hosting = Hosting(
        configuration.project, asked.address, port, asked.allowed_hosts, asked.ephemeral
    )
    setting = Setting(
        url=_url(asked.address, port),
        reload=f"on: {configuration.package} and dolittle.toml are watched"
        if asked.reloads
        else "off (--no-reload)",
        notes=ephemeral_notes(asked.ephemeral, reloads=asked.reloads) + _reachable(asked),
    )
    lines = HostingLines(setting)
    write_both = write if asked.ephemeral else _both(write, configuration)

    def tell(report: Report) -> None:
        for line in lines.lines(report):
            write_both(line)

    return Opened(hosting, listener, tell, write_both)


def _both(write: Callable[[str], None], configuration: Configuration) -> Callable[[str], None]:
    """Return what writes a line for the person and into the log of the microservice."""
    log = RunLog(log_path(configuration), SystemClock(), write)

    def write_both(line: str) -> None:
        write(line)
        log.write(line)

    return write_both


def _log_too(configuration: Configuration) -> None:
    """Have what this process logs written into the microservice's log too."""
    log = RunLog(log_path(configuration), SystemClock(), Console().note)
    root = logging.getLogger()
    shown = [handler.formatter for handler in root.handlers if handler.formatter]

    class ToLog(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in self.format(record).splitlines():
                log.write(line)

    handler = ToLog()
    handler.setFormatter(shown[0] if shown else None)
    root.addHandler(handler)


def _noted(
    asked: Asked, configuration: Configuration, opened: Opened, *, restarts: bool
) -> AbstractContextManager[None]:
    """Let others see that a microservice runs; nothing is written where it is ephemeral."""
    if asked.ephemeral:
        return contextlib.nullcontext()
    url = _url(asked.address, opened.hosting.port)
    return noted(configuration, url, SystemClock(), reloads=asked.reloads, can_restart=restarts)


def _check_hosts(asked: Asked) -> None:
    for name in asked.allowed_hosts:
        if not name or "/" in name or name != printable(name) or " " in name:
            raise WrongUsage(
                f"--allowed-host {name!r} is no host",
                hint="a Host header: example.org, example.org:8080, or * for any",
            )


def _reachable(asked: Asked) -> tuple[tuple[str, str], ...]:
    """Return what is to be said where other machines can reach the port."""
    if asked.address in (LOOPBACK, "localhost", "::1"):
        return ()
    answered = ", ".join(asked.allowed_hosts) or "this machine's own names only"
    if ANY_HOST in asked.allowed_hosts:
        answered = "every host (*): pages of other sites are told apart by Origin alone"
    return (("reachable", f"from other machines; it answers for {answered}"),)


def _url(address: str, port: int) -> str:
    shown = LOOPBACK if address in WILDCARD_ADDRESSES else address
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _prefixed(name: str) -> Callable[[str], None]:
    return lambda line: Console().note(f"{name} | {line}")


def _write_error(error: DolittleError, write: Callable[[str], None]) -> None:
    for line in f"error: {error}".splitlines():
        write(line)
    if error.hint:
        write(f"hint: {error.hint}")
