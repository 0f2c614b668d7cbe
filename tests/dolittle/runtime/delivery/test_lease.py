from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dolittle.runtime.delivery.lease import Lease


def test_only_one_holds_the_lease(tmp_path: Path) -> None:
    one, two = Lease(tmp_path / "a" / "lock"), Lease(tmp_path / "a" / "lock")
    assert one.try_take()
    assert one.try_take()
    assert not two.try_take()
    assert two.holder() == f"process {os.getpid()}"
    one.let_go()
    one.let_go()
    assert (one.is_held, two.try_take(), two.is_held) == (False, True, True)
    two.let_go()


async def test_who_waits_in_line_gets_the_lease_when_it_is_let_go(tmp_path: Path) -> None:
    one, two = Lease(tmp_path / "lock"), Lease(tmp_path / "lock")
    assert one.try_take()
    waiting = asyncio.create_task(two.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    one.let_go()
    await asyncio.wait_for(waiting, 5)
    assert two.is_held
    two.let_go()


def test_nobody_holds_a_lease_that_was_never_taken(tmp_path: Path) -> None:
    assert Lease(tmp_path / "lock").holder() == "an unknown process"


def test_a_lease_in_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Lease(tmp_path / "file" / "lock").try_take()
