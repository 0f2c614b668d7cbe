"""A log of 64 KiB, every bit of which is flipped; the whole store for a share of the bytes."""

from __future__ import annotations

import pytest

from tests.torture.flips import LOG_BYTES, FlippedLog, flip_share

SHARE = 331
"""One byte in so many is tried through the whole store; all of them in the torture run."""


@pytest.mark.slow
def test_no_flipped_bit_of_a_whole_log_goes_unnoticed() -> None:
    flipped = FlippedLog()
    tried = flipped.flip_every_bit()
    assert tried == 8 * len(flipped.log) >= 8 * LOG_BYTES
    print(f"{tried:,} bits flipped")


@pytest.mark.slow
def test_a_flipped_or_cut_log_is_a_prefix_or_a_refusal_to_the_whole_store() -> None:
    tried = flip_share((0, LOG_BYTES, SHARE))
    print(f"{tried['bytes']:,} bytes flipped, and the log cut at each")
    assert tried["bytes"] == -(-LOG_BYTES // SHARE)
