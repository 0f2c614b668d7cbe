"""``dolittle add value``, ``command`` and ``generation``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dolittle_cli.main import main

NOTHING = (
    '        """Nothing is remembered of it; change the fields here that a rule depends on."""'
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    project = folder / "shop"
    assert main(["new", "microservice", "shop", "--into", str(folder)]) == 0
    for words in (
        ["value", "Line", "sku:str:min_length=1", "quantity:int:ge=1"],
        ["event", "OrderPlaced", "lines:list[Line]", "status:enum(new,paid)=new"],
        ["event", "ShopClosed"],
        ["aggregate", "Shop", "open:bool=true", "--command", "place=OrderPlaced"],
        ["aggregate", "Till"],
    ):
        assert main(["add", *words, "--project", str(project)]) == 0
    return project


@pytest.fixture
def shop(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    """A microservice's folder, the current one, with nothing printed yet."""
    shutil.copytree(template, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    capsys.readouterr()
    return tmp_path / "shop"


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def test_a_value_object_comes_with_its_test(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "value", "Price", "amount:Decimal:ge=0", "currency:str=EUR"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "create     shop/values/price.py",
        "create     tests/values/test_price.py",
    ]
    assert err == "next: dolittle add event OrderPlaced 'items:list[Price]:min_length=1'\n"
    assert (shop / "shop/values/price.py").read_text() == (
        '"""The value object Price."""\n'
        "\n"
        "from decimal import Decimal\n"
        "from typing import Annotated\n"
        "\n"
        "from dolittle import constraint, value\n"
        "\n"
        "\n"
        "@value\n"
        "class Price:\n"
        "    amount: Annotated[Decimal, constraint(ge=0)]\n"
        '    currency: str = "EUR"\n'
    )
    assert (
        '    value = Price(amount=Decimal("9.50"), currency="a currency")\n'
        "\n"
        '    assert stored_content(value) == {"amount": "9.50", "currency": "a currency"}\n'
    ) in (shop / "tests/values/test_price.py").read_text()


def test_the_same_value_again_is_identical(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["add", "value", "Line", "sku:str:min_length=1", "quantity:int:ge=1"]
    before = everything_in(shop)
    assert main(words) == 0
    assert "identical  shop/values/line.py" in capsys.readouterr().out
    assert everything_in(shop) == before


def test_a_field_more_of_a_value_object_in_use_says_whose_tests_will_tell(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["add", "value", "Line", "sku:str:min_length=1", "quantity:int:ge=1", "note:str?"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "edit       shop/values/line.py" in out
    assert err == "next: pytest  # what is stored of OrderPlaced changes with Line\n"


def test_a_value_object_can_be_used_wherever_there_are_fields(shop: Path) -> None:
    assert main(["add", "value", "Address", "street:str", "lines:dict[str,Line]={}"]) == 0
    assert main(["add", "event", "Moved", "to:Address", "before:Address?"]) == 0
    assert main(["add", "aggregate", "Person", "to:Address?", "--command", "move=Moved"]) == 0
    assert main(["add", "projection", "Where", "to:Address", "--on", "Moved"]) == 0
    assert "from shop.values.address import Address\n" in (
        (shop / "shop/projections/where.py").read_text()
    )
    assert "self.to = event.to" in (shop / "shop/aggregates/person.py").read_text()


def test_a_command_is_put_behind_the_other_ones(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", "command", "Shop", "close_shop", "--event", "ShopClosed"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "edit       shop/aggregates/shop.py",
        "edit       tests/aggregates/test_shop.py",
    ]
    assert 'next: dolittle perform Shop "a source" close_shop' in err
    assert (shop / "shop/aggregates/shop.py").read_text() == (
        '"""The aggregate root Shop."""\n'
        "\n"
        "from dolittle import AggregateRoot, aggregate_root, on\n"
        "\n"
        "from shop.events.order_placed import OrderPlaced, OrderPlacedStatus\n"
        "from shop.events.shop_closed import ShopClosed\n"
        "from shop.values.line import Line\n"
        "\n"
        "\n"
        "@aggregate_root\n"
        "class Shop(AggregateRoot):\n"
        "    open: bool = True\n"
        "\n"
        "    def place(self, lines: list[Line], "
        "status: OrderPlacedStatus = OrderPlacedStatus.NEW) -> None:\n"
        "        self.apply(OrderPlaced(lines=lines, status=status))\n"
        "\n"
        "    def close_shop(self) -> None:\n"
        "        self.apply(ShopClosed())\n"
        "\n"
        "    @on(OrderPlaced)\n"
        "    def on_order_placed(self, event: OrderPlaced) -> None:\n"
        f"{NOTHING}\n"
        "\n"
        "    @on(ShopClosed)\n"
        "    def on_shop_closed(self, event: ShopClosed) -> None:\n"
        f"{NOTHING}\n"
    )


def test_a_command_repeats_the_defaults_that_cannot_change(shop: Path) -> None:
    assert main(
        ["add", "command", "Till", "take", "note:str?", "sum:Decimal=0.50", "day:date=2026-01-31",
         "at:datetime=2026-01-31T12:00Z", "kind:enum(cash,card)=card"]
    ) == 0  # fmt: skip
    text = (shop / "shop/aggregates/till.py").read_text()
    assert "from datetime import UTC, date, datetime\nfrom decimal import Decimal\n" in text
    assert (
        "    def take(\n"
        "        self,\n"
        "        note: str | None = None,\n"
        '        sum: Decimal = Decimal("0.50"),\n'
        "        day: date = date(2026, 1, 31),\n"
        "        at: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC),\n"
        "        kind: TillTakenKind = TillTakenKind.CARD,\n"
        "    ) -> None:\n"
    ) in text


def test_a_command_asks_for_what_a_linter_refuses_as_a_default(shop: Path) -> None:
    number = "00000000-0000-0000-0000-000000000007"
    assert main(["add", "command", "Till", "take", f"id:UUID={number}", "tags:list[str]=[]"]) == 0
    text = (shop / "shop/aggregates/till.py").read_text()
    assert "    def take(self, id: UUID, tags: list[str]) -> None:\n" in text


def test_a_command_brings_its_event(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "command", "Till", "pay_bill", "amount:Decimal:gt=0"]) == 0
    assert "create     shop/events/bill_paid.py" in capsys.readouterr().out
    text = (shop / "shop/aggregates/till.py").read_text()
    assert "def pay_bill(self, amount: Annotated[Decimal, constraint(gt=0)]) -> None:" in text
    assert "self.apply(BillPaid(amount=amount))" in text


def test_what_its_owner_wrote_stays_around_a_command(shop: Path) -> None:
    path = shop / "shop/aggregates/till.py"
    path.write_text(
        "from __future__ import annotations\n"
        "# Tills, as they are in shops.\n"
        "from dolittle import (\n"
        "    AggregateRoot,  # the root\n"
        "    aggregate_root,\n"
        ")\n"
        "\n"
        "LIMIT = 3  # coins\n"
        "\n"
        "\n"
        "@aggregate_root\n"
        "class Till(AggregateRoot):\n"
        "    coins: int = 0  # so far\n"
        "    # the end\n"
        "\n"
        "\n"
        "def helper() -> str:\n"
        '    return """\n'
        'class Till: ...\n"""\n'
    )
    assert main(["add", "command", "Till", "open"]) == 0
    text = path.read_text()
    assert "    AggregateRoot,  # the root\n" in text
    assert "from dolittle import on\n" in text
    assert (
        "    coins: int = 0  # so far\n"
        "\n"
        "    def open(self) -> None:\n"
        "        self.apply(TillOpened())\n"
        "\n"
        "    @on(TillOpened)\n"
    ) in text
    assert text.endswith('    return """\nclass Till: ...\n"""\n')


def test_the_same_command_again_is_identical(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["add", "command", "Till", "pay_bill", "amount:Decimal:gt=0"]
    assert main(words) == 0
    before = everything_in(shop)
    capsys.readouterr()
    assert main(words) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["identical"] * 2
    assert everything_in(shop) == before


def test_an_event_that_is_folded_under_another_name_is_found(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / "shop/aggregates/shop.py"
    path.write_text(path.read_text().replace("def on_order_placed", "def remember_the_order"))
    assert main(["add", "command", "Shop", "buy", "--event", "OrderPlaced"]) == 2
    assert "Shop has a method 'remember_the_order' already" in capsys.readouterr().err


def test_a_command_can_be_taken_back(shop: Path) -> None:
    before = everything_in(shop)
    assert main(["add", "command", "Till", "pay_bill", "amount:Decimal:gt=0"]) == 0
    assert main(["undo"]) == 0
    assert everything_in(shop) == before


@pytest.mark.parametrize("words", [
    ["value", "Price", "amount:Decimal"],
    ["command", "Till", "pay_bill", "amount:Decimal:gt=0"],
    ["generation", "OrderPlaced", "by:str?"],
])  # fmt: skip
def test_a_dry_run_writes_nothing_and_tells_all(
    shop: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    before = everything_in(shop)
    assert main(["add", *words, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert everything_in(shop) == before
    assert main(["add", *words]) == 0
    for file in plan["files"]:
        assert (shop / file["path"]).read_text() == file["text"]


@pytest.mark.parametrize(
    "text",
    [
        "@aggregate_root\nclass Odd(AggregateRoot): pass\n",
        "@aggregate_root\nclass Odd(AggregateRoot):\n  a: int = 0\n",
        "@aggregate_root\nclass Odd(AggregateRoot):\n    a: int = 0\n\n\nOddDone = 1\n",
        "if True:\n    pass\n@aggregate_root\nclass Odd(AggregateRoot):\r\n    a: int = 0\r\n",
    ],
)
def test_where_an_edit_could_spoil_a_file_the_lines_are_printed(
    shop: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = shop / "shop" / "odd.py"
    path.write_bytes(f"from dolittle import AggregateRoot, aggregate_root\n\n\n{text}".encode())
    before = everything_in(shop)
    assert main(["add", "command", "Odd", "do"]) == 1
    out, err = capsys.readouterr()
    assert "    def do(self) -> None:\n        self.apply(OddDone())\n" in out
    assert "from shop.events.odd_done import OddDone\n" in out
    assert "error: shop/odd.py: " in err
    assert "left to you; nothing was written" in err
    assert "hint: put the lines above into shop/odd.py" in err
    assert everything_in(shop) == before


def test_a_generation_adds_fields_an_upcaster_and_a_test(shop: Path) -> None:
    fields = ["by:enum(phone,web)=web", "fee:Decimal:ge=0:default=0.50", "at:datetime?"]
    assert main(["add", "generation", "OrderPlaced", *fields]) == 0
    text = (shop / "shop/events/order_placed.py").read_text()
    assert "@event_type(generation=2)\nclass OrderPlaced:\n" in text
    assert (
        "    status: OrderPlacedStatus = OrderPlacedStatus.NEW\n"
        "    by: OrderPlacedBy = OrderPlacedBy.WEB\n"
        '    fee: Annotated[Decimal, constraint(ge=0)] = Decimal("0.50")\n'
        "    at: datetime | None = None\n"
        "\n"
        "\n"
        "@upcaster(OrderPlaced, from_generation=1)\n"
        "def order_placed_to_generation_2(content: dict[str, Any]) -> dict[str, Any]:\n"
        '    """Say what events of generation 1 hold of what they did not know."""\n'
        '    return {**content, "by": "web", "fee": "0.50", "at": None}\n'
    ) in text
    test = (shop / "tests/events/test_order_placed.py").read_text()
    assert "def test_generation_1_of_order_placed_is_read_as_it_is_now() -> None:\n" in test
    assert '        "fee": "0.50",\n' in test


def test_a_second_generation_follows_the_first(shop: Path) -> None:
    assert main(["add", "generation", "ShopClosed", "why:str=?"]) == 0
    assert main(["add", "generation", "ShopClosed"]) == 0
    text = (shop / "shop/events/shop_closed.py").read_text()
    assert "@event_type(generation=3)\n" in text
    assert "@upcaster(ShopClosed, from_generation=2)\n" in text
    assert "that is all there is to say" not in text


def test_the_same_generation_again_is_identical(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["add", "generation", "OrderPlaced", "by:enum(phone,web)=web", "fee:Decimal=0.50"]
    assert main(words) == 0
    before = everything_in(shop)
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out == "identical  shop/events/order_placed.py\n"
    assert everything_in(shop) == before
    assert main([*words[:-1], "fee:Decimal=0.60"]) == 2
    assert "the name 'by' is taken in this class" in capsys.readouterr().err


def test_the_id_and_the_options_of_an_event_type_stay(shop: Path) -> None:
    path = shop / "shop/events/shop_closed.py"
    text = path.read_text().replace("@event_type\n", "@event_type('shop-closed', public=True)\n")
    path.write_text(text)
    assert main(["add", "generation", "ShopClosed", "why:str?"]) == 0
    assert "@event_type('shop-closed', generation=2, public=True)\n" in path.read_text()


def test_an_event_type_that_is_laid_out_by_hand_is_left_to_its_owner(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shop / "shop/events/shop_closed.py"
    text = path.read_text()
    before = text.replace(
        "@event_type\n", "GENERATION = 1\n\n\n@event_type(generation=GENERATION)\n"
    )
    path.write_text(before)
    assert main(["add", "generation", "ShopClosed", "why:str?"]) == 1
    assert "the generation of the event type is no plain number" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["value", "line"], "'line' is no name for a value", "Line"),
        (["value", "Price"], "what does the value object Price hold?", "amount:Decimal"),
        (["value", "OrderPlaced", "a:int"], "taken by the event OrderPlaced", "another name"),
        (["value", "Price", "next:Price"], "there is no type 'Price'", ""),
        (["value", "Price", "a:int:ge=x"], "ge=x is no int", "ge=1"),
        (["event", "X", "a:list[Lin]"], "there is no type 'Lin'", "did you mean Line?"),
        (["aggregate", "A", "line:Line"], "no plain one for a Line", "'line:Line?'"),
        (["aggregate", "A", "n:int:ge=1"], "no plain one for a int", "default"),
        (["command", "Tyll", "open"], "there is no aggregate 'Tyll'", "did you mean Till?"),
        (["command", "OrderPlaced", "open"], "there is no aggregate", "Shop, Till"),
        (["command", "Till", "Open"], "'Open' is no name for a command", "open"),
        (["command", "Till", "on_open"], "is no name for a command", "imperative"),
        (["command", "Till", "apply"], "the name 'apply' is taken", "another"),
        (["command", "Shop", "open"], "the class has a field 'open' already", "another name"),
        (["command", "Shop", "place", "a:int", "--event", "Placed"], "a method 'place'", "by hand"),
        (["command", "Shop", "buy", "--event", "OrderPlaced"], "another command", "--event"),
        (["command", "Till", "buy", "a:int", "--event", "ShopClosed"], "of its own", "leave"),
        (["command", "Till", "buy", "--event", "bought"], "no name for an event", "Bought"),
        (["command", "Till", "buy", "--event", "Line"], "taken by the value Line", "another name"),
        (["command", "Till", "buy", "a:intt"], "there is no type 'intt'", "int?"),
        (["generation", "OrderPlacd"], "there is no event 'OrderPlacd'", "OrderPlaced?"),
        (["generation", "Line", "a:int=1"], "there is no event 'Line'", "OrderPlaced"),
        (["generation", "OrderPlaced", "by:str"], "have no by", "'by:…?'"),
        (["generation", "OrderPlaced", "status:str=x"], "'status' is taken", "another"),
        (["generation", "OrderPlaced", "n:int=x"], "the default 'x' is no int", "fits"),
        (["generation", "OrderPlaced", "n:int:ge=1:default=0"], "does not fit", "change"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_and_nothing_is_written(
    shop: Path,
    words: list[str],
    message: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = everything_in(shop)
    assert main(["add", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err.splitlines()[0]
    assert hint in err.partition("\nhint: ")[2]
    assert everything_in(shop) == before


@pytest.mark.parametrize("name", ["Line", "Parcel"])
def test_a_value_object_that_would_hold_itself_is_refused(
    shop: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["add", "value", "Parcel", "lines:list[Line]=[]"]) == 0
    capsys.readouterr()
    words = ["sku:str:min_length=1", "quantity:int:ge=1", "within:Parcel?"]
    if name == "Parcel":
        assert main(["add", "value", "Box", "parcels:list[Parcel]"]) == 0
        words = ["lines:list[Line]=[]", "within:dict[str,Box]={}"]
    before = (shop / f"shop/values/{name.lower()}.py").read_text()
    assert main(["add", "value", name, *words]) == 2
    err = capsys.readouterr().err
    assert f"error: the value object {name} would hold itself, by its field 'within'" in err
    assert "hint: hold a key instead" in err
    assert (shop / f"shop/values/{name.lower()}.py").read_text() == before
