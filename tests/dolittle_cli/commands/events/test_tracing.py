from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, EventToCommit, Selection
from dolittle_cli.main import main

WAITER = """

from dolittle import Microservice


@event_type
class DishServed:
    dish: str


@event_handler
class Waiter:
    def __init__(self, microservice: Microservice) -> None:
        self.microservice = microservice

    @handles(DishPrepared)
    async def serve(self, event: DishPrepared) -> None:
        await self.microservice.commit(DishServed(dish=event.dish), source="Table 1")
"""


@pytest.fixture
def served(kitchen: Path, deliver: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> Path:
    """A kitchen whose waiter has served a dish; another dish was poison."""
    source = kitchen / "kitchen" / "__init__.py"
    source.write_text(source.read_text() + WAITER)
    for dish in ("Taco", "poison"):
        words = ["perform", "Kitchen", "Tacos", "prepare_dish", f"dish={dish}", "chef=Ann"]
        assert main(words) == 0
    deliver()
    capsys.readouterr()
    return kitchen


def traced(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["events", "trace", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_trace_shows_the_cause_the_handler_and_the_time_between(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "trace", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("DishPrepared *  0  2")
    assert lines[0].endswith("  Tacos  dish=Taco chef=Ann")
    assert "├─ handler Waiter.serve: handled" in lines
    assert lines[-1].startswith("└─ DishServed  ")
    assert " by Waiter  Table 1  dish=Taco" in lines[-1]
    assert "s by" in lines[-1]


def test_an_effect_and_its_correlation_lead_to_the_same_tree(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_position = traced(capsys, "0")
    first, second = by_position["events"]
    assert second["caused_by"] == first["id"]
    assert second["handlers"] == ["Waiter"]
    assert second["after_s"] > 0
    assert {item["name"]: item["status"] for item in first["processors"]} == {
        "DishHandler": "handled",
        "Waiter": "handled",
        "DishCounter": "handled",
    }
    for text in (second["id"], f"evt:{second['id']}", second["commit"], first["correlation"]):
        assert traced(capsys, text) == by_position


def test_a_failing_partition_is_told_with_its_error(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "trace", "1"]) == 0
    assert (
        "DishHandler.announce: failing (1 attempt failed: ValueError: that is poison"
        in capsys.readouterr().out
    )
    [event] = [item for item in traced(capsys, "1")["events"] if item["position"] == 1]
    handler = next(item for item in event["processors"] if item["name"] == "DishHandler")
    assert (handler["error"], handler["attempts"]) == ("ValueError: that is poison", 1)


def test_a_service_that_does_not_import_is_traced_without_its_handlers(
    served: Path, capsys: pytest.CaptureFixture[str], forget: Callable[[], None]
) -> None:
    (served / "kitchen" / "broken.py").write_text("import nothing_of_this_name\n")
    forget()
    assert main(["events", "trace", "0"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["DishPrepared", "└─"]
    assert "warning: handlers and projections of kitchen are not shown" in printed.err


async def drink_in_the_bar(kitchen: Path, bar: Path) -> str:
    """Commit to the bar what the kitchen's first event caused; return its correlation."""
    store = await open_store(load_configuration(kitchen), "development")
    [cause] = await store.read_last(Selection(stop=1), 1)
    await store.close()
    store = await open_store(load_configuration(bar), "development")
    context = ExecutionContext(correlation=cause.commit.correlation, causation=cause.id)
    event = EventToCommit("DrinkServed", "Table 1", b'{"drink":"Mezcal"}')
    await store.commit(Commit("drink", (event,), context))
    await store.close()
    return cause.commit.correlation


def test_the_tree_goes_over_the_microservices_of_an_application(
    served: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    bar = tmp_path / "bar"
    (bar / "bar").mkdir(parents=True)
    (bar / "bar" / "__init__.py").write_text("")
    (bar / "dolittle.toml").write_text('[microservice]\nname = "bar"\n')
    correlation = asyncio.run(drink_in_the_bar(served, bar))
    assert main(["events", "trace", "0"]) == 0
    printed = capsys.readouterr()
    assert "DrinkServed  bar 0  +" in printed.out
    assert "3 events in " in printed.err
    assert "in bar, kitchen" in printed.err
    monkeypatch.chdir(tmp_path)
    found = traced(capsys, correlation)
    assert {(item["microservice"], item["type"]) for item in found["events"]} == {
        ("kitchen", "DishPrepared"),
        ("kitchen", "DishServed"),
        ("bar", "DrinkServed"),
    }
    assert main(["events", "trace", "0"]) == 2
    assert "position 0 is one in each log" in capsys.readouterr().err


def test_what_was_not_committed_is_an_error(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "trace", "nothing"]) == 1
    assert "there is no event or correlation 'nothing'" in capsys.readouterr().err
    assert main(["events", "trace", "99"]) == 1
    assert "position 99 is beyond the end" in capsys.readouterr().err
