"""The segments read as one row of bytes, in whole lines, and what is wrong is named exactly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dolittle.engines.file import segments as segments_module
from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.line import decode
from dolittle.engines.file.segments import Lines, Segment, Segments, segment_path
from dolittle.errors import StoreDamaged
from tests.dolittle.engines.file.by_hand import SEED, a_line, a_log, without_events

CHANGED = a_line(1).replace(b"Taco", b"taco")
LINES = [a_line(0), a_line(1, content=b'{"a":"more"}', events=2), a_line(3), a_line(4, events=3)]


class CountingFiles(OsFiles):
    """Remembers what was read, and which files are open."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []
        self.flags: set[int] = set()
        self.open_now: set[int] = set()
        self.opened = 0
        self.looks: list[Path] = []

    def open(self, path: Path, flags: int) -> int:
        self.flags.add(flags)
        self.opened += 1
        fd = super().open(path, flags)
        self.open_now.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self.open_now.remove(fd)
        super().close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        assert fd in self.open_now
        self.reads.append((offset, length))
        return super().pread(fd, length, offset)

    def stat(self, path: Path) -> os.stat_result:
        self.looks.append(path)
        return super().stat(path)

    def taken(self) -> list[tuple[int, int]]:
        """Return what was read since the last call, as offsets and lengths."""
        taken, self.reads = self.reads, []
        return taken


def boundaries(lines: list[bytes], base: int = 0) -> list[int]:
    return [base + sum(map(len, lines[:number])) for number in range(len(lines) + 1)]


def what_is_wrong(damage: StoreDamaged | None) -> tuple[str, int, int, int, str]:
    assert damage is not None
    return (
        damage.path.name,
        damage.line,
        damage.offset_bytes,
        damage.position,
        damage.reason,
    )


def test_an_address_is_in_the_segment_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for name in ("!", "00000000000000000000.jsonl.tmp", "1.jsonl", "a", "0" * 21 + ".jsonl"):
        (tmp_path / "log" / name).write_text("no segment")
    segments = a_log(tmp_path, (0, b"x" * 10), (3, b"x" * 5), (7, b"x" * 20))
    first, second, third = (
        Segment(position, segment_path(tmp_path, position), base)
        for position, base in ((0, 0), (3, 10), (7, 15))
    )
    assert segments.all == [first, second, third]
    assert segments.last == third
    for address in range(50):
        expected = first if address < 10 else second if address < 15 else third
        assert segments.at(address) == expected
    assert [segments.end_of(each) for each in segments.all] == [10, 15, None]
    segment_path(tmp_path, 20).write_text("")
    segments.refresh()
    assert segments.last == Segment(20, segment_path(tmp_path, 20), 35)
    assert segments.end_of(third) == 35
    segments.close()


def test_a_sealed_segment_is_looked_at_once(tmp_path: Path) -> None:
    files = CountingFiles()
    segments = a_log(tmp_path, (0, b"x" * 10), (3, b"x" * 5), (7, b"x"), files=files)
    paths = [segment_path(tmp_path, position) for position in (0, 3, 7)]
    before = segments.all
    segments.refresh()
    assert files.looks == paths[:2]
    assert all(one is other for one, other in zip(before, segments.all, strict=True))
    assert [segments.sealed_look(each) for each in before[:2]] == [p.stat() for p in paths[:2]]
    segment_path(tmp_path, 9).write_bytes(b"")
    segments.refresh()
    assert files.looks == paths
    assert segments.sealed_look(before[2]) == paths[2].stat()
    # Where one is missing, those behind it move up.
    paths[0].unlink()
    segments.refresh()
    assert [(each.path, each.base) for each in segments.all] == [
        (paths[1], 0),
        (paths[2], 5),
        (segment_path(tmp_path, 9), 6),
    ]
    assert files.looks == paths


def test_a_log_without_segments_would_begin_with_the_first(tmp_path: Path) -> None:
    segments = a_log(tmp_path)
    assert segments.at(5) == Segment(0, segment_path(tmp_path, 0), 0)
    assert segments.damage(0, "nothing is there", 0).path == segment_path(tmp_path, 0)
    with pytest.raises(IndexError):
        _ = segments.last


def test_files_are_kept_open_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "_OPEN_MAX", 2)
    files = CountingFiles()
    contents = [(0, b"abc"), (1, b"def"), (2, b"ghi"), (3, b"jkl")]
    segments = a_log(tmp_path, *contents, files=files)
    for _ in range(3):
        for segment, (_, content) in zip(segments.all, contents, strict=True):
            assert segments.read(segment, 1, 1) == content[1:2]
            assert segments.read(segment, 2, 9) == content[2:]
    assert len(files.open_now) == 2
    assert files.opened == 2 + 2 * 2 * 3
    assert files.flags == {os.O_RDONLY}
    segments.close()
    assert not files.open_now


