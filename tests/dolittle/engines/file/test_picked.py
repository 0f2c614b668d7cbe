"""Lines that the index names are cut out whole, wherever they lie and however long they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolittle.engines.file import picked
from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.picked import near_one_another, picked_lines
from dolittle.engines.file.segments import Segments, segment_path
from dolittle.errors import StoreDamaged


class CountingFiles(OsFiles):
    """Counts what is read."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self.lengths.append(length)
        return super().pread(fd, length, offset)


def a_log(folder: Path, *contents: list[bytes], files: OsFiles | None = None) -> Segments:
    """Return segments of some lines each."""
    (folder / "log").mkdir(exist_ok=True)
    for number, lines in enumerate(contents):
        segment_path(folder, number).write_bytes(b"".join(line + b"\n" for line in lines))
    return Segments(files or OsFiles(), folder, 0)


def addresses_of(lines: list[bytes]) -> list[int]:
    return [sum(len(before) + 1 for before in lines[:index]) for index in range(len(lines) + 1)]


def test_addresses_near_one_another_are_read_together() -> None:
    near = picked.NEAR_BYTES
    assert list(near_one_another([])) == []
    assert list(near_one_another([5])) == [[5]]
    assert list(near_one_another([5, near + 4, near + 5, 3 * near])) == [
        [5, near + 4],
        [near + 5],
        [3 * near],
    ]


@pytest.mark.parametrize("near_bytes", [1, 100, 5_000, 100_000])
@pytest.mark.parametrize("step", [1, 2, 7])
def test_lines_are_picked_across_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near_bytes: int, step: int
) -> None:
    monkeypatch.setattr(picked, "NEAR_BYTES", near_bytes)
    lines = [b"%d" % n * (1 + 700 * (n % 5 == 0)) for n in range(60)]
    segments = a_log(tmp_path, lines[:25], lines[25:])
    *addresses, end = addresses_of(lines)
    found = list(picked_lines(segments, addresses[::step], end))
    assert [address for some in found for address in some.addresses] == addresses[::step]
    assert b"\n".join(some.data for some in found).split(b"\n") == lines[::step]
    for some in found:
        assert len(some.addresses) == some.data.count(b"\n") + 1
    # Memory has a bound: what was enough is handed on.
    assert all(len(some.data) < 2 * near_bytes + 3 * 1_402 for some in found)
    segments.close()


def test_lines_as_long_as_those_before_them_are_read_once(tmp_path: Path) -> None:
    files = CountingFiles()
    lines = [b"x" * (30_000 + n) for n in range(40)]
    segments = a_log(tmp_path, lines, files=files)
    *addresses, end = addresses_of(lines)
    found = list(picked_lines(segments, addresses[::5], end))
    assert b"\n".join(some.data for some in found).split(b"\n") == lines[::5]
    # The first one by guessing, and more until it ends.
    assert len(files.lengths) == 1 + 3 + 7
    assert max(files.lengths) < 34_000
    segments.close()


def test_what_lies_before_a_line_without_an_end_is_picked(tmp_path: Path) -> None:
    lines = [b"a" * 50_000, b"b" * 50_000, b"c" * 10]
    segments = a_log(tmp_path, lines)
    found: list[bytes] = []
    torn = addresses_of(lines)[2] + len(lines[2]) + 1
    path = segment_path(tmp_path, 0)
    path.write_bytes(path.read_bytes() + b"torn")

    def take() -> None:
        for some in picked_lines(segments, [0, torn], torn + 4):
            found.append(some.data)

    with pytest.raises(StoreDamaged, match="a line has no end"):
        take()
    assert found == [lines[0]]
    segments.close()
