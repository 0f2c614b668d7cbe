"""One host's process, seen from its supervisor: start it, hear its reports, stop it in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final

from dolittle.runtime.host import Hosting
from dolittle.runtime.hosted import SERVE, STOP
from dolittle.runtime.reports import REPORT_BYTES_MAX, Report, from_line
from dolittle.runtime.stopping import GRACE_S

OUTPUT_BYTES_MAX: Final = 64 * 1024
"""An output line that is longer is handed on in pieces."""

OutputLine = Callable[[str], None]


class Child:
    """A process that runs ``dolittle.runtime.hosted``, in a process group of its own.

    The group keeps Ctrl-C of the terminal away from it: the supervisor alone decides when it
    stops. Being killed, it is killed with every process that it started.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        control: int,
        reports: asyncio.StreamReader,
        reports_transport: asyncio.ReadTransport,
        output: asyncio.Task[None] | None,
    ) -> None:
        self._process = process
        self._control: int | None = control
        self._reports = reports
        self._reports_transport = reports_transport
        self._output = output

    @staticmethod
    async def start(
        hosting: Hosting, listener: socket.socket, *, on_output: OutputLine | None = None
    ) -> Child:
        """Start the process; it begins to load the code.

        Args:
            hosting: What to host.
            listener: The listening socket, which it inherits.
            on_output: Gets each line that it writes; ``None``: it writes to our own outputs.
        """
        control_read, control_write = os.pipe()
        reports_read, reports_write = os.pipe()
        handed_over = (listener.fileno(), control_read, reports_write)
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(hosting, *handed_over),
                pass_fds=handed_over,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if on_output else None,
                stderr=asyncio.subprocess.STDOUT if on_output else None,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                limit=OUTPUT_BYTES_MAX,
                process_group=0,
            )
        except BaseException:
            os.close(control_write)
            os.close(reports_read)
            raise
        finally:
            os.close(control_read)
            os.close(reports_write)
        reader = asyncio.StreamReader(limit=REPORT_BYTES_MAX)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reports_read, "rb", 0)
        )
        output = None
        if on_output is not None and process.stdout is not None:
            output = asyncio.create_task(_hand_on(process.stdout, on_output))
        return Child(process, control_write, reader, transport, output)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def reports(self) -> AsyncIterator[Report]:
        """Yield what the process reports, until it ends."""
        while line := await self._reports.readline():
            yield from_line(line)

    async def next_report(self) -> Report | None:
        """Return the next report; ``None`` if the process ended without one."""
        line = await self._reports.readline()
        return from_line(line) if line else None

    def serve(self) -> None:
        """Tell it to open the store, to serve and to deliver."""
        self._say(SERVE)

    async def ended(self) -> str:
        """Wait until the process has ended; return how: ``exit code 1``, ``killed by SIGKILL``."""
        return how_it_ended(await self._process.wait())

    async def stop(self, grace_s: float = GRACE_S) -> bool:
        """Tell it to finish what it has in hand and end; kill it when that takes too long.

        Returns:
            Whether it ended by itself within ``grace_s`` seconds.
        """
        self._say(STOP)
        in_time = True
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            in_time = False
        await self.close()
        return in_time

    async def close(self) -> None:
        """Kill what is left of the process and its group, and let go of the pipes."""
        self.kill()
        await self._process.wait()
        if self._control is not None:
            os.close(self._control)
            self._control = None
        self._reports_transport.close()
        if self._output is not None:
            await self._output

    def kill(self) -> None:
        """Kill the process, if it runs, and every process of its group."""
        # The group may outlive the process; then it is what the user's code left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _say(self, word: str) -> None:
        if self._control is not None:
            # It may have ended by itself just now; that is noticed elsewhere.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, f"{word}\n".encode())


def how_it_ended(return_code: int) -> str:
    """Return a return code in words."""
    if return_code >= 0:
        return f"exit code {return_code}"
    try:
        return f"killed by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"killed by signal {-return_code}"


def _command(hosting: Hosting, listener: int, control: int, reports: int) -> list[str]:
    # -B: compiled code is told from changed code by its size and the second it was saved in, so
    # that of two quick saves the first one could be loaded. -P: not from the current folder.
    command = [sys.executable, "-B", "-P", "-m", "dolittle.runtime.hosted"]
    command += ["--project", str(hosting.project), "--address", hosting.address]
    command += ["--port", str(hosting.port)]
    for name in hosting.allowed_hosts:
        command += ["--allowed-host", name]
    if hosting.ephemeral:
        command.append("--ephemeral")
    command += ["--listener", str(listener), "--control", str(control), "--reports", str(reports)]
    return command


async def _hand_on(stream: asyncio.StreamReader, on_output: OutputLine) -> None:
    """Hand on whole lines; a line without end comes in pieces."""
    rest = b""
    while chunk := await stream.read(OUTPUT_BYTES_MAX):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            on_output(line.decode("utf-8", "replace"))
        if len(rest) >= OUTPUT_BYTES_MAX:
            on_output(rest.decode("utf-8", "replace"))
            rest = b""
    if rest:
        on_output(rest.decode("utf-8", "replace"))
