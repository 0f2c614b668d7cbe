"""A mark is read as it was published, in another process too, or it is not there at all."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from dolittle.engines.file import synced as synced_module
from dolittle.engines.file.files import OsFiles
from dolittle.engines.file.synced import WRITTEN, Mark, Synced

STORE = "01a20d6b9e297cd4af3b196574a641ea"
BOOT = "5d0c4f0e-7f0a-4b9a-8f7a-3d9b2f1c6a10"
BYTES = 8 * (5 + 1 + 2 * 8 + 1)
MARKS = [Mark(*range(10 * number + 1, 10 * number + 8)) for number in range(5)]


@pytest.fixture(autouse=True)
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this boot of the machine have a name that a test can change."""
    path = tmp_path / "boot_id"
    path.write_text(f"{BOOT}\n")
    monkeypatch.setattr(synced_module, "_BOOT_ID", path)
    return path


def opened(folder: Path, *, store_id: str = STORE, is_writable: bool = True) -> Synced:
    return Synced(OsFiles(), folder, store_id, is_writable=is_writable)


def slot(mark: Mark) -> bytes:
    words = struct.pack("<7Q", *mark)
    return words + struct.pack("<Q", zlib.crc32(words))


def header(store_id: str = STORE, boot: str = BOOT) -> bytes:
    return b".synced1" + bytes.fromhex(store_id) + bytes.fromhex(boot.replace("-", ""))


