"""A handful of courses, each with every check: what is broken in the engine shows in a second."""

from __future__ import annotations

import pytest

from tests.torture.flips import FlippedLog
from tests.torture.power_cuts import Course

LOG_BYTES = 900


@pytest.mark.parametrize("seed", range(20, 32))
def test_a_course_of_crashes_keeps_every_promise(seed: int) -> None:
    course = Course(seed, is_verified=True)
    assert course.run() > 0
    print(dict(course.tried))


def test_every_byte_of_a_short_log_may_be_flipped_or_be_its_last() -> None:
    flipped = FlippedLog(LOG_BYTES)
    for offset in range(len(flipped.log)):
        flipped.flip_in_store(offset, offset % 8)
        flipped.cut_in_store(offset)
    assert flipped.flip_every_bit() == 8 * len(flipped.log)
