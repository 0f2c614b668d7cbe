"""A log cut or flipped anywhere gives a prefix of whole commits or an error, no wrong event."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dolittle.engines.file import FileStore, recovery
from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.line import microseconds, seed_of
from dolittle.engines.file.recovery import Scan, raw_lines, scan
from dolittle.engines.file.segments import Segments
from dolittle.errors import StoreDamaged
from dolittle.store import CommittedEvent, Selection
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all
from dolittle.testing.faulty_files import FaultyFiles, PowerCutFiles
from tests.dolittle.engines.file.by_hand import (
    SEED,
    TIME,
    a_line,
    a_log,
    with_a_sum,
    without_events,
)

FIRST = "00000000000000000000.jsonl"


async def open_store(folder: Path, **options: object) -> FileStore:
    options = {"files": FaultyFiles(), "clock": MovableClock(), **options}
    return await FileStore.open(folder, **options)  # type: ignore[arg-type]


async def a_store(folder: Path, commits: int = 4, **options: object) -> list[CommittedEvent]:
    """Make a store and return its events."""
    store = await open_store(folder, **options)
    for number in range(commits):
        await store.commit(
            a_commit(an_event(aggregate="Kitchen"), an_event("Paid"), id=f"{number:04}")
        )
    events = await read_all(store)
    await store.close()
    return events


def after_a_power_cut(folder: Path) -> None:
    """Forget what is only believed within one boot of the machine."""
    (folder / "synced").unlink()


async def what_is_read(store: FileStore) -> tuple[list[CommittedEvent], StoreDamaged | None]:
    found: list[CommittedEvent] = []
    try:
        async for page in store.read(Selection()):
            found.extend(page.events)
    except StoreDamaged as damage:
        return found, damage
    return found, None


@pytest.mark.slow
async def test_a_log_cut_at_every_byte_gives_whole_commits_or_a_refusal(tmp_path: Path) -> None:
    events = await a_store(tmp_path / "whole", 2)
    log = (tmp_path / "whole" / "log" / FIRST).read_bytes()
    for has_index in (False, True):
        for size in range(len(log)):
            folder = tmp_path / "cut"
            shutil.copytree(tmp_path / "whole", folder)
            after_a_power_cut(folder)
            if not has_index:
                (folder / "index.sqlite").unlink()
            (folder / "log" / FIRST).write_bytes(log[:size])
            store = await open_store(folder)
            found, damage = await what_is_read(store)
            whole = log[:size].count(b"\n")
            assert found == events[: 2 * whole], size
            if has_index and damage is None:
                # The index has seen all of it on disk.
                assert store.damage is not None
            if not has_index:
                assert store.damage is None
                torn = log[log[:size].rfind(b"\n") + 1 : size]
                copies = list((folder / "torn").iterdir()) if torn else []
                assert [copy.read_bytes() for copy in copies] == ([torn] if torn else [])
                answer = await store.commit(a_commit(id="next"))
                assert answer.position == 2 * whole
            await store.close()
            shutil.rmtree(folder)


async def test_every_flipped_bit_ends_the_scan_at_its_line(tmp_path: Path) -> None:
    await a_store(tmp_path)
    path = tmp_path / "log" / FIRST
    log = path.read_bytes()
    store = await open_store(tmp_path)
    seed = seed_of(store.id)
    await store.close()
    segments = Segments(OsFiles(), tmp_path, seed)
    last_line = log[:-1].rfind(b"\n") + 1
    for bit in range(len(log) * 8):
        flipped = bytearray(log)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found = scan(OsFiles(), segments, seed, 0)
        whole = log[: bit // 8].count(b"\n")
        assert (found.position, found.end) == (2 * whole, len(b"".join(_lines(log)[:whole]))), bit
        assert (found.damage is not None) == (bit // 8 < last_line), bit
        assert found.is_torn == (bit // 8 >= last_line), bit
    segments.close()


def _lines(log: bytes) -> list[bytes]:
    return log.splitlines(keepends=True)


@pytest.mark.slow
async def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    events = await a_store(tmp_path / "whole", 3)
    path = tmp_path / "whole" / "log" / FIRST
    log = path.read_bytes()
    last_line = log[:-1].rfind(b"\n") + 1
    # The whole engine costs more than the scan above, which tries every bit.
    for bit in range(0, len(log) * 8, 29):
        folder = tmp_path / "flipped"
        shutil.copytree(tmp_path / "whole", folder)
        after_a_power_cut(folder)
        (folder / "index.sqlite").unlink()
        flipped = bytearray(log)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / "log" / FIRST).write_bytes(flipped)
        store = await open_store(folder)
        found, damage = await what_is_read(store)
        whole = log[: bit // 8].count(b"\n")
        assert found == events[: 2 * whole], bit
        if bit // 8 < last_line:
            # A later line proves that this one had been stored.
            assert damage is not None
            assert (damage.line, damage.position) == (whole + 1, 2 * whole), bit
            assert await store.verify() != []
            with pytest.raises(StoreDamaged):
                await store.commit(a_commit())
            assert (folder / "log" / FIRST).read_bytes() == flipped
        await store.close()
        shutil.rmtree(folder)


async def test_within_one_boot_the_last_line_is_known_to_be_damaged_too(tmp_path: Path) -> None:
    await a_store(tmp_path)
    path = tmp_path / "log" / FIRST
    log = bytearray(path.read_bytes())
    log[-10] ^= 1
    path.write_bytes(log)
    store = await open_store(tmp_path)
    assert store.damage is not None
    assert (store.damage.line, store.damage.position) == (4, 6)
    assert path.read_bytes() == log
    with pytest.raises(StoreDamaged):
        await store.commit(a_commit())
    found, damage = await what_is_read(store)
    assert (len(found), damage) == (6, store.damage)
    with pytest.raises(StoreDamaged):
        await store.read_last(Selection(), 1)
    assert len(await read_all(store, Selection(stop=6))) == 6
    await store.close()


async def test_damage_in_the_middle_is_named_and_everything_else_is_read(tmp_path: Path) -> None:
    events = await a_store(tmp_path, 10)
    path = tmp_path / "log" / FIRST
    lines = path.read_bytes().splitlines(keepends=True)
    changed = lines[4].replace(b"Bean Blaster", b"Bean Blasted")
    path.write_bytes(b"".join([*lines[:4], changed, *lines[5:]]))
    store = await open_store(tmp_path)
    damage = store.damage
    assert damage is not None
    assert (damage.path, damage.line, damage.position) == (path, 5, 8)
    assert damage.offset_bytes == len(b"".join(lines[:4]))
    found, raised = await what_is_read(store)
    assert found == events[:8]
    assert raised is not None
    with pytest.raises(StoreDamaged):
        await store.commit(a_commit())
    (finding,) = await store.verify()
    assert (finding.line, finding.offset, finding.position) == (5, damage.offset_bytes, 8)
    await store.close()
    # Put back what was there, and all is well.
    path.write_bytes(b"".join(lines))
    store = await open_store(tmp_path)
    assert store.damage is None
    assert await read_all(store) == events
    await store.commit(a_commit())
    await store.close()


@pytest.mark.parametrize("has_index", [True, False])
async def test_a_change_by_hand_in_a_sealed_segment_is_found_at_the_next_open(
    tmp_path: Path, has_index: bool
) -> None:
    events = await a_store(tmp_path, 10, segment_bytes=700)
    segments = sorted((tmp_path / "log").iterdir())
    assert len(segments) > 3
    text = segments[1].read_text()
    segments[1].write_text(text.replace("Blaster", "Blasted", 1))
    if not has_index:
        (tmp_path / "index.sqlite").unlink()
    store = await open_store(tmp_path)
    with pytest.raises(StoreDamaged):
        await store.commit(a_commit())
    assert store.damage is not None
    assert store.damage.path == segments[1]
    found, damage = await what_is_read(store)
    assert found == events[: int(segments[1].stem)]
    assert damage is not None
    await store.close()


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("has_index", [True, False])
async def test_a_missing_segment_is_damage(tmp_path: Path, which: int, has_index: bool) -> None:
    await a_store(tmp_path, 10, segment_bytes=700)
    sorted((tmp_path / "log").iterdir())[which].unlink()
    if not has_index:
        (tmp_path / "index.sqlite").unlink()
    store = await open_store(tmp_path)
    with pytest.raises(StoreDamaged):
        await store.commit(a_commit())
    await store.close()


async def test_a_log_without_its_description_is_not_made_anew(tmp_path: Path) -> None:
    await a_store(tmp_path)
    (tmp_path / "store.json").unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        await open_store(tmp_path)


async def test_a_line_copied_from_another_store_does_not_pass(tmp_path: Path) -> None:
    await a_store(tmp_path / "one")
    await a_store(tmp_path / "two", 1)
    line = (tmp_path / "one" / "log" / FIRST).read_bytes().splitlines(keepends=True)[1]
    path = tmp_path / "two" / "log" / FIRST
    path.write_bytes(path.read_bytes() + line)
    store = await open_store(tmp_path / "two")
    assert len(await read_all(store)) == 2
    await store.close()


@pytest.mark.slow
@pytest.mark.parametrize("sector", [512, 4096])
async def test_a_power_cut_at_any_moment_loses_nothing_acknowledged(
    tmp_path: Path, sector: int
) -> None:
    for seed in range(150):
        folder = tmp_path / str(seed)
        await _cut(folder, seed, sector)
        shutil.rmtree(folder)


async def _cut(folder: Path, seed: int, sector: int) -> None:
    files = PowerCutFiles(seed, sector)
    store = await open_store(folder, files=files, segment_bytes=3_000)
    acknowledged: list[CommittedEvent] = []
    for number in range(1 + seed % 7):
        answer = await store.commit(a_commit(*[an_event()] * (1 + number), id=f"{seed}-{number}"))
        acknowledged.extend(answer.events)
    # The power goes after the write and before the sync.
    files.stop_syncing = True
    pending = store.submit(a_commit(*[an_event()] * 20, id="pending"))
    assert pending.exception(10) is not None
    await store.close()
    files.cut()
    after_a_power_cut(folder)
    again = await open_store(folder, segment_bytes=3_000)
    assert again.damage is None, seed
    found = await read_all(again)
    assert found[: len(acknowledged)] == acknowledged, seed
    assert len(found) - len(acknowledged) in (0, 20), seed
    answer = await again.commit(a_commit(*[an_event()] * 20, id="pending"))
    assert len(await read_all(again)) == len(acknowledged) + 20
    await again.close()


def scanned(segments: Segments, synced_address: int = 0) -> Scan:
    found = scan(OsFiles(), segments, SEED, synced_address)
    segments.close()
    return found


BAD_LINES = [
    (a_line(1).replace(b"Taco", b"taco"), "the checksum does not match"),
    (a_line(0), "it says position 0, 1 should follow"),
    (a_line(2), "it says position 2, 1 should follow"),
    (without_events(1), "not a commit: a commit without events"),
]


@pytest.mark.parametrize(("line", "reason"), [*BAD_LINES, (a_line(1)[:-1], "the line has no end")])
def test_a_torn_end_that_a_mark_of_this_boot_knows_is_damage(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    end = len(a_line(0))
    torn = scanned(a_log(tmp_path, (0, a_line(0) + line)), end)
    assert (torn.end, torn.position, torn.is_torn) == (end, 1, True)
    damage = scanned(a_log(tmp_path, (0, a_line(0) + line)), end + 1).damage
    assert damage is not None
    assert (damage.line, damage.offset_bytes, damage.position) == (2, end, 1)
    assert damage.reason == reason


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_that_a_later_one_calls_synced_is_damage(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    end = len(a_line(0))
    assert scanned(a_log(tmp_path, (0, a_line(0) + line + a_line(3, synced=1)))).is_torn
    damage = scanned(a_log(tmp_path, (0, a_line(0) + line + a_line(3, synced=2)))).damage
    assert damage is not None
    assert (damage.line, damage.offset_bytes, damage.position) == (2, end, 1)
    assert damage.reason == f"{reason}, and a later line proves that it had been stored"


@pytest.mark.parametrize("content", [b"", a_line(0)])
def test_a_log_that_ends_before_a_mark_of_this_boot_is_damaged(
    tmp_path: Path, content: bytes
) -> None:
    assert scanned(a_log(tmp_path, (0, content)), len(content)).damage is None
    damage = scanned(a_log(tmp_path, (0, content)), len(content) + 1).damage
    assert damage is not None
    assert damage.reason == "stored events are missing at the end of the log"
    assert damage.position == content.count(b"\n")


def test_a_line_that_is_no_commit_proves_nothing(tmp_path: Path) -> None:
    assert scanned(a_log(tmp_path, (0, b"torn\n" + with_a_sum(b'",}')))).is_torn


@pytest.mark.parametrize("before", [b"", b"x", b"the newline is damaged, too: "])
def test_a_line_proves_what_was_before_it_wherever_it_begins(tmp_path: Path, before: bytes) -> None:
    witness = a_line(2, synced=1, content=b'{"sum":"12345678","more":{"sum":"1"}}')
    assert scanned(a_log(tmp_path, (0, b"torn\n" + before + witness))).damage is not None
    assert scanned(a_log(tmp_path, (0, b"torn\n" + before + witness[1:]))).is_torn


def test_bytes_without_an_end_are_taken_in_parts_and_hide_no_line_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BLOCK_BYTES", 10)
    monkeypatch.setattr(recovery, "LINE_BYTES_MAX", 20)
    segments = a_log(tmp_path, (0, b"x" * 30 + b"y" * 5 + b"\n" + b"z" * 20 + b"\n" + b"end"))
    parts = list(raw_lines(segments, segments.last, 60))
    assert parts == [(0, b"x" * 30), (30, b"y" * 5 + b"\n"), (36, b"z" * 20 + b"\n"), (57, b"end")]
    assert list(raw_lines(segments, segments.last, 60, 57)) == [(57, b"end")]
    assert list(raw_lines(segments, segments.last, 56, 36)) == [(36, b"z" * 20)]
    # A file that became shorter since it was asked for its size.
    assert list(raw_lines(segments, segments.last, 100)) == parts
    monkeypatch.setattr(recovery, "LINE_BYTES_MAX", 300)
    found = scanned(a_log(tmp_path, (0, b"x" * 900 + b"\n" + a_line(2, synced=1))))
    assert (found.end, found.damage is not None) == (0, True)


@pytest.mark.parametrize("sealed", [a_line(0), a_line(0)[1:]])
def test_an_empty_last_segment_has_the_time_of_the_one_before_it(
    tmp_path: Path, sealed: bytes
) -> None:
    found = scanned(a_log(tmp_path, (0, sealed), (1, b"")))
    assert found.time_us == (microseconds(TIME) if sealed == a_line(0) else 0)
