from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from dolittle_cli.main import main

ORDERS = '''\
"""Orders, cooked by a handler."""

from dolittle import (
    AggregateRoot, EventContext, Microservice, aggregate_root, event_handler, event_type, handles,
)
from kitchen import DishPrepared, Kitchen


@event_type
class DishOrdered:
    dish: str


@event_type
class StockChecked:
    pass


@event_handler
class Cook:
    def __init__(self, kitchen: Microservice) -> None:
        self.kitchen = kitchen

    @handles(DishOrdered)
    async def cook(self, event: DishOrdered) -> None:
        kitchen = self.kitchen.aggregate(Kitchen, "Bar")
        await kitchen.perform(Kitchen.prepare_dish, event.dish, "Ann")

    @handles(DishPrepared)
    async def check(self, event: DishPrepared) -> None:
        await self.kitchen.commit(StockChecked(), source="Bar")
'''


@pytest.fixture
def orders(kitchen: Path) -> Path:
    """A kitchen with orders."""
    (kitchen / "kitchen" / "orders.py").write_text(ORDERS)
    return kitchen


def drawn(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["graph", *words]) == 0
    return capsys.readouterr().out


def edges(graph: dict[str, Any]) -> dict[tuple[str, str], tuple[str, bool, int]]:
    short = {node["id"]: node["id"].partition("/")[2] for node in graph["nodes"]}
    return {
        (short[edge["from"]], short[edge["to"]]): (edge["kind"], edge["declared"], edge["seen"])
        for edge in graph["edges"]
    }


