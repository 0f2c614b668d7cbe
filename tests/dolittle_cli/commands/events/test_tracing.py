from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dolittle.execution import ExecutionContext
from dolittle.runtime.configuration import load_configuration
from dolittle.runtime.opening import open_store
from dolittle.store import Commit, CommittedEvent, EventStore, EventToCommit, Selection
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


COOK = """

@event_handler("the-cook")
class Cook:
    def __init__(self, microservice: Microservice) -> None:
        self.microservice = microservice

    @handles(OrderTaken)
    async def cook(self, event: OrderTaken) -> None:
        kitchen = self.microservice.aggregate(Kitchen, "Bar")
        await kitchen.perform(Kitchen.prepare_dish, "Nachos", "Bob")
"""


async def first_event(store: EventStore) -> CommittedEvent:
    [event] = await store.read_last(Selection(stop=1), 1)
    return event


def test_the_handler_is_recorded_also_where_it_performs_a_command(
    served: Path,
    deliver: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    forget: Callable[[], None],
) -> None:
    source = served / "kitchen" / "__init__.py"
    source.write_text(source.read_text() + COOK)
    forget()
    assert main(["events", "append", "OrderTaken", "--source", "Table 1", "guests=2"]) == 0
    deliver()
    capsys.readouterr()
    assert main(["events", "list", "--where", 'handler == "the-cook"', "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["type"] == "DishPrepared"
    found = traced(capsys, str(made["position"]))["events"]
    by_type = {item["type"]: (item["handlers"], item["is_recorded"]) for item in found}
    assert by_type["OrderTaken"] == ([], False)
    assert by_type["DishPrepared"] == (["Cook"], True)
    assert main(["events", "show", str(made["position"])]) == 0
    assert "handler      the-cook" in capsys.readouterr().out


def test_an_import_keeps_which_handler_made_a_commit(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "list", "-o", "{position} {handler}"]) == 0
    original = capsys.readouterr().out
    assert original.startswith("0 -\n1 -\n2 Waiter\n")
    for form in ("jsonl", "cloudevents"):
        assert main(["events", "export", "--format", form, "--to-file", f"{form}.out"]) == 0
        assert main(["events", "import", f"{form}.out", "--tenant", "north"]) == 0
        capsys.readouterr()
        assert main(["events", "list", "--tenant", "north", "-o", "{position} {handler}"]) == 0
        shutil.rmtree(served / ".dolittle" / "north")
        assert capsys.readouterr().out == original


@pytest.mark.parametrize(("handler", "shown"), [("", "Waiter?"), ("Gone", "Gone")])
def test_only_what_was_not_recorded_is_inferred_and_has_a_question_mark(
    served: Path, capsys: pytest.CaptureFixture[str], handler: str, shown: str
) -> None:
    async def commit() -> None:
        store = await open_store(load_configuration(served), "development")
        cause = await first_event(store)
        context = ExecutionContext(
            correlation=cause.commit.correlation, causation=cause.id, handler=handler
        )
        event = EventToCommit("DishServed", "Table 7", b'{"dish":"Taco"}')
        await store.commit(Commit("later", (event,), context))
        await store.close()

    asyncio.run(commit())
    assert main(["events", "trace", "0"]) == 0
    printed = capsys.readouterr().out
    assert f" by {shown}  Table 7  dish=Taco" in printed
    assert " by Waiter  Table 1  dish=Taco" in printed


async def drink_in_the_bar(kitchen: Path, bar: Path) -> str:
    """Commit to the bar what the kitchen's first event caused; return its correlation."""
    store = await open_store(load_configuration(kitchen), "development")
    cause = await first_event(store)
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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_trace_fits_into_the_terminal(
    served: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["events", "trace", "0"]) == 0
    lines = terminal.getvalue().splitlines()
    assert re.match(r"DishPrepared \*  0  (\S+T)?\d\d:\d\d:\d\d\.\d{3}", lines[0])
    assert max(map(len, lines)) <= columns
