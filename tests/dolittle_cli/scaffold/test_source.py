"""Reading declarations from source, without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.source import read_source
from dolittle_cli.scaffold.types import annotation

EVENTS = '''\
"""Orders."""

import decimal
from dataclasses import dataclass
from datetime import datetime as moment
from decimal import Decimal
from enum import Enum, StrEnum
from typing import ClassVar, Literal, Optional
from uuid import UUID

import dolittle
from dolittle import event_type

raise SystemExit("importing this ends the process")


class Status(StrEnum):
    NEW = "new"
    IN_WORK = "in-work"


class Odd(Enum):
    first = "1"


@dataclass
class Line:
    product: str


@event_type("order-placed", generation=2)
class OrderPlaced:
    LIMIT: ClassVar[int] = 3
    id: UUID
    status: Status
    lines: list[Line]
    by_day: dict[str, list[int]]
    note: "str | None" = None
    kind: Literal["a", "b"] = "a"
    when: Optional["date"] = None
    amount: decimal.Decimal = decimal.Decimal(0)
    at: moment | None = None
    odd: Odd = Odd.first
    text: str = 'it is "so"'
    least: float = -1e22
    more: list[int] = []
    price: Decimal = Decimal("1.0")
    step: Status = Status.IN_WORK
    other: Status = Status.missing


@dolittle.event_type
class OrderPaid:
    pass
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shop" / "deep").mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "deep" / "orders.py").write_text(EVENTS)
    return tmp_path


def test_fields_are_read_with_what_their_types_need(root: Path) -> None:
    event = read_source(root, "shop").event("OrderPlaced")
    module = "shop.deep.orders"
    assert event.module == module
    found = {field.name: annotation(field.type) for field in event.fields}
    assert {name: (code.node, set(code.imports)) for name, code in found.items()} == {
        "id": ("UUID", {("uuid", "UUID")}),
        "status": ("Status", {(module, "Status")}),
        "lines": ("list[Line]", {(module, "Line")}),
        "by_day": ("dict[str, list[int]]", set()),
        "note": ("str | None", set()),
        "kind": ('Literal["a", "b"]', {("typing", "Literal")}),
        "when": ("date | None", {("datetime", "date")}),
        "amount": ("decimal.Decimal", {("decimal", "")}),
        "at": ("moment | None", {("datetime", "datetime as moment")}),
        "odd": ("Odd", {(module, "Odd")}),
        "text": ("str", set()),
        "least": ("float", set()),
        "more": ("list[int]", set()),
        "price": ("Decimal", {("decimal", "Decimal")}),
        "step": ("Status", {(module, "Status")}),
        "other": ("Status", {(module, "Status")}),
    }


def test_constants_are_told_from_other_defaults(root: Path) -> None:
    fields = {field.name: field for field in read_source(root, "shop").event("OrderPlaced").fields}
    assert fields["text"].default
    assert fields["text"].default.node == "'it is \"so\"'"
    assert fields["text"].is_constant
    assert fields["amount"].default
    assert not fields["amount"].is_constant
    assert fields["least"].default
    assert fields["least"].default.node == "-1e22"
    assert fields["least"].is_constant
    assert not fields["more"].is_constant
    assert fields["price"].is_constant
    assert fields["price"].default
    assert str(fields["price"].default.node) == 'Decimal("1.0")'
    assert fields["price"].default.imports == {("decimal", "Decimal")}
    assert fields["step"].is_constant
    assert fields["step"].default
    assert fields["step"].default.imports == {("shop.deep.orders", "Status")}
    assert not fields["other"].is_constant
    assert fields["id"].default is None


def test_a_decorator_is_found_however_it_is_written(root: Path) -> None:
    kinds = {item.name: item.kind for item in read_source(root, "shop").classes}
    assert kinds == {
        "Status": "class",
        "Odd": "class",
        "Line": "class",
        "OrderPlaced": "event",
        "OrderPaid": "event",
    }


def test_nothing_is_imported(root: Path) -> None:
    read_source(root, "shop")
    assert "shop" not in sys.modules


def test_a_package_in_src_is_found(root: Path) -> None:
    (root / "src").mkdir()
    (root / "shop").rename(root / "src" / "shop")
    source = read_source(root, "shop")
    assert source.folder == root / "src" / "shop"
    assert source.event("OrderPaid").module == "shop.deep.orders"


def test_an_unknown_event_is_refused_with_the_nearest_one(root: Path) -> None:
    with pytest.raises(WrongUsage, match="no event 'OrderPlacd' in shop") as refused:
        read_source(root, "shop").event("OrderPlacd")
    assert refused.value.hint == "did you mean OrderPlaced?"


def test_without_any_event_the_hint_is_to_add_it(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(WrongUsage) as refused:
        read_source(tmp_path, "shop").event("OrderPaid")
    assert "dolittle add event OrderPaid" in refused.value.hint


def test_files_that_are_no_python_are_left_out_and_named(root: Path) -> None:
    (root / "shop" / "broken.py").write_text("class :\n")
    (root / "shop" / "binary.py").write_bytes(b"\x00\xff")
    source = read_source(root, "shop")
    assert source.event("OrderPaid")
    with pytest.raises(WrongUsage) as refused:
        source.event("Other")
    assert "shop/binary.py, shop/broken.py" in refused.value.hint


def test_a_missing_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="no package 'shop'") as refused:
        read_source(tmp_path, "shop")
    assert "dolittle.toml" in refused.value.hint


@pytest.mark.parametrize(
    ("kind", "name", "taker"),
    [
        ("event", "OrderPaid", "OrderPaid"),  # of the same kind, but in another file
        ("handler", "OrderPaid", "OrderPaid"),
        ("handler", "ORDERPaid", "OrderPaid"),
        ("event", "Line", "Line"),
        ("projection", "Orders", "OrderPlaced"),  # the same file name
    ],
)
def test_a_taken_name_is_refused(root: Path, kind: str, name: str, taker: str) -> None:
    with pytest.raises(WrongUsage, match=f"{name!r} is taken by the .* {taker} in shop/deep"):
        read_source(root, "shop").check_free(kind, name)


def test_the_same_thing_in_its_own_file_is_left_to_the_plan(tmp_path: Path) -> None:
    (tmp_path / "shop" / "events").mkdir(parents=True)
    path = tmp_path / "shop" / "events" / "order_paid.py"
    path.write_text("@event_type\nclass OrderPaid: ...\n")
    read_source(tmp_path, "shop").check_free("event", "OrderPaid")
    with pytest.raises(WrongUsage, match="is taken"):
        read_source(tmp_path, "shop").check_free("handler", "OrderPaid")