def test_lines_read_on_are_whole_and_as_many_as_fit_into_a_block(tmp_path: Path) -> None:
    files = CountingFiles()
    segments = a_log(tmp_path, (0, LINES[0]), (1, b"".join(LINES[1:])), files=files)
    places = boundaries(LINES[1:], len(LINES[0]))
    for number, address in enumerate(places[:-1]):
        for end in places[number + 1 :]:
            for block in (1, 7, len(LINES[1]), len(LINES[1]) + 1, 400, 1000):
                found = segments.lines(address, end, block)
                first, *reads = files.taken()
                assert first == (address - len(LINES[0]), min(block, end - address))
                # Until a line ends, four times as much is read.
                for _, length in reads:
                    first = (first[0], min(4 * first[1], end - address))
                    assert length == first[1]
                ends = [place for place in places if address < place <= address + first[1]]
                assert found.next_address == ends[-1] <= end
                count = number + len(ends)
                assert found.address == address
                assert found.data + b"\n" == b"".join(LINES[number + 1 : count + 1])
                assert [line + b"\n" for line in found.lines] == LINES[number + 1 : count + 1]
    # The next segment is another file.
    assert segments.lines(0, places[-1]).next_address == len(LINES[0])
    assert segments.lines(0, len(LINES[0]) + 5).next_address == len(LINES[0])
    segments.close()


def test_an_empty_line_is_a_line(tmp_path: Path) -> None:
    files = CountingFiles()
    segments = a_log(tmp_path, (0, b"\n" + LINES[0] + b"\n"), (1, b"\n"), files=files)
    end = 1 + len(LINES[0])
    assert segments.lines(0, end, 1).next_address == 1
    assert segments.damage(1, "it is so").line == 2
    files.taken()
    for address in (end + 1, end + 2):
        found = segments.lines_before(address, 2)
        assert (found.address, found.data, found.lines) == (address - 1, b"", [b""])
    assert [length for _, length in files.taken()] == [2, 1]
    segments.close()


def test_what_was_added_to_a_segment_that_is_sealed_is_not_read(tmp_path: Path) -> None:
    segments = a_log(tmp_path, (0, LINES[0]), (1, LINES[1]))
    segment_path(tmp_path, 0).write_bytes(LINES[0] + LINES[1])
    assert segments.lines(0, 10_000).data + b"\n" == LINES[0]
    segments.close()


@pytest.mark.parametrize("block", [1, 10, 47, 1000])
def test_a_line_without_an_end_is_damage(tmp_path: Path, block: int) -> None:
    segments = a_log(tmp_path, (0, LINES[0] + LINES[1][:-1]))
    begin = len(LINES[0])
    name = segments.last.path.name
    for end in (begin + 20, begin + len(LINES[1]) - 1, begin + len(LINES[1]), begin + 900):
        with pytest.raises(StoreDamaged) as caught:
            segments.lines(begin, end, block)
        assert what_is_wrong(caught.value) == (name, 2, begin, 1, "a line has no end")
    segments.close()


def test_what_is_longer_than_any_line_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "LINE_BYTES_MAX", 160)
    files = CountingFiles()
    segments = a_log(tmp_path, (0, b"x" * 5000 + b"\n"), files=files)
    with pytest.raises(StoreDamaged, match="a line has no end"):
        segments.lines(0, 5001, 10)
    assert files.taken() == [(0, 10), (0, 40), (0, 160), (0, 640)]
    found = segments.lines_before(5001, 10)
    assert (found.address, found.data) == (5001 - 640, b"x" * 639)
    assert [length for _, length in files.taken()] == [10, 40, 160, 640]
    segments.close()


def test_lines_before_are_whole_and_as_many_as_are_in_a_block(tmp_path: Path) -> None:
    files = CountingFiles()
    segments = a_log(tmp_path, (0, LINES[0]), (1, b"".join(LINES[1:])), files=files)
    base = len(LINES[0])
    places = boundaries(LINES[1:], base)
    for number, address in enumerate(places[1:], 1):
        sizes = {address - place + more for place in places[:number] for more in (-1, 0, 1)}
        for block in (1, 30, *sizes, 5000):
            found = segments.lines_before(address, block)
            length = min(block, address - base)
            lengths = [length]
            # What begins a block may have begun before it, unless the segment does, too.
            while begins := [p for p in places[:number] if p > address - length or p == base]:
                if address - length == base or begins[-1] > base:
                    break
                length = min(4 * length, address - base)
                lengths.append(length)
            begin = base if address - length == base else min(p for p in begins if p > base)
            assert [length for _, length in files.taken()] == lengths
            assert found.address == begin
            assert found.next_address == address
            assert found.data + b"\n" == b"".join(LINES[1:])[begin - base : address - base]
    assert segments.lines_before(base).data + b"\n" == LINES[0]
    segments.close()


