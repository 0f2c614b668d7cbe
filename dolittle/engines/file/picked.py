"""Lines at addresses that the index names, cut out of as few blocks as possible."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Final, NamedTuple

from dolittle.engines.file.segments import Segments
from dolittle.errors import StoreDamaged

NEAR_BYTES: Final = 64 * 1024
"""Lines that begin within so many bytes are read at once; so many bytes of lines are decoded at
once."""

_LINE_BYTES_GUESS: Final = 1024


class PickedLines(NamedTuple):
    """Some lines.

    Attributes:
        addresses: Where each begins, ascending.
        data: All of them, with newlines between.
    """

    addresses: list[int]
    data: bytes


def near_one_another(addresses: list[int]) -> Iterator[list[int]]:
    """Yield ascending addresses in groups that are worth reading at once."""
    begin = 0
    while begin < len(addresses):
        end = bisect.bisect_left(addresses, addresses[begin] + NEAR_BYTES, begin + 1)
        yield addresses[begin:end]
        begin = end


def picked_lines(segments: Segments, addresses: list[int], end: int) -> Iterator[PickedLines]:
    """Yield the lines that begin at some addresses, some at a time; nothing is checked.

    Args:
        segments: Of the log.
        addresses: Ascending, all before ``end``.
        end: What lies behind this address is no part of any line.

    Raises:
        StoreDamaged: No line ends behind an address; after those before it.
    """
    taken: list[int] = []
    lines: list[bytes] = []
    size, guess = 0, _LINE_BYTES_GUESS
    for near in near_one_another(addresses):
        try:
            found = _cut_out(segments, near, end, guess)
        except StoreDamaged:
            if taken:
                yield PickedLines(taken, b"\n".join(lines))
            raise
        longest = max(map(len, found))
        # The next ones are about as long; what is longer than guessed is read once more.
        guess = min(max(longest + longest // 8, _LINE_BYTES_GUESS), NEAR_BYTES)
        taken += near
        lines += found
        size += sum(map(len, found))
        if size >= NEAR_BYTES:
            yield PickedLines(taken, b"\n".join(lines))
            taken, lines, size = [], [], 0
    if taken:
        yield PickedLines(taken, b"\n".join(lines))


def _cut_out(segments: Segments, addresses: list[int], end: int, guess: int) -> list[bytes]:
    """Return the lines at addresses near one another; the last one may have ``guess`` bytes."""
    first, last = addresses[0], addresses[-1]
    segment = segments.at(first)
    block = segments.read(segment, first - segment.base, last - first + guess)
    lines: list[bytes] = []
    for address in addresses:
        stop = block.find(b"\n", address - first)
        if stop < 0:
            # Longer than guessed, or in the next segment.
            break
        lines.append(block[address - first : stop])
    return lines + [segments.line_bytes(each, end) for each in addresses[len(lines) :]]
