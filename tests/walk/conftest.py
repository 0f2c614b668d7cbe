from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.walk.checking import Checker


@pytest.fixture(scope="session")
def checker() -> Iterator[Checker]:
    with Checker() as checker:
        yield checker