def test_a_line_is_found_by_its_address_whatever_is_behind_it(tmp_path: Path) -> None:
    long = a_line(4, content=b'{"a":"%b"}' % (b"x" * 5000))
    lines = [*LINES[:3], long, b"no line\n", b"torn"]
    places = boundaries(lines)
    segments = a_log(tmp_path, (0, b"".join(lines)))
    for number in range(4):
        assert segments.line_at(places[number], places[-1]) == decode(lines[number][:-1])
    with pytest.raises(StoreDamaged) as caught:
        segments.line_at(places[4], places[-1])
    name = segments.last.path.name
    reason = "the checksum does not match"
    assert what_is_wrong(caught.value) == (name, 5, places[4], 5, reason)
    segments.close()


@pytest.mark.parametrize("begin", [0, 1])
def test_whole_lines_are_decoded_without_a_look_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: int
) -> None:
    def fail(line: bytes, seed: int) -> bool:
        raise AssertionError("a look at one line")

    monkeypatch.setattr(segments_module, "is_intact", fail)
    segments = a_log(tmp_path)
    lines = Lines(0, b"".join(LINES[begin:])[:-1])
    expected = [decode(line[:-1]) for line in LINES[begin:]]
    assert segments.decode(lines) == expected
    assert segments.decode(lines, begin) == expected
    assert segments.decode_apart(b"".join(LINES[::2])[:-1]) == [
        decode(line[:-1]) for line in LINES[::2]
    ]


@pytest.mark.parametrize(
    ("lines", "expected", "good", "position", "reason"),
    [
        ([a_line(0), CHANGED, a_line(2)], None, 1, 1, "the checksum does not match"),
        ([a_line(0), CHANGED, a_line(2)], 0, 1, 1, "the checksum does not match"),
        ([a_line(0), b"\n", a_line(1)], None, 1, 1, "the checksum does not match"),
        ([a_line(0), a_line(2)], None, 1, 1, "it says position 2, 1 should follow"),
        ([a_line(0), a_line(1), a_line(1)], 0, 2, 2, "it says position 1, 2 should follow"),
        ([a_line(3), a_line(4)], 2, 0, 2, "it says position 3, 2 should follow"),
        ([LINES[1], a_line(2)], 1, 1, 3, "it says position 2, 3 should follow"),
        ([a_line(0), without_events(1)], None, 1, 1, "not a commit: a commit without events"),
    ],
)
def test_lines_are_decoded_up_to_the_first_that_does_not_check(
    tmp_path: Path,
    lines: list[bytes],
    expected: int | None,
    good: int,
    position: int,
    reason: str,
) -> None:
    data = b"".join(lines)
    segments = a_log(tmp_path, (0, LINES[0]), (1, data))
    read = Lines(len(LINES[0]), data[:-1])
    decoded, damage = segments.decode_intact(read, expected)
    assert decoded == [decode(line[:-1]) for line in lines[:good]]
    name = segments.last.path.name
    place = boundaries(lines)[good]
    assert what_is_wrong(damage) == (name, good + 1, place, position, reason)
    with pytest.raises(StoreDamaged, match=reason):
        segments.decode(read, expected)
    if "should follow" not in reason:
        assert segments.decode_apart(b"".join(lines)[:-1]) == []
    segments.close()


def test_damage_has_the_line_and_the_position_that_follows_the_last_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments_module, "BLOCK_BYTES", 50)
    lines = [*LINES[:3], b"damaged\n", b"damaged, too\n", b"x\n"]
    places = boundaries(lines)
    segments = a_log(tmp_path, (0, b"".join(lines)), (10, b"damaged\n" * 3))
    found = [segments.damage(place, "it is so") for place in places[:-1]]
    assert [damage.line for damage in found] == [1, 2, 3, 4, 5, 6]
    assert [damage.position for damage in found] == [0, 1, 3, 4, 4, 4]
    assert [damage.offset_bytes for damage in found] == places[:-1]
    assert segments.damage(places[2], "it is so", 77).position == 77
    for number in range(3):
        damage = segments.damage(places[-1] + 8 * number, "it is so")
        name = segment_path(tmp_path, 10).name
        assert what_is_wrong(damage) == (name, number + 1, 8 * number, 10, "it is so")
    # Behind the end of the file there are no more lines.
    assert segments.damage(places[-1] + 1000, "it is so").line == 4
    segments.close()


def test_the_seed_is_that_of_the_store(tmp_path: Path) -> None:
    segments = Segments(OsFiles(), a_log(tmp_path)._folder, SEED + 1)
    assert segments.decode_apart(LINES[0][:-1]) == []
