"""``dolittle add``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolittle_cli.main import main


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert main(["new", "microservice", "shop", "--into", str(folder)]) == 0
    return folder / "shop"


@pytest.fixture
def shop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh microservice's folder, the current one."""
    shutil.copytree(template, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def orders(shop: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The same with the event type OrderPlaced, and with nothing printed yet."""
    fields = ["customer:str", "total:Decimal", "status:enum(new,paid)=new", "note:str?"]
    assert main(["add", "event", "OrderPlaced", *fields]) == 0
    assert main(["add", "event", "ShopClosed"]) == 0
    capsys.readouterr()
    return shop


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_an_event_comes_with_its_test(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "event", "DishPrepared", "dish:str", "chef:str", "--public"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "create     shop/events/dish_prepared.py",
        "create     tests/events/test_dish_prepared.py",
    ]
    assert err.splitlines() == [
        "next: dolittle add handler DishPreparedHandler --on DishPrepared",
        'next: dolittle events append DishPrepared --source "a source" '
        "dish='a dish' chef='a chef'",
    ]
    assert (shop / "shop/events/dish_prepared.py").read_text() == (
        '"""The event type DishPrepared."""\n'
        "\n"
        "from dolittle import event_type\n"
        "\n"
        "\n"
        "@event_type(public=True)\n"
        "class DishPrepared:\n"
        "    dish: str\n"
        "    chef: str\n"
    )
    assert (shop / "tests/events/test_dish_prepared.py").read_text() == (
        '"""What is stored of the event type DishPrepared."""\n'
        "\n"
        "from dolittle.testing import stored_content\n"
        "\n"
        "from shop.events.dish_prepared import DishPrepared\n"
        "\n"
        "\n"
        "def test_dish_prepared_is_stored_with_its_values() -> None:\n"
        '    event = DishPrepared(dish="a dish", chef="a chef")\n'
        "\n"
        '    assert stored_content(event) == {"dish": "a dish", "chef": "a chef"}\n'
    )


def test_an_aggregate_gets_a_command_with_the_fields_of_its_event(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", "event", "DishPrepared", "dish:str", "chef:str"]) == 0
    words = ["--command", "prepare_dish=DishPrepared", "Kitchen", "ingredients:int=2", "dish:str?"]
    assert main(["add", "aggregate", *words]) == 0
    assert (
        "next: dolittle perform Kitchen \"a source\" prepare_dish dish='a dish' chef='a chef'"
        in capsys.readouterr().err
    )
    assert (shop / "shop/aggregates/kitchen.py").read_text() == (
        '"""The aggregate root Kitchen."""\n'
        "\n"
        "from dolittle import AggregateRoot, aggregate_root, on\n"
        "\n"
        "from shop.events.dish_prepared import DishPrepared\n"
        "\n"
        "\n"
        "@aggregate_root\n"
        "class Kitchen(AggregateRoot):\n"
        "    ingredients: int = 2\n"
        "    dish: str | None = None\n"
        "\n"
        "    def prepare_dish(self, dish: str, chef: str) -> None:\n"
        "        self.apply(DishPrepared(dish=dish, chef=chef))\n"
        "\n"
        "    @on(DishPrepared)\n"
        "    def on_dish_prepared(self, event: DishPrepared) -> None:\n"
        "        self.dish = event.dish\n"
    )


def test_a_handler_logs_each_event(orders: Path) -> None:
    assert main(["add", "handler", "--on", "OrderPlaced", "Clerk", "ShopClosed"]) == 0
    assert (orders / "shop/handlers/clerk.py").read_text() == (
        '"""The event handler Clerk."""\n'
        "\n"
        "import logging\n"
        "\n"
        "from dolittle import EventContext, event_handler, handles\n"
        "\n"
        "from shop.events.order_placed import OrderPlaced\n"
        "from shop.events.shop_closed import ShopClosed\n"
        "\n"
        "log = logging.getLogger(__name__)\n"
        "\n"
        "\n"
        "@event_handler\n"
        "class Clerk:\n"
        "    @handles(OrderPlaced)\n"
        "    def on_order_placed(self, event: OrderPlaced, context: EventContext) -> None:\n"
        '        log.info("%s: %s", context.source, event)\n'
        "\n"
        "    @handles(ShopClosed)\n"
        "    def on_shop_closed(self, event: ShopClosed, context: EventContext) -> None:\n"
        '        log.info("%s: %s", context.source, event)\n'
    )


def test_a_handler_keeps_the_names_that_its_owner_gave_its_methods(orders: Path) -> None:
    words = ["add", "handler", "Clerk", "--on", "OrderPlaced"]
    assert main(words) == 0
    path = orders / "shop/handlers/clerk.py"
    path.write_text(path.read_text().replace("def on_order_placed(", "def announce("))
    (orders / "tests/handlers/test_clerk.py").unlink()
    assert main([*words, "ShopClosed"]) == 0
    assert "def announce(" in path.read_text()
    assert "def on_order_placed(" not in path.read_text()
    assert "def on_shop_closed(" in path.read_text()
    test = (orders / "tests/handlers/test_clerk.py").read_text()
    assert 'assert called == ["announce"]' in test
    assert 'assert called == ["on_shop_closed"]' in test


def test_a_handler_may_be_unpartitioned(orders: Path) -> None:
    assert main(["add", "handler", "Clerk", "--unpartitioned", "--on", "ShopClosed"]) == 0
    text = (orders / "shop/handlers/clerk.py").read_text()
    assert "@event_handler(partitioned=False)\nclass Clerk:" in text


def test_a_projection_takes_over_values_and_counts(orders: Path) -> None:
    fields = ["customer:str", "total:Decimal", "count:int=0", "status:enum(new,paid)"]
    words = ["OrderList", *fields, "--on", "OrderPlaced", "--key", "customer"]
    assert main(["add", "projection", *words]) == 0
    assert (orders / "shop/projections/order_list.py").read_text() == (
        '"""The projection OrderList."""\n'
        "\n"
        "from decimal import Decimal\n"
        "\n"
        "from dolittle import on, projection\n"
        "\n"
        "from shop.events.order_placed import OrderPlaced, OrderPlacedStatus\n"
        "\n"
        "\n"
        "@projection\n"
        "class OrderList:\n"
        "    customer: str\n"
        "    total: Decimal\n"
        "    status: OrderPlacedStatus\n"
        "    count: int = 0\n"
        "\n"
        '    @on(OrderPlaced, key="customer")\n'
        "    def on_order_placed(self, event: OrderPlaced) -> None:\n"
        "        self.customer = event.customer\n"
        "        self.total = event.total\n"
        "        self.status = event.status\n"
        "        self.count += 1\n"
    )


def test_a_projection_without_fields_holds_its_key_and_a_count(orders: Path) -> None:
    assert main(["add", "projection", "ByCustomer", "--on", "OrderPlaced", "--key=customer"]) == 0
    text = (orders / "shop/projections/by_customer.py").read_text()
    assert "class ByCustomer:\n    customer: str\n    count: int = 0\n" in text
    assert main(["add", "projection", "BySource", "--on", "OrderPlaced", "--on", "ShopClosed"]) == 0
    text = (orders / "shop/projections/by_source.py").read_text()
    assert "class BySource:\n    source: str\n    count: int = 0\n" in text
    assert text.count("self.source = context.source") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["event", "DishPrepared", "dish:str", "tags:list[str]"],
        ["aggregate", "Order", "total:Decimal", "--command", "place=OrderPlaced"],
        ["handler", "Clerk", "--on", "OrderPlaced"],
        ["projection", "OrderList", "--on", "OrderPlaced"],
    ],
)
def test_a_dry_run_shows_what_is_written_and_a_second_run_finds_it_identical(
    orders: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(orders)
    assert main(["add", *words, "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["written"], planned["root"]) == (False, str(orders))
    assert main(["add", *words, "--dry-run"]) == 0
    shown, err = capsys.readouterr()
    assert err == "nothing was written (--dry-run)\n"
    assert everything_in(orders) == before

    assert main(["add", *words]) == 0
    assert capsys.readouterr().out == shown
    after = everything_in(orders)
    added = [path for path in after if path not in before and (orders / path).is_file()]
    written = {path: after[path].decode() for path in added}
    shown_files = [*planned["files"], *planned["manifest"]]
    assert {item["path"]: item["text"] for item in shown_files} == written
    assert {path: after[path] for path in before} == before

    assert main(["add", *words]) == 0
    assert capsys.readouterr().out == shown.replace("create   ", "identical")
    assert everything_in(orders) == after


def test_words_and_options_may_come_in_any_order(orders: Path) -> None:
    texts = []
    for words in (
        ["Sales", "total:Decimal", "customer:str", "--on", "OrderPlaced", "--key", "customer"],
        ["--key", "customer", "--on", "OrderPlaced", "Sales", "total:Decimal", "customer:str"],
        ["Sales", "--on", "OrderPlaced", "total:Decimal", "--key", "customer", "customer:str"],
    ):
        assert main(["add", "projection", *words]) == 0
        texts.append(everything_in(orders))
    assert texts[0] == texts[1] == texts[2]


def test_several_events_and_commands_follow_one_option(orders: Path) -> None:
    words = ["Order", "--command", "place=OrderPlaced", "close=ShopClosed", "open:bool=true"]
    assert main(["add", "aggregate", *words]) == 0
    text = (orders / "shop/aggregates/order.py").read_text()
    assert "def place(" in text
    assert "def close(self) -> None:\n        self.apply(ShopClosed())\n" in text
    assert "    open: bool = True\n" in text


def test_the_project_may_be_named_or_be_above(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["add", "event", "DishPrepared", "--project", "shop"]) == 0
    monkeypatch.chdir(shop / "shop" / "events")
    assert main(["add", "event", "DishServed"]) == 0
    assert (shop / "shop" / "events" / "dish_served.py").is_file()


def test_a_package_in_src_is_added_to_there(shop: Path) -> None:
    (shop / "src").mkdir()
    (shop / "shop").rename(shop / "src" / "shop")
    assert main(["add", "event", "DishPrepared"]) == 0
    assert (shop / "src" / "shop" / "events" / "dish_prepared.py").is_file()
    assert not (shop / "shop").exists()


def test_a_folder_that_was_deleted_is_made_again(shop: Path) -> None:
    shutil.rmtree(shop / "shop" / "events")
    assert main(["add", "event", "DishPrepared"]) == 0
    assert (shop / "shop" / "events" / "__init__.py").is_file()


def test_the_microservice_is_not_imported(orders: Path) -> None:
    (orders / "shop" / "__init__.py").write_text("raise SystemExit('imported')\n")
    assert main(["add", "handler", "Clerk", "--on", "OrderPlaced"]) == 0


def test_events_that_were_written_by_hand_can_be_used(shop: Path) -> None:
    (shop / "shop" / "sales.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import Literal\n\n"
        "from dolittle import event_type\n\n\n"
        "@dataclass\nclass Line:\n    product: str\n\n\n"
        "@event_type\n"
        "class ThingsSold:\n"
        "    lines: list[Line]\n"
        "    how: Literal['card', 'cash'] = 'card'\n"
        "    where: str = 'here'\n"
        "    paid: Line = Line('none')\n"
    )
    assert main(["add", "aggregate", "Till", "--command", "sell=ThingsSold"]) == 0
    text = (shop / "shop/aggregates/till.py").read_text()
    assert "from typing import Literal\n" in text
    assert "from shop.sales import Line, ThingsSold\n" in text
    assert (
        "    def sell(\n"
        "        self, lines: list[Line], how: Literal['card', 'cash'] = \"card\", "
        'where: str = "here"\n'
        "    ) -> None:\n"
        "        self.apply(ThingsSold(lines=lines, how=how, where=where))\n"
    ) in text
    test = (shop / "tests/aggregates/test_till.py").read_text()
    assert 'ThingsSold(lines=[], where="a where")' in test


def test_a_field_without_a_thinkable_value_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "shop" / "sales.py").write_text(
        "class Money: ...\n\n\n@event_type\nclass ThingSold:\n    price: Money\n"
    )
    before = everything_in(shop)
    assert main(["add", "handler", "Clerk", "--on", "ThingSold"]) == 1
    err = capsys.readouterr().err
    assert "error: no value for a test can be made up for ThingSold.price, a Money" in err
    assert "hint: give that field a default in sales.py" in err
    assert everything_in(shop) == before


LONG = "a_name_that_is_forty_characters_long_abc"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["event", "dish_prepared"], "'dish_prepared' is no name for an event", "DishPrepared"),
        (["event", "../Evil"], "is no name for an event", "like a class"),
        (["event", "Class"], "'class' is a word of Python", "ClassMade"),
        (["event", "EventContext"], "has a meaning already", "domain"),
        (["event", "OrderPlaced"], "leaves out what it has: customer, total, status", "remove"),
        (["event", "Orderplaced"], "taken by the event OrderPlaced", "another name"),
        (["handler", "OrderPlaced", "--on", "OrderPlaced"], "taken by the event", "another name"),
        (["event", "OrderPlacedStatus"], "taken by the class OrderPlacedStatus", "another name"),
        (["event", "X", "dish:string"], "no type 'string'", "did you mean str?"),
        (["event", "X", "dish:intt"], "no type 'intt'", "did you mean int?"),
        (["event", "X", "dish"], "'dish' is no field", "dish:str"),
        (["event", "X", "class:str"], "it is a word of Python", "class_name"),
        (["event", "X", "orderId:str"], "is no name for a field", "order_id"),
        (["event", "X", "a:int=x"], "default 'x' is no int", "fits"),
        (["event", "X", "a:int", "a:int"], "given twice", "leave one"),
        (["event", "X", f"{LONG}:dict[str,dict[str,list[datetime]]]"], "76 fit", "shorter"),
        (["handler", "H"], "which events is the handler H for?", "--on OrderPlaced"),
        (["handler", "H", "--on", "OrderPlacd"], "no event 'OrderPlacd'", "did you mean OrderPl"),
        (["handler", "H", "--on", "OrderPlaced", "--on", "OrderPlaced"], "twice", "once"),
        (["projection", "P", "--on", "Nothing"], "no event 'Nothing'", "there is: OrderPlaced"),
        (["projection", "P", "--on", "OrderPlaced", "--key", "custmer"], "'custmer'", "customer?"),
        (
            ["projection", "P", "dish:str", "--on", "OrderPlaced"],
            "would get no value",
            "'dish:str?'",
        ),
        (
            ["projection", "P", "total:int", "--on", "OrderPlaced"],
            "Decimal in OrderPl",
            "total:Dec",
        ),
        (["projection", "P", "on:int=1", "--on", "OrderPlaced"], "'on' is taken", "another"),
        (["projection", "P", "dish"], "which events is the projection", "--on OrderPlaced"),
        (["aggregate", "A", "at:datetime"], "no plain one for a datetime", "'at:datetime?'"),
        (["aggregate", "A", "version:int"], "'version' is taken", "another"),
        (["aggregate", "A", "place"], "'place' is no field", "place:str"),
        (["aggregate", "A", "--command", "place"], "'place' is no command", "method=Event"),
        (["aggregate", "A", "--command", "place=Placed"], "no event 'Placed'", "OrderPlaced"),
        (["aggregate", "A", "--command", "Place=OrderPlaced"], "no name for a command", "place"),
        (["aggregate", "A", "--command", "apply=OrderPlaced"], "'apply' is taken", "another"),
        (
            ["aggregate", "A", "--command", "on_x=OrderPlaced"],
            "no name for a command",
            "imperative",
        ),
        (
            ["aggregate", "A", "--command", "a=OrderPlaced", "b=OrderPlaced"],
            "two commands",
            "by hand",
        ),
        (["aggregate", "A", "a:int", "--command", "a=OrderPlaced"], "'a' is taken", "another"),
        (["agregate", "A"], "no such command 'agregate'", "did you mean aggregate?"),
        (["event"], "missing argument 'NAME'", "--help"),
        (["event", "X", "--publik"], "no such option", "--public"),
        (["event", "X", "--project", "nowhere"], "no such folder", ""),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_written(
    orders: Path,
    words: list[str],
    message: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = everything_in(orders)
    assert main(["add", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err.splitlines()[0]
    assert hint in err.partition("\nhint: ")[2]
    assert everything_in(orders) == before


def test_outside_a_project_nothing_can_be_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["add", "event", "DishPrepared"]) == 1
    err = capsys.readouterr().err
    assert f"error: no dolittle.toml in {tmp_path}" in err
    assert "dolittle new microservice NAME" in err
    assert list(tmp_path.iterdir()) == []


def test_in_an_application_a_microservice_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dolittle.toml").write_text('[application]\nname = "restaurant"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["add", "event", "DishPrepared"]) == 1
    assert "--project" in capsys.readouterr().err


def test_a_broken_configuration_is_named_with_line_and_column(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "dolittle.toml").write_text('[microservice]\nname = "shop\n')
    assert main(["add", "event", "DishPrepared"]) == 1
    assert "dolittle.toml:2:" in capsys.readouterr().err


def test_a_missing_package_is_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "dolittle.toml").write_text('[microservice]\nname = "shop"\npackage = "shoop"\n')
    assert main(["add", "event", "DishPrepared"]) == 1
    assert "no package 'shoop'" in capsys.readouterr().err


def test_a_name_that_a_folder_has_already_leaves_all_as_it_was(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "tests" / "events").write_text("a file where a folder is needed\n")
    before = everything_in(shop)
    assert main(["add", "event", "DishPrepared"]) == 1
    assert "error: cannot read tests/events/test_dish_prepared.py" in capsys.readouterr().err
    assert everything_in(shop) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_stays_as_it_is(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "tests").chmod(0o500)
    before = everything_in(shop)
    assert main(["add", "event", "DishPrepared"]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert everything_in(shop) == before


def test_adding_loads_nothing_heavy(shop: Path) -> None:
    code = (
        "import sys; from dolittle_cli.main import main; main(['add', 'event', 'X']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=60,
        cwd=shop,
        capture_output=True,
        text=True,
    )
    assert "shop/events/x.py" in done.stdout
    loaded = set(done.stderr.split())
    assert "jinja2" in loaded
    assert not loaded & {
        "asyncio", "copier", "dolittle.aggregates", "dolittle.engines.memory", "libcst",
        "pydantic", "rich", "starlette", "tomlkit",
    }  # fmt: skip
