"""A share of what real processes do to one another; the long runs are ``make torture``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.processes import contend, kill_rounds


@pytest.mark.slow
def test_four_processes_killed_again_and_again_lose_nothing_acknowledged(tmp_path: Path) -> None:
    tried = kill_rounds(tmp_path, 8, processes=4, seed=1)
    print(dict(tried))
    assert tried["processes killed"] == 32
    assert tried["commits acknowledged"] >= 32


@pytest.mark.slow
def test_of_eight_processes_one_wins_each_version(tmp_path: Path) -> None:
    tried = contend(tmp_path, 800, processes=8, sources=3)
    print(dict(tried))
    assert tried["won"] + tried["lost"] == 800
    assert tried["lost"] > 0
