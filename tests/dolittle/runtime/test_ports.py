from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from dolittle.runtime.ports import CannotListen, PortTaken, holder_of, listen


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_port_0_takes_a_free_one() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_the_protocol_is_named_so_that_answers_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_refused_with_a_free_one(taken: int) -> None:
    with pytest.raises(PortTaken) as caught:
        listen("127.0.0.1", taken)
    error = caught.value
    assert str(error).startswith(f"port {taken} on 127.0.0.1 is taken")
    assert error.free > taken
    assert error.hint == f"port {error.free} is free: --port {error.free}"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not tell who listens")
def test_the_holder_of_a_port_is_named(taken: int) -> None:
    assert holder_of(taken).startswith(f"process {os.getpid()} (")


def test_a_free_port_has_no_holder(taken: int) -> None:
    with listen("127.0.0.1", taken, move_on=True) as listener:
        free = listener.getsockname()[1]
    assert holder_of(free) == ""


def test_moving_on_takes_the_next_free_port(taken: int) -> None:
    with listen("127.0.0.1", taken, move_on=True) as listener:
        assert taken < listener.getsockname()[1] <= taken + 100


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    # Source: RFC 5737: an address for documentation is no machine's.
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1 port 0") as caught:
        listen("192.0.2.1", 0)
    assert caught.value.hint


def test_a_port_is_free_again_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.setblocking(True)
            listener.accept()[0].close()
    listen("127.0.0.1", port).close()