def test_declared_edges_are_found_in_code_and_source(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = json.loads(drawn(capsys, "--json"))
    assert graph["microservices"] == ["kitchen"]
    assert edges(graph) == {
        ("command/Kitchen.prepare_dish", "event/DishPrepared"): ("applies", True, 0),
        ("event/DishPrepared", "aggregate/Kitchen"): ("folds", True, 0),
        ("event/DishPrepared", "handler/DishHandler"): ("handles", True, 0),
        ("event/OrderTaken", "handler/DishHandler"): ("handles", True, 0),
        ("event/OrderTaken", "stream/public"): ("publishes", True, 0),
        ("event/DishPrepared", "projection/DishCounter"): ("projects", True, 0),
        ("event/DishOrdered", "handler/Cook"): ("handles", True, 0),
        ("event/DishPrepared", "handler/Cook"): ("handles", True, 0),
        ("handler/Cook", "command/Kitchen.prepare_dish"): ("performs", True, 0),
        ("handler/Cook", "event/StockChecked"): ("commits", True, 0),
    }
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert nodes["kitchen/event/OrderTaken"]["public"] is True
    assert nodes["kitchen/event/StockChecked"]["place"] == "kitchen/orders.py:14"
    assert nodes["kitchen/command/Kitchen.prepare_dish"]["aggregate"] == "kitchen/aggregate/Kitchen"
    assert not (orders / ".dolittle").exists()


def commit(
    kitchen: Path,
    *,
    causation: str = "",
    aggregate: str = "",
    handler: str = "",
    public: bool = False,
    type_id: str,
) -> str:
    """Store an event as a process may have done; return its id."""
    import asyncio

    from dolittle.engines.file import FileStore
    from dolittle.execution import ExecutionContext, new_id
    from dolittle.store import Commit, EventToCommit

    async def run() -> str:
        store = await FileStore.open(kitchen / ".dolittle" / "development" / "events")
        event = EventToCommit(type_id, "Bar", b"{}", aggregate=aggregate, public=public)
        context = ExecutionContext(causation=causation, handler=handler)
        made = Commit(new_id(), (event,), context)
        committed = await store.commit(made)
        await store.close()
        return committed.events[0].id

    return asyncio.run(run())


def test_what_the_log_shows_is_counted_on_declared_edges(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ordered = commit(orders, type_id="DishOrdered")
    for _ in range(2):
        commit(orders, type_id="dish-prepared", aggregate="Kitchen", causation=ordered)
    found = edges(json.loads(drawn(capsys, "--json")))
    assert found["command/Kitchen.prepare_dish", "event/DishPrepared"] == ("applies", True, 2)
    assert found["handler/Cook", "command/Kitchen.prepare_dish"] == ("performs", True, 2)


def test_what_only_the_log_shows_is_an_edge_of_its_own(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ordered = commit(orders, type_id="DishOrdered")
    commit(orders, type_id="OrderTaken", causation=ordered)
    old = commit(orders, type_id="menu-changed", aggregate="Kitchen", causation="a request")
    commit(orders, type_id="OrderTaken", causation=old)
    prepared = commit(orders, type_id="dish-prepared")
    commit(orders, type_id="menu-changed", causation=prepared)
    graph = json.loads(drawn(capsys, "--json"))
    found = edges(graph)
    assert found["handler/Cook", "event/OrderTaken"] == ("commits", False, 1)
    assert found["aggregate/Kitchen", "event/menu-changed"] == ("applies", False, 1)
    assert found["event/menu-changed", "event/OrderTaken"] == ("causes", False, 1)
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert nodes["kitchen/event/menu-changed"]["declared"] is False
    assert nodes["kitchen/event/menu-changed"]["events"] == 2
    # Two handlers take DishPrepared, and neither says that it leads there.
    uncertain = [edge for edge in graph["edges"] if not edge["certain"]]
    assert sorted(edge["from"] for edge in uncertain) == [
        *("kitchen/handler/Cook", "kitchen/handler/DishHandler")
    ]


def test_a_recorded_handler_is_certain_where_several_take_the_cause(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = commit(orders, type_id="dish-prepared")
    for handler in ("Cook", "Cook", "DishHandler"):
        commit(orders, type_id="menu-changed", causation=prepared, handler=handler)
    commit(orders, type_id="StockChecked", causation="of another log/0", handler="Cook")
    graph = json.loads(drawn(capsys, "--json"))
    found = edges(graph)
    assert found["handler/Cook", "event/menu-changed"] == ("commits", False, 2)
    assert found["handler/DishHandler", "event/menu-changed"] == ("commits", False, 1)
    assert found["handler/Cook", "event/StockChecked"] == ("commits", True, 1)
    assert all(edge["certain"] for edge in graph["edges"])


def test_a_handler_that_is_gone_is_inferred_as_if_not_recorded(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ordered = commit(orders, type_id="DishOrdered")
    commit(orders, type_id="OrderTaken", causation=ordered, handler="Gone")
    found = edges(json.loads(drawn(capsys, "--json")))
    assert found["handler/Cook", "event/OrderTaken"] == ("commits", False, 1)


def test_public_events_lead_to_the_public_stream_which_leads_nowhere(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        commit(orders, type_id="OrderTaken", public=True)
    commit(orders, type_id="was-public", public=True)
    graph = json.loads(drawn(capsys, "--json"))
    found = edges(graph)
    assert found["event/OrderTaken", "stream/public"] == ("publishes", True, 2)
    assert found["event/was-public", "stream/public"] == ("publishes", False, 1)
    assert not [edge for edge in graph["edges"] if edge["from"] == "kitchen/stream/public"]
    assert '[/"public stream<br/>stream"/]' in drawn(capsys)
    assert 'label="public stream\\nstream"' in drawn(capsys, "--format", "dot")
    told = "OrderTaken is in the public stream (declared and seen: 2 events)"
    assert told in drawn(capsys, "--format", "svg")


def test_only_the_last_events_are_looked_at_if_asked(
    orders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        commit(orders, type_id="dish-prepared", aggregate="Kitchen")
    assert main(["graph", "--json", "--events", "2"]) == 0
    printed = capsys.readouterr()
    graph = json.loads(printed.out)
    assert (graph["looked_at"], graph["has_more"]) == (2, True)
    assert edges(graph)["command/Kitchen.prepare_dish", "event/DishPrepared"][2] == 2
    assert "the last 2 events of a log were looked at" in printed.err
    graph = json.loads(drawn(capsys, "--json", "--events", "0"))
    assert graph["looked_at"] == 0


def test_all_microservices_of_an_application_are_drawn(
    kitchen: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    application = kitchen.parent
    (application / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    monkeypatch.chdir(application)
    shutil.copytree(kitchen, application / "bar")
    text = (application / "bar" / "dolittle.toml").read_text().replace("kitchen", "bar")
    (application / "bar" / "dolittle.toml").write_text(text)
    (application / "bar" / "kitchen").rename(application / "bar" / "bar")
    graph = json.loads(drawn(capsys, "--json"))
    assert graph["microservices"] == ["bar", "kitchen"]
    assert {node["microservice"] for node in graph["nodes"]} == {"bar", "kitchen"}
    assert "m1" in drawn(capsys)


@pytest.fixture
def busy(orders: Path) -> Path:
    """A kitchen whose log shows all three kinds of edges."""
    ordered = commit(orders, type_id="DishOrdered")
    commit(orders, type_id="dish-prepared", aggregate="Kitchen", causation=ordered)
    commit(orders, type_id='odd "type" <b>|{', aggregate="Kitchen")
    return orders


MERMAID = [
    r"flowchart LR",
    r' *subgraph \w+\["[^"]*"\]',
    r" *end",
    r' *\w+(\["[^"]*"\]|\(\["[^"]*"\]\)|\{\{"[^"]*"\}\}|\[\("[^"]*"\)\]|\[/"[^"]*"/\])',
    r' *\w+ (-->|==>|-\.->)(\|"[^"]*"\|)? \w+',
    r' *\w+\[" "\] (-->|==>|-\.->)\|"[^"]*"\| \w+\[" "\]',
    r" *classDef \w+ [\w:#,]+",
    r" *class [\w,]+ \w+",
]
"""The part of Mermaid's grammar that is used."""


def test_mermaid_keeps_to_the_grammar(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = drawn(capsys)
    for line in text.splitlines():
        assert any(re.fullmatch(pattern, line) for pattern in MERMAID), line
    assert text.count("subgraph ") == text.count("  end\n")
    assert "odd #34;type#34; #60;b#62;#124;{" in text
    for arrow in ("-->", "==>", "-.->"):
        assert arrow in text


@pytest.mark.skipif(not shutil.which("dot"), reason="graphviz is not installed")
def test_dot_is_read_by_graphviz(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = drawn(capsys, "--format", "dot")
    done = subprocess.run(
        ["dot", "-Tjson"], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    labels = {item.get("label") for item in json.loads(done.stdout)["objects"]}
    assert "legend" in labels
    assert 'odd "type" <b>|{\\nevent, not declared, 1 stored' in labels


def test_dot_quotes_what_a_name_may_hold(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = drawn(capsys, "--format", "dot")
    assert r'label="odd \"type\" <b>|{\nevent, not declared, 1 stored"' in text
    statement = r"(  )+(\w+(:\w+(:[ew])?)?( -> \w+(:\w+(:[ew])?)?)?( \[.*\])?(; )?)+"
    block = r"(  )*(digraph \w+ \{|subgraph \w+ \{|\})"
    setting = r'(  )+\w+=("([^"\\]|\\.)*"|\w+)'
    for line in text.splitlines():
        assert re.fullmatch(f"{statement}|{block}|{setting}", line), line


def test_svg_is_well_formed_and_tells_every_node_and_edge(
    busy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(capsys, "--format", "svg")
    root = ElementTree.fromstring(text)
    titles = [item.text or "" for item in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "event, public OrderTaken of kitchen, kitchen/__init__.py:25" in titles
    assert "Cook performs prepare_dish (declared and seen: 1 event)" in titles
    assert 'Kitchen applies odd "type" <b>|{ (seen: 1 event)' in titles
    assert root.get("role") == "img"
    assert "prefers-color-scheme: dark" in text
    shown = "".join(root.itertext())
    for words in ("declared in the code", "declared, and seen in the log", "only seen in the log"):
        assert words in shown


def test_no_box_of_the_drawing_lies_on_another(
    busy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ElementTree.fromstring(drawn(capsys, "--format", "svg"))
    kinds = ("aggregate", "event", "handler", "projection", "stream")
    boxes = [
        tuple(float(item.get(name, "0")) for name in ("x", "y", "width", "height"))
        for item in root.iter("{http://www.w3.org/2000/svg}rect")
        if item.get("class", "").split(" ")[0] in kinds
    ]
    assert len(boxes) == 10
    width, height = (float(root.get(name, "0")) for name in ("width", "height"))
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for x2, y2, w2, h2 in boxes[number + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_the_legend_tells_only_what_is_drawn(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for format in ("mermaid", "dot", "svg"):
        assert "seen" not in re.sub(r"(?s)<style>.*</defs>", "", drawn(capsys, "--format", format))


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["--format", "png"], 2, "--format 'png' is not known", "mermaid, dot, svg, json"),
        (["--json", "--format", "svg"], 2, "--json and --format svg exclude each other", ""),
        (["--events", "-1"], 2, "--events takes a whole number from 0", "dolittle graph --help"),
        (["--tenant", "nort"], 1, "there is no tenant 'nort'", "did you mean north?"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    kitchen: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    error: str,
    hint: str,
) -> None:
    assert main(["graph", *words]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error in printed.err
    assert hint in printed.err


def test_a_microservice_that_does_not_import_cannot_be_drawn(
    kitchen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kitchen / "kitchen" / "broken.py").write_text("def broken(:\n")
    assert main(["graph"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "broken.py:1: syntax error" in printed.err


def test_an_application_without_microservices_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "empty"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["graph"]) == 1
    assert "has no microservices" in capsys.readouterr().err
