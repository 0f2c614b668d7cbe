from __future__ import annotations

import json
from pathlib import Path

import pytest

from dolittle_cli.main import main

STORE = Path(".dolittle", "development", "events")


@pytest.fixture
def log(kitchen: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The log file of a kitchen with three commits."""
    for guests in range(3):
        words = ["append", "OrderTaken", "--source", "Table 1", f"guests={guests}"]
        assert main(["events", *words]) == 0
    capsys.readouterr()
    [log] = (kitchen / STORE / "log").iterdir()
    return log


def test_an_intact_store_is_said_to_be_so(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "verify"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "3 events verified, all is well\n")
    assert main(["events", "verify", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"is_ok": True, "events": 3, "findings": []}


def test_nothing_to_verify_is_no_failure_and_makes_no_store(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "verify"]) == 0
    assert "nothing was committed yet" in capsys.readouterr().err
    assert not (kitchen / ".dolittle").exists()


def test_a_damaged_line_fails_and_is_named(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"guests":1', b'"guests":7')
    log.write_bytes(b"".join(lines))
    assert main(["events", "verify"]) == 1
    found = capsys.readouterr().out
    assert f"{log}:2: " in found
    assert "position 1" in found
    assert main(["events", "verify", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["is_ok"] is False
    assert answer["findings"][0]["line"] == 2
    assert answer["findings"][0]["position"] == 1
    assert log.read_bytes() == b"".join(lines)


def test_reading_goes_up_to_the_damage_and_appending_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"guests":1', b'"guests":7'))
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=4"]) == 1
    printed = capsys.readouterr().err
    assert "error: stored events are damaged at" in printed
    assert "dolittle events verify" in printed
    assert main(["events", "show", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["content"]["guests"] == 0


def test_a_torn_tail_is_cut_and_the_rest_is_whole(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.open("ab") as file:
        file.write(b'{"sum":"0000')
    assert main(["events", "append", "OrderTaken", "--source", "T", "guests=9"]) == 0
    capsys.readouterr()
    assert main(["events", "verify"]) == 0
    assert capsys.readouterr().err == "4 events verified, all is well\n"
    assert main(["doctor", "--json"]) == 0
    assert "1 copy of a torn tail" in capsys.readouterr().out


def test_a_store_that_another_version_wrote_is_refused_and_left_alone(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = log.parents[1] / "store.json"
    changed = identity.read_text().replace('"format":1', '"format":99')
    identity.write_text(changed)
    for words in (["list"], ["verify"], ["tail"], ["append", "OrderTaken", "--source", "T"]):
        more = ["guests=1"] if words[0] == "append" else []
        assert main(["events", *words, *more]) == 1
        printed = capsys.readouterr().err
        assert printed.count("error: ") == 1
        assert "format" in printed
    assert identity.read_text() == changed
