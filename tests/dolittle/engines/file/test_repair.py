"""A repair says what would be lost, keeps a copy of each file, and leaves a store that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolittle.engines.file import FileStore, carry_out, plan_repair
from dolittle.engines.file.files import OsFiles
from dolittle.errors import StoreDamaged
from dolittle.store import Selection
from dolittle.testing.contract import MovableClock, a_commit, an_event, read_all
from dolittle.testing.faulty_files import FaultyFiles

NOW = MovableClock().now()


async def open_store(folder: Path, **options: bool) -> FileStore:
    return await FileStore.open(
        folder, clock=MovableClock(), files=FaultyFiles(), segment_bytes=700, **options
    )


async def fill(folder: Path) -> list[Path]:
    """Make a store of ten commits of two events; return its segments."""
    store = await open_store(folder)
    for number in range(10):
        await store.commit(a_commit(an_event(aggregate="Kitchen"), an_event(), id=f"{number}"))
    await store.close()
    return sorted((folder / "log").iterdir())


def damage_line(path: Path, number: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number] = lines[number].replace(b"Bean", b"Been")
    path.write_bytes(b"".join(lines))


async def damage_of(folder: Path) -> StoreDamaged:
    store = await open_store(folder, read_only=True)
    damage = store.damage
    await store.close()
    assert damage is not None
    return damage


async def check_repaired(folder: Path, kept: int) -> None:
    store = await open_store(folder)
    assert store.damage is None
    assert await store.head() == kept
    assert len(await read_all(store, Selection(source="Dolittle Tacos"))) == kept
    assert await store.verify() == []
    assert (await store.commit(a_commit(id="next"))).position == kept
    await store.close()


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize("line", [0, 1])
async def test_a_damaged_line_is_cut_with_what_is_behind_it(
    tmp_path: Path, segment: int, line: int
) -> None:
    paths = await fill(tmp_path)
    assert len(paths) > 3
    damage_line(paths[segment], line)
    before = {path: path.read_bytes() for path in paths}
    first = int(paths[segment].name[:20]) + 2 * line
    repair = plan_repair(OsFiles(), tmp_path, await damage_of(tmp_path))
    assert (repair.path, repair.line, repair.position) == (paths[segment], line + 1, first)
    assert (repair.bad_lines, repair.last_position) == (1, 19)
    assert (repair.intact_lines, repair.intact_events) == (9 - first // 2, 18 - first)
    assert repair.touched == tuple(paths[segment:])
    assert {path: path.read_bytes() for path in paths} == before
    kept = carry_out(OsFiles(), tmp_path, repair, NOW)
    for path in paths[segment:]:
        assert (kept / path.name).read_bytes() == before[path]
    assert (kept / "index.sqlite").exists()
    await check_repaired(tmp_path, first)


async def test_a_missing_segment_loses_what_is_behind_it(tmp_path: Path) -> None:
    paths = await fill(tmp_path)
    paths[1].unlink()
    repair = plan_repair(OsFiles(), tmp_path, await damage_of(tmp_path))
    first = int(paths[1].name[:20])
    assert (repair.path, repair.line, repair.position) == (paths[2], 0, first)
    assert repair.bad_lines == 0
    carry_out(OsFiles(), tmp_path, repair, NOW)
    await check_repaired(tmp_path, first)


async def test_a_missing_first_segment_loses_everything_and_says_so(tmp_path: Path) -> None:
    paths = await fill(tmp_path)
    paths[0].unlink()
    repair = plan_repair(OsFiles(), tmp_path, await damage_of(tmp_path))
    assert (repair.position, repair.last_position) == (0, 19)
    carry_out(OsFiles(), tmp_path, repair, NOW)
    await check_repaired(tmp_path, 0)


async def test_events_missing_at_the_end_are_given_up(tmp_path: Path) -> None:
    paths = await fill(tmp_path)
    last = paths[-1].read_bytes().splitlines(keepends=True)
    paths[-1].write_bytes(b"".join(last[:-1]))
    repair = plan_repair(OsFiles(), tmp_path, await damage_of(tmp_path))
    assert (repair.line, repair.position, repair.last_position) == (0, 18, 17)
    assert repair.touched == ()
    carry_out(OsFiles(), tmp_path, repair, NOW)
    await check_repaired(tmp_path, 18)


async def test_what_no_cut_can_mend_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path)
    elsewhere = StoreDamaged(
        tmp_path / "store.json", line=1, offset_bytes=0, position=0, reason="no"
    )
    with pytest.raises(StoreDamaged):
        plan_repair(OsFiles(), tmp_path, elsewhere)
    intact = StoreDamaged(
        tmp_path / "log" / "x.jsonl", line=1, offset_bytes=0, position=3, reason="version"
    )
    with pytest.raises(StoreDamaged):
        plan_repair(OsFiles(), tmp_path, intact)


@pytest.mark.parametrize("fail_at", range(1, 60))
async def test_a_repair_that_is_interrupted_anywhere_can_be_repeated(
    tmp_path: Path, fail_at: int
) -> None:
    paths = await fill(tmp_path)
    damage_line(paths[2], 0)
    first = int(paths[2].name[:20])
    repair = plan_repair(OsFiles(), tmp_path, await damage_of(tmp_path))
    files = FaultyFiles(fail_at, is_sticky=True)
    try:
        carry_out(files, tmp_path, repair, NOW)
    except OSError:
        store = await open_store(tmp_path, read_only=True)
        left = store.damage
        await store.close()
        if left is not None:
            again = plan_repair(OsFiles(), tmp_path, left)
            assert again.position == first
            carry_out(OsFiles(), tmp_path, again, NOW)
    await check_repaired(tmp_path, first)
