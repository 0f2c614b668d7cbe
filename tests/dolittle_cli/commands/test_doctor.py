from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.runtime.delivery.lease import Lease
from dolittle.runtime.microservice import Microservice
from dolittle_cli.main import main


def examined(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> list[dict[str, Any]]:
    """Return the checks that are not ok."""
    capsys.readouterr()
    assert main(["doctor", "--json", *words]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["is_ok"] is (code == 0)
    return [check for check in answer["checks"] if check["status"] != "ok"]


@pytest.fixture
def quiet(kitchen: Path) -> Path:
    """A kitchen with a port that nobody else uses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (kitchen / "dolittle.toml").open("a") as file:
        file.write(f"\n[http]\nport = {port}\n")
    return kitchen


def test_a_new_project_is_well_and_looking_makes_nothing(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr()
    assert all(line.startswith("ok ") for line in printed.out.splitlines())
    assert "2 event types, 1 aggregate, 1 handler, 1 projection" in printed.out
    assert "store of north" in printed.out
    assert printed.err.endswith("all is well\n")
    assert not (quiet / ".dolittle").exists()


def test_only_the_tenant_that_is_named_is_looked_at(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--tenant", "north"]) == 0
    assert "development" not in capsys.readouterr().out


def test_no_project_is_a_finding_with_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    [found] = examined(capsys, 1)
    assert found["group"] == "project"
    assert "dolittle new microservice NAME" in found["fix"]


def test_a_broken_configuration_is_a_finding_with_line_and_column(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "dolittle.toml").write_text('[microservice]\nname = "kitchen\n')
    [found] = examined(capsys, 1)
    assert found["group"] == "configuration"
    assert "dolittle.toml:2:" in found["text"]


def test_each_problem_of_the_declarations_is_a_finding(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (quiet / "kitchen" / "one.py").write_text("import nothing_like_this\n")
    (quiet / "kitchen" / "two.py").write_text("def :\n")
    found = examined(capsys, 1)
    assert [item["group"] for item in found] == ["declarations", "declarations"]
    assert "one.py:1:" in found[0]["text"]
    assert "two.py:1:" in found[1]["text"]
    assert all(item["fix"] for item in found)


def test_an_asked_for_port_that_is_taken_is_wrong(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with (kitchen / "dolittle.toml").open("a") as file:
            file.write(f"\n[http]\nport = {port}\n")
        [found] = examined(capsys, 1)
    assert (found["group"], found["status"]) == ("port", "wrong")
    assert f"port {port} on 127.0.0.1 is taken" in found["text"]
    assert "--port" in found["fix"]


async def test_a_microservice_that_runs_may_use_its_port(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with (kitchen / "dolittle.toml").open("a") as file:
            file.write(f"\n[http]\nport = {port}\n")
        async with Microservice.open(kitchen):
            assert await asyncio.to_thread(main, ["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"port {port} is in use, and the microservice is running" in printed
    assert f"process {os.getpid()} delivers events now" in printed


def test_damage_is_wrong_and_points_to_verify(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for guests in (1, 2, 3):
        words = ["OrderTaken", "--source", "T", f"guests={guests}"]
        assert main(["events", "append", *words]) == 0
    [log] = (quiet / ".dolittle" / "development" / "events" / "log").iterdir()
    log.write_bytes(log.read_bytes().replace(b'"guests":2', b'"guests":7'))
    [found] = examined(capsys, 1)
    assert found["group"] == "store of development"
    assert "dolittle events verify" in found["fix"]


def test_a_store_of_another_format_is_wrong(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1"]) == 0
    identity = quiet / ".dolittle" / "development" / "events" / "store.json"
    identity.write_text(identity.read_text().replace('"format":1', '"format":99'))
    [found] = examined(capsys, 1)
    assert "format" in found["text"]


def test_weaker_durability_is_worth_knowing(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (quiet / "dolittle.toml").open("a") as file:
        file.write('\n[store]\ndurability = "os"\n')
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=1"]) == 0
    [found] = examined(capsys, 0)
    assert (found["status"], found["group"]) == ("note", "store of development")
    assert "a crash of the machine" in found["text"]


def test_a_failing_partition_is_a_finding(
    quiet: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    words = ["DishPrepared", "--source", "Bar", "dish=poison", "chef=Eve"]
    assert main(["events", "append", *words]) == 0
    deliver()
    [found] = examined(capsys, 0)
    assert "partition 'Bar' fails at position 0" in found["text"]
    assert found["fix"] == "see dolittle handlers show DishHandler"
    for _ in range(2):
        assert main(["handlers", "retry", "DishHandler"]) == 1
    [found] = examined(capsys, 1)
    assert found["status"] == "wrong"
    assert "parked" in found["text"]


def fixed(capsys: pytest.CaptureFixture[str], code: int) -> tuple[list[Any], list[Any]]:
    """Run ``doctor --fix``; return what it did, and the checks that are not ok afterwards."""
    capsys.readouterr()
    assert main(["doctor", "--fix", "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    return answer["fixed"], [item for item in answer["checks"] if item["status"] != "ok"]


def test_where_nothing_is_wrong_nothing_is_fixed(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fixed(capsys, 0) == ([], [])
    assert not (quiet / ".dolittle").exists()


@pytest.mark.parametrize("before", [None, "", "__pycache__/", "__pycache__/\n"])
def test_a_missing_entry_for_git_is_added_once(
    quiet: Path, capsys: pytest.CaptureFixture[str], before: str | None
) -> None:
    (quiet / ".git").mkdir()
    if before is not None:
        (quiet / ".gitignore").write_text(before)
    [found] = examined(capsys, 0)
    assert (found["group"], found["status"], found["is_fixable"]) == ("project", "note", True)
    assert "/.dolittle/ is not in .gitignore" in found["text"]
    done, left = fixed(capsys, 0)
    assert [item["is_fixed"] for item in done] == [True]
    assert left == []
    lines = (quiet / ".gitignore").read_text().splitlines()
    assert lines == [*filter(None, [(before or "").strip()]), "/.dolittle/"]
    assert fixed(capsys, 0) == ([], [])


@pytest.mark.parametrize("line", ["/.dolittle/", ".dolittle", ".dolittle/", "**/.dolittle"])
def test_an_entry_may_be_written_in_several_ways(
    quiet: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (quiet / ".git").mkdir()
    (quiet / ".gitignore").write_text(f"build/\n{line}\n")
    assert examined(capsys, 0) == []


def test_an_entry_of_the_repository_above_counts(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (quiet.parent / ".git").mkdir()
    (quiet.parent / ".gitignore").write_text(".dolittle/\n")
    assert examined(capsys, 0) == []


def test_a_missing_package_is_made(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(quiet / "kitchen")
    [found] = examined(capsys, 1)
    assert found["group"] == "declarations"
    assert f"{quiet / 'kitchen'} is missing" in found["text"]
    [done], left = fixed(capsys, 0)
    assert (done["is_fixed"], left) == (True, [])
    assert (quiet / "kitchen" / "__init__.py").read_text().startswith('"""The microservice kitchen')


def commit_some() -> None:
    for guests in (1, 2):
        words = ["OrderTaken", "--source", "T", f"guests={guests}"]
        assert main(["events", "append", *words]) == 0


def test_a_damaged_state_is_looked_at_without_a_change_and_put_aside_when_asked(
    quiet: Path, capsys: pytest.CaptureFixture[str], deliver: Callable[[], None]
) -> None:
    commit_some()
    deliver()
    state = quiet / ".dolittle" / "development" / "state.sqlite"
    for path in state.parent.glob("state.sqlite*"):
        path.unlink()
    state.write_bytes(b"this is no database, whatever it is called" * 100)
    [found] = examined(capsys, 1)
    assert found["group"] == "state of development"
    assert "state.sqlite is damaged: file is not a database" in found["text"]
    assert state.read_bytes().startswith(b"this is no database")
    [done], left = fixed(capsys, 0)
    assert done["is_fixed"]
    assert "handlers begin again" in done["text"]
    assert left == []
    assert (state.parent / "state.sqlite.damaged").read_bytes().startswith(b"this is no")
    deliver()


def damage_index(project: Path) -> None:
    folder = project / ".dolittle" / "development" / "events"
    for path in folder.glob("index.sqlite-*"):
        path.unlink()
    (folder / "index.sqlite").write_bytes(b"this is no database at all" * 400)


def test_what_a_running_process_uses_is_left_to_it(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit_some()
    damage_index(quiet)
    lease = Lease(quiet / ".dolittle" / "development" / "delivery.lock")
    assert lease.try_take()
    try:
        [done], left = fixed(capsys, 1)
    finally:
        lease.let_go()
    assert done["is_fixed"] is False
    assert f"process {os.getpid()} uses it now (end it, then repeat this)" in done["text"]
    assert [item["group"] for item in left] == ["store of development"]


def test_a_damaged_index_is_made_anew_from_the_log(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit_some()
    damage_index(quiet)
    [found] = examined(capsys, 1)
    assert "index.sqlite is damaged" in found["text"]
    [done], left = fixed(capsys, 0)
    assert done["text"].endswith("was made anew from the log")
    assert left == []
    assert main(["events", "verify"]) == 0


def test_a_command_that_was_killed_is_taken_back(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = quiet / ".dolittle" / "scaffold-journal.json"
    journal.parent.mkdir()
    journal.write_text("{")
    [found] = examined(capsys, 1)
    assert found["is_fixable"] is True
    [done], left = fixed(capsys, 0)
    assert done["text"] == "what the command had changed was put back"
    assert left == []
    assert not journal.exists()


def test_what_has_no_safe_fix_stays_with_its_hint(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (quiet / "kitchen" / "one.py").write_text("import nothing_like_this\n")
    (quiet / ".git").mkdir()
    capsys.readouterr()
    assert main(["doctor"]) == 1
    assert "dolittle doctor --fix mends 1 of them" in capsys.readouterr().err
    assert main(["doctor", "--fix"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("fixed  project: /.dolittle/ stands in ")
    assert "WRONG  declarations: " in printed
    assert "       fix: " in printed


def test_a_fix_that_fails_is_told_and_the_others_are_done(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (quiet / ".git").mkdir()
    (quiet / ".gitignore").mkdir()
    shutil.rmtree(quiet / "kitchen")
    done, left = fixed(capsys, 0)
    assert [item["is_fixed"] for item in done] == [False, True]
    assert "git would take in the data" in done[0]["text"]
    assert [item["group"] for item in left] == ["project"]
