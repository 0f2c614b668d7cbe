from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
