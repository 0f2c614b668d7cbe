"""Writing a plan: all of it, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.journal import PLACE, is_unfinished, locked, recover
from dolittle_cli.scaffold.plan import Action, FileAction, Plan, plan_files
from dolittle_cli.scaffold.write import RealDisk, write_plan


class FailingDisk(RealDisk):
    """A disk on which one operation fails, and which may be interrupted by a person."""

    def __init__(self, fails_at: int, error: BaseException) -> None:
        self._left, self._error = fails_at, error

    def make_folder(self, path: Path) -> None:
        self._count()
        super().make_folder(path)

    def write_new(self, path: Path, data: bytes) -> None:
        if self._left == 0:
            path.write_bytes(data[:1])  # what a full disk leaves
        self._count()
        super().write_new(path, data)

    def wait(self, paths: Sequence[Path]) -> None:
        self._count()
        super().wait(paths)

    def move(self, source: Path, target: Path) -> None:
        self._count()
        super().move(source, target)

    def delete(self, path: Path) -> None:
        self._count()
        super().delete(path)

    def _count(self) -> None:
        if self._left == 0:
            raise self._error
        self._left -= 1


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only() -> OSError:
    return OSError(errno.EROFS, os.strerror(errno.EROFS))


def all_files(root: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else None
        for path in root.rglob("*")
    }


def a_plan(root: Path) -> Plan:
    return Plan(
        root,
        (
            FileAction(Action.CREATE, "deep/er/new.py", "new\n"),
            FileAction(Action.DELETE, "deleted.py", before="deleted\n"),
            FileAction(Action.EDIT, "edited.py", "after\n", before="before\n"),
            FileAction(Action.IDENTICAL, "identical.py", "identical\n"),
            FileAction(Action.CREATE, "last.py", "ü\n"),
        ),
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deleted.py").write_text("deleted\n")
    (tmp_path / "edited.py").write_text("before\n")
    (tmp_path / "identical.py").write_text("identical\n")
    return tmp_path


AFTER = {
    "deep": None,
    "deep/er": None,
    "deep/er/new.py": "new\n",
    "edited.py": "after\n",
    "identical.py": "identical\n",
    "last.py": "ü\n",
}
OPERATIONS = 13
"""The journal and its folder, two folders, three texts written, one wait for all of them, three
moved, one file deleted, and the journal deleted."""


def test_a_plan_is_written_whole(root: Path) -> None:
    write_plan(a_plan(root))
    assert all_files(root) == AFTER


def test_identical_files_are_not_touched(root: Path) -> None:
    before = (root / "identical.py").stat().st_mtime_ns
    write_plan(a_plan(root))
    assert (root / "identical.py").stat().st_mtime_ns == before


@pytest.mark.parametrize("error", [no_space, read_only])
@pytest.mark.parametrize("fails_at", range(OPERATIONS))
def test_an_error_at_any_moment_leaves_everything_as_it_was(
    root: Path, fails_at: int, error: type
) -> None:
    before = all_files(root)
    cause = error()
    with pytest.raises(CommandLineError, match="nothing was changed") as failed:
        write_plan(a_plan(root), FailingDisk(fails_at, cause))
    assert all_files(root) == before
    assert os.strerror(cause.errno).lower() in str(failed.value)
    assert str(root) in str(failed.value)
    assert failed.value.hint
    assert failed.value.__cause__ is cause


def test_there_are_as_many_operations_as_are_made_to_fail(root: Path) -> None:
    write_plan(a_plan(root), FailingDisk(OPERATIONS, no_space()))
    assert all_files(root) == AFTER


@pytest.mark.parametrize("fails_at", range(OPERATIONS))
def test_an_interrupt_at_any_moment_leaves_everything_as_it_was(root: Path, fails_at: int) -> None:
    before = all_files(root)
    with pytest.raises(KeyboardInterrupt):
        write_plan(a_plan(root), FailingDisk(fails_at, KeyboardInterrupt()))
    assert all_files(root) == before


@pytest.mark.parametrize("name", ["deleted.py", "edited.py", "last.py"])
def test_a_file_that_changed_since_the_plan_was_made_is_not_overwritten(
    root: Path, name: str
) -> None:
    plan = a_plan(root)
    (root / name).write_text("somebody else\n")
    before = all_files(root)
    with pytest.raises(CommandLineError, match=f"{name} was changed while this command ran"):
        write_plan(plan)
    assert all_files(root) == before


def test_what_cannot_be_undone_is_named(root: Path) -> None:
    class Stubborn(FailingDisk):
        def move(self, source: Path, target: Path) -> None:
            if target.name == "new.py":
                super().move(source, target)
                target.unlink()
                target.mkdir()
                (target / "in the way").write_text("")
                return
            super().move(source, target)

    with pytest.raises(CommandLineError, match="could not be put back") as failed:
        write_plan(a_plan(root), Stubborn(9, no_space()))
    assert str(root / "deep" / "er" / "new.py") in str(failed.value)


def test_what_was_written_is_identical_when_planned_again(tmp_path: Path) -> None:
    texts = {"a.py": "a\n", "b/c.py": "c\n"}
    write_plan(plan_files(tmp_path / "new", texts))
    assert plan_files(tmp_path / "new", texts).changes == ()


class KilledDisk(FailingDisk):
    """A disk whose process is killed at one operation: nothing of its own is taken back."""

    def __init__(self, fails_at: int) -> None:
        super().__init__(fails_at, KeyboardInterrupt())

    def _count(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


@pytest.mark.parametrize("fails_at", range(OPERATIONS))
def test_a_kill_at_any_moment_is_taken_back_by_the_next_command(root: Path, fails_at: int) -> None:
    before = all_files(root)
    child = os.fork()
    if child == 0:
        write_plan(a_plan(root), KilledDisk(fails_at))
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    recover(root)
    if fails_at == 1:
        (root / ".dolittle").rmdir()  # the folder for data, made before there was a journal
    assert all_files(root) == before
    write_plan(a_plan(root))
    assert all_files(root) == AFTER


def test_a_new_folder_that_was_killed_half_way_is_gone_after_it_was_taken_back(
    tmp_path: Path,
) -> None:
    root = tmp_path / "deep" / "new"
    plan = plan_files(root, {"a.py": "a\n", "b/c.py": "c\n"})
    child = os.fork()
    if child == 0:
        write_plan(plan, KilledDisk(9))
        os._exit(1)
    os.waitpid(child, 0)
    assert (root / "a.py").exists() or (root / PLACE).exists()
    assert recover(root)
    assert all_files(tmp_path) == {}


def test_a_write_while_another_one_is_under_way_is_refused(root: Path) -> None:
    before = all_files(root)
    with locked(root), pytest.raises(CommandLineError, match="another dolittle command"):
        write_plan(a_plan(root))
    assert all_files(root) == before


def test_a_write_is_not_begun_over_one_that_was_killed(root: Path) -> None:
    (root / PLACE).parent.mkdir()
    (root / PLACE).write_text("{")
    with pytest.raises(CommandLineError, match="has not finished"):
        write_plan(a_plan(root))
    assert recover(root)
    assert not is_unfinished(root)


def test_what_somebody_changed_after_a_kill_is_left_and_named(root: Path) -> None:
    child = os.fork()
    if child == 0:
        write_plan(a_plan(root), KilledDisk(OPERATIONS - 1))
        os._exit(1)
    os.waitpid(child, 0)
    (root / "edited.py").write_text("mine\n")
    with pytest.raises(CommandLineError, match=r"could not be put back: .*edited\.py"):
        recover(root)
    assert (root / "edited.py").read_text() == "mine\n"
    assert (root / "deleted.py").read_text() == "deleted\n"


def test_nothing_is_written_through_a_symbolic_link(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (root / "deep").symlink_to(outside)
    with pytest.raises(CommandLineError, match="deep is a symbolic link"):
        write_plan(a_plan(root))
    assert list(outside.iterdir()) == []


def test_an_edited_file_keeps_its_mode(root: Path) -> None:
    (root / "edited.py").chmod(0o750)
    write_plan(a_plan(root))
    assert (root / "edited.py").stat().st_mode & 0o777 == 0o750


def test_a_plan_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    write_plan(Plan(tmp_path / "none", (FileAction(Action.IDENTICAL, "a", "a", "a"),)))
    assert not (tmp_path / "none").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, where this machine lets us mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_half_way_leaves_everything_as_it_was(small_disk: Path) -> None:
    (small_disk / "there.py").write_text("there\n")
    large = {f"file_{number}.py": "x" * 20_000 for number in range(5)}
    with pytest.raises(CommandLineError, match="no space left on device; nothing was changed"):
        write_plan(plan_files(small_disk, large))
    assert all_files(small_disk) == {"there.py": "there\n"}


def test_everything_is_on_disk_before_anything_is_moved(root: Path) -> None:
    class Noting(RealDisk):
        def __init__(self) -> None:
            self.written: set[Path] = set()
            self.waited: set[Path] = set()
            self.moved_too_early: list[Path] = []

        def write_new(self, path: Path, data: bytes) -> None:
            self.written.add(path)
            super().write_new(path, data)

        def wait(self, paths: Sequence[Path]) -> None:
            super().wait(paths)
            self.waited |= set(paths)

        def move(self, source: Path, target: Path) -> None:
            if not self.written <= self.waited:
                self.moved_too_early.append(source)
            super().move(source, target)

    disk = Noting()
    write_plan(a_plan(root), disk)
    assert root / PLACE in disk.waited
    assert disk.written == disk.waited
    assert disk.moved_too_early == []


def test_a_disk_that_fails_while_it_is_waited_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RealDisk().wait([tmp_path / "a.py"])
