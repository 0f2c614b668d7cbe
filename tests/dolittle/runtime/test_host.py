"""What a host says where it cannot begin."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dolittle.runtime.host import CannotOpen


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "may write to"), (errno.EACCES, "may write")],
)
def test_data_that_cannot_be_opened_comes_with_what_mends_it(number: int, hint: str) -> None:
    error = CannotOpen(Path("/data"), OSError(number, os.strerror(number)))
    assert str(error).startswith("the data in /data cannot be opened: ")
    assert hint in error.hint