def test_what_is_published_is_read_by_everybody(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    reader = opened(tmp_path, is_writable=False)
    everybody = (one, two, reader)
    assert [each.read() for each in everybody] == [None] * 3
    assert [each.count() for each in everybody] == [-1] * 3
    counts: set[int] = set()
    for number, mark in enumerate(MARKS):
        (one, two)[number % 2].publish(mark)
        assert [each.read() for each in everybody] == [mark] * 3
        (count,) = {each.count() for each in everybody}
        assert count > max(counts, default=0)
        counts.add(count)
    late = opened(tmp_path)
    assert late.count() == max(counts)
    assert late.read() == MARKS[-1]
    for each in (*everybody, late):
        each.close()


def test_the_file_is_that_of_the_format(tmp_path: Path) -> None:
    synced = opened(tmp_path)
    assert (tmp_path / "synced").read_bytes() == bytes(BYTES)
    empty = bytes(64)
    for number, slots in enumerate(
        [
            (empty, slot(MARKS[0])),
            (slot(MARKS[1]), slot(MARKS[0])),
            (slot(MARKS[1]), slot(MARKS[2])),
        ]
    ):
        synced.publish(MARKS[number])
        count = struct.pack("<Q", number + 1)
        whole = header() + count + b"".join(slots)
        for is_doubted in (True, False):
            synced.doubt(is_doubted)
            assert (tmp_path / "synced").read_bytes() == whole + struct.pack("<Q", is_doubted)
    synced.close()
    with pytest.raises(ValueError, match="released"):
        synced.read()


def test_a_file_is_made_longer_and_never_shorter(tmp_path: Path) -> None:
    path = tmp_path / "synced"
    for size in (0, 1, BYTES - 1, BYTES, BYTES + 100):
        path.write_bytes(b"x" * size)
        synced = opened(tmp_path)
        assert path.read_bytes() == (b"x" * size).ljust(BYTES, b"\0")
        assert synced.read() is None
        synced.publish(MARKS[0])
        assert synced.read() == MARKS[0]
        synced.close()
        assert path.stat().st_size == max(size, BYTES)


def test_a_full_disk_fails_when_the_file_is_made(tmp_path: Path) -> None:
    class FullFiles(OsFiles):
        open_now = 0

        def open(self, path: Path, flags: int) -> int:
            self.open_now += 1
            return super().open(path, flags)

        def close(self, fd: int) -> None:
            self.open_now -= 1
            super().close(fd)

        def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
            raise OSError("no room")

    files = FullFiles()
    with pytest.raises(OSError, match="no room"):
        Synced(files, tmp_path, STORE, is_writable=True)
    assert files.open_now == 0


@pytest.mark.parametrize("size", [-1, 0, BYTES - 1])
def test_a_reader_makes_no_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "synced"
    if size >= 0:
        path.write_bytes(b"x" * size)
    with pytest.raises(FileNotFoundError, match="synced"):
        opened(tmp_path, is_writable=False)
    assert not path.exists() if size < 0 else path.read_bytes() == b"x" * size


def test_a_reader_cannot_publish(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / "synced"
    path.chmod(0o400)
    reader = opened(tmp_path, is_writable=False)
    with pytest.raises(TypeError, match="read-only"):
        reader.publish(MARKS[0])
    reader.close()


@pytest.mark.parametrize("what", ["store", "boot", "no boot", "no name of a boot"])
def test_a_mark_of_another_store_or_boot_is_none(tmp_path: Path, boot: Path, what: str) -> None:
    one = opened(tmp_path)
    one.publish(MARKS[0])
    one.close()
    if what == "boot":
        boot.write_text(BOOT.replace("5d0c", "5d0d"))
    elif what == "no boot":
        boot.unlink()
    elif what == "no name of a boot":
        boot.write_text("unknown\n")
    store_id = STORE.replace("01a2", "01a3") if what == "store" else STORE
    two = opened(tmp_path, store_id=store_id)
    assert two.read() is None
    assert two.count() == -1
    reader = opened(tmp_path, store_id=store_id, is_writable=False)
    two.publish(MARKS[1])
    assert two.read() == MARKS[1]
    # Where the system has no name for a boot, each believes only itself.
    assert reader.read() == (None if what.startswith("no") else MARKS[1])
    two.close()
    reader.close()


def test_a_writer_that_dies_within_a_mark_leaves_the_one_before(tmp_path: Path) -> None:
    synced, reader = opened(tmp_path), opened(tmp_path)
    for mark in MARKS[:2]:
        synced.publish(mark)
    for index in range(8):
        # The third mark goes where the first was; its count would come last.
        synced._words[6 + 8 + index] = 77
        assert reader.read() == MARKS[1]
    synced.publish(MARKS[2])
    assert reader.read() == MARKS[2]
    for index in range(8):
        kept = synced._words[6 + 8 + index]
        synced._words[6 + 8 + index] = kept ^ 1
        assert reader.read() is None
        synced._words[6 + 8 + index] = kept
    assert reader.read() == MARKS[2]
    synced.close()
    reader.close()


def test_a_mark_is_believed_only_when_it_is_whole(tmp_path: Path) -> None:
    """A first mark in a file of another store: its header comes last, and its magic very last."""

    class Words:
        def __init__(self, words: memoryview) -> None:
            self.words, self.order = words, list[int]()

        def __getitem__(self, index: int) -> int:
            return self.words[index]

        def __setitem__(self, index: int, value: int) -> None:
            self.order.append(index)
            self.words[index] = value

    other = opened(tmp_path, store_id="0" * 32)
    other.publish(MARKS[0])
    other.close()
    synced = opened(tmp_path)
    words = Words(synced._words)
    synced._words = words  # type: ignore[assignment]
    synced.publish(MARKS[1])
    assert words.order == [0, 22, *range(6, 14), 5, 4, 3, 2, 1, 0]
    words.order.clear()
    synced.publish(MARKS[2])
    assert words.order == [*range(14, 22), 5]
    synced._words = words.words
    assert synced.read() == MARKS[2]
    synced.close()


def test_a_doubt_is_everybodys_until_it_is_taken_back(tmp_path: Path) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    one.publish(MARKS[0])
    count = one.count()
    assert not two.is_doubted
    one.doubt(True)
    assert two.is_doubted
    one.publish(MARKS[1])
    assert two.is_doubted
    two.doubt(False)
    assert not one.is_doubted
    # It is no mark, and does not count.
    assert (one.count(), one.read()) == (count + 1, MARKS[1])
    one.doubt(True)
    for each in (one, two):
        each.close()
    # With another store's or boot's marks goes their doubt.
    other = opened(tmp_path, store_id="0" * 32)
    other.publish(MARKS[2])
    assert not other.is_doubted
    other.close()


def test_each_file_has_marks_of_its_own(tmp_path: Path) -> None:
    synced = opened(tmp_path)
    written = Synced(OsFiles(), tmp_path, STORE, is_writable=True, name=WRITTEN)
    synced.publish(MARKS[0])
    assert written.read() is None
    written.publish(MARKS[1])
    written.doubt(True)
    assert (synced.read(), synced.is_doubted) == (MARKS[0], False)
    assert (tmp_path / "written").stat().st_size == BYTES
    synced.close()
    written.close()


def test_a_reader_tries_again_while_a_mark_is_written(tmp_path: Path) -> None:
    class Changing:
        """Words that a writer changes whenever a reader has looked at the count."""

        def __init__(self, synced: Synced, changes: int) -> None:
            self.words, self.changes = synced._words, changes

        def __getitem__(self, index: int | slice) -> int | memoryview:
            found = self.words[index]
            if index == 5 and self.changes:
                self.changes -= 1
                writer.publish(MARKS[self.changes % 5])
                writer.publish(MARKS[self.changes % 5])
            return found

    writer, reader = opened(tmp_path), opened(tmp_path)
    writer.publish(MARKS[3])
    words = reader._words
    for changes, expected in ((3, MARKS[0]), (500, MARKS[0]), (5000, None)):
        assert reader.read() is not None
        reader._words = Changing(reader, changes)  # type: ignore[assignment]
        assert reader.read() == expected
        reader._words = words
    writer.close()
    reader.close()


@pytest.mark.skipif(not Path("/proc/sys/kernel/random/boot_id").exists(), reason="Linux")
def test_the_name_of_this_boot_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    text = Path("/proc/sys/kernel/random/boot_id").read_text()
    assert synced_module._boot_id() == bytes.fromhex(text.strip().replace("-", ""))
    monkeypatch.setattr(synced_module, "_BOOT_ID", Path(os.devnull) / "none")
    unknown = {synced_module._boot_id() for _ in range(3)}
    assert len(unknown) == 3
    assert {len(each) for each in unknown} == {16}


def test_on_macos_the_name_of_this_boot_is_asked_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Library:
        """Does what sysctl(3) says of ``sysctlbyname``."""

        def __init__(self, name: str | None) -> None:
            assert name is None

        def sysctlbyname(
            self, name: bytes, old: Any, length: Any, new: object, new_length: int
        ) -> int:
            assert (name, new, new_length) == (b"kern.bootsessionuuid", None, 0)
            assert length._obj.value == ctypes.sizeof(old) >= len(BOOT) + 1
            old.value = BOOT.upper().encode()
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(sys, "platform", "darwin")
    synced_module._BOOT_ID.write_text("not asked for")
    assert synced_module._boot_id().hex() == BOOT.replace("-", "")
