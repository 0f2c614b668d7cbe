"""Finds and opens the port to listen on, and tells who holds one that is taken."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final

from dolittle.errors import DolittleError

LOOPBACK: Final = "127.0.0.1"
WILDCARD_ADDRESSES: Final = ("0.0.0.0", "::", "")
"""They stand for every address of this machine."""

ANY_HOST: Final = "*"
"""Among the hosts that are answered: every one."""

PORTS_TRIED_MAX: Final = 100
"""How many ports above a taken one are tried."""

_BACKLOG: Final = 2_048
"""Connections that wait to be accepted, e.g. while a reload is under way."""

_LISTEN: Final = "0A"
"""Source: proc(5), /proc/net/tcp; include/net/tcp_states.h, TCP_LISTEN."""


class PortTaken(DolittleError):
    """The port that was asked for is in use.

    Attributes:
        holder: Who uses it, in words; empty where that cannot be found out.
        free: A port that is free; 0 where none was found.
    """

    code = "port-taken"

    def __init__(self, host: str, port: int, holder: str, free: int) -> None:
        self.host, self.port, self.holder, self.free = host, port, holder, free
        by = f" by {holder}" if holder else ""
        hint = f"port {free} is free: --port {free}" if free else "take another: --port N"
        super().__init__(f"port {port} on {host} is taken{by}", hint=hint)


class CannotListen(DolittleError):
    """The address cannot be listened on."""

    code = "cannot-listen"

    def __init__(self, host: str, port: int, reason: str, hint: str) -> None:
        self.host, self.port = host, port
        super().__init__(f"cannot listen on {host} port {port}: {reason}", hint=hint)


def listen(host: str, port: int, *, move_on: bool = False) -> socket.socket:
    """Open a socket that listens.

    Args:
        host: An address or a name of this machine.
        port: 0 takes any free one.
        move_on: Whether to take the next free port where this one is taken.

    Raises:
        PortTaken: The port is in use, and there is no moving on.
        CannotListen: The address is not this machine's, or the port needs rights.
    """
    last = min(port + PORTS_TRIED_MAX, 65_535) if move_on and port else port
    for candidate in range(port, last + 1):
        found = _try(host, candidate)
        if found is not None:
            return found
    raise PortTaken(host, port, holder_of(port), free_port(host, port))


def free_port(host: str, above: int) -> int:
    """Return the next free port above one; 0 where none of ``PORTS_TRIED_MAX`` is free."""
    for candidate in range(above + 1, min(above + PORTS_TRIED_MAX, 65_535) + 1):
        try:
            found = _try(host, candidate)
        except CannotListen:
            continue
        if found is not None:
            found.close()
            return candidate
    return 0


def holder_of(port: int) -> str:
    """Return who listens on a port, in words: ``process 1234 (python -m http.server)``.

    Only where the kernel tells (Linux, and processes of the same user); else an empty string.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _has_socket(process, inodes):
            return f"process {process.name} ({_command(process)})"
    return ""


def _try(host: str, port: int) -> socket.socket | None:
    """Listen; ``None`` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer on a kept
    # connection waits some 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port that an ended process used a minute ago is free (Source: socket(7)).
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise _cannot(host, port, error) from error
    listener.setblocking(False)
    return listener


def _cannot(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno == errno.EACCES:
        return CannotListen(host, port, "permission denied", "ports from 1024 on need no rights")
    reason = error.strerror or str(error)
    return CannotListen(
        host, port, reason[0].lower() + reason[1:], f"use an address of this machine: {LOOPBACK}"
    )


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        return any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir())
    except OSError:
        # Another user's process, or one that has ended meanwhile.
        return False


def _command(process: Path) -> str:
    try:
        raw = (process / "cmdline").read_bytes()
    except OSError:
        return "unknown"
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace") or "unknown"
