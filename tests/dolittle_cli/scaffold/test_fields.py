"""The grammar of fields."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.fields import DEFAULT_CHARACTERS_MAX, parse_field, parse_fields
from dolittle_cli.scaffold.types import annotation

NAMES: dict[str, Any] = {
    "Decimal": Decimal, "UUID": UUID, "UTC": UTC, "date": date, "datetime": datetime
}  # fmt: skip


def written(text: str) -> str:
    field = parse_field(text, "Order")
    default = f" = {field.default.node}" if field.default else ""
    return f"{field.name}: {annotation(field.type).node}{default}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dish:str", "dish: str"),
        ("count:int=2", "count: int = 2"),
        ("count:int=-2", "count: int = -2"),
        ("w:float=1", "w: float = 1.0"),
        ("w:float=1e22", "w: float = 1e22"),
        ("open:bool=true", "open: bool = True"),
        ("total:Decimal=9.50", 'total: Decimal = Decimal("9.50")'),
        ("day:date=2026-01-31", "day: date = date(2026, 1, 31)"),
        (
            "at:datetime=2026-01-31T12:00:00Z",
            "at: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)",
        ),
        (
            "at:datetime=2026-01-31T14:00:00.5+02:00",
            "at: datetime = datetime(2026, 1, 31, 12, 0, 0, 500000, tzinfo=UTC)",
        ),
        ("key:UUID=" + "0" * 32, f'key: UUID = UUID("{UUID(int=0)}")'),
        ("note:str?", "note: str | None = None"),
        ("note:str?=none", "note: str | None = None"),
        ("note:str?=x", 'note: str | None = "x"'),
        ("note:str=", 'note: str = ""'),
        ("note:str=a=b:c", 'note: str = "a=b:c"'),
        ("tags:list[str]", "tags: list[str]"),
        ("tags:list[str]=[]", "tags: list[str] = []"),
        ("per:dict[str,int]={}", "per: dict[str, int] = {}"),
        ("per:dict[str, list[int?]]", "per: dict[str, list[int | None]]"),
        ("status:enum(new,paid)", "status: OrderStatus"),
        ("pay_state:enum(new,in-work)=in-work", "pay_state: OrderPayState = OrderPayState.IN_WORK"),
        ("all:list[enum(a,b)]?", "all: list[OrderAll] | None = None"),
    ],
)
def test_a_field_is_written_as_python(text: str, expected: str) -> None:
    assert written(text) == expected


def test_fields_with_a_default_come_last_and_keep_their_order_otherwise() -> None:
    fields = parse_fields(["a:int=1", "b:str", "c:str?", "d:int"], "Order")
    assert [field.name for field in fields] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("dish", "'dish' is no field", "dish:str"),
        ("dish:", "is no field", "name:type"),
        ("Dish!", "is no field", "dish:str"),
        (":str", "is no name for a field", "dish_name"),
        ("a:string", "no type 'string'", "did you mean str?"),
        ("a:integer", "no type 'integer'", "did you mean int?"),
        ("a:uuid", "no type 'uuid'", "did you mean UUID?"),
        ("a:strr", "no type 'strr'", "did you mean str?"),
        ("a:Decimel", "no type 'Decimel'", "did you mean Decimal?"),
        ("a:quux", "no type 'quux'", "there is: str, int"),
        ("a:list", "no type 'list'", "did you mean list[str]?"),
        ("a:[int]", "no type ''", "there is"),
        ("a:list[int", "']' is missing", "quotes"),
        ("a:list[strin]", "no type 'strin'", "did you mean str?"),
        ("a:dict[int,str]", "the keys of a dict are str", "dict[str,int]"),
        ("a:dict[str]", "',' is missing", "quotes"),
        ("a:enum(new", "')' of enum( is missing", "quotes"),
        ("a:enum()", "'' is no value of an enum", "enum(new,paid)"),
        ("a:enum(1st)", "'1st' is no value of an enum", "enum(new,paid)"),
        ("a:enum(x,X)", "are the same", "leave one"),
        ("a:str??", "'?' is too much", "quotes"),
        ("a:list[list[list[list[int]]]]", "at most 3 deep", "by hand"),
        ("a:int=two", "default 'two' is no int", "one that fits"),
        ("a:int=", "default '' is no int", "one that fits"),
        ("a:float=nan", "is no float", "fits"),
        ("a:bool=maybe", "is no bool", "true or false"),
        ("a:Decimal=Infinity", "is no Decimal", "fits"),
        ("a:Decimal=much", "is no Decimal", "fits"),
        ("a:date=31.1.2026", "is no date", "2026-01-31"),
        ("a:datetime=2026-01-31T12:00:00", "is no datetime", "time zone"),
        ("a:UUID=7", "is no UUID", "fits"),
        ("a:enum(x,y)=z", "is no value of the enum", "one of: x, y"),
        ("a:list[int]=5", "is no list[int]", "=[]"),
        ("a:dict[str,int]=5", "is no dict[str, int]", "={}"),
        ("a:str=\x1b", "is no str", "control characters"),
        ("a:str=" + "x" * (DEFAULT_CHARACTERS_MAX + 1), "at most 80 characters", "short one"),
    ],
)
def test_what_is_no_field_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        parse_fields([text], "Order")
    assert message in str(refused.value)
    assert hint in refused.value.hint


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(WrongUsage, match="'a' is given twice"):
        parse_fields(["a:int", "a:str"], "Order")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_a_text_default_means_what_was_typed(text: str) -> None:
    try:
        field = parse_field(f"a:str={text}", "Order")
    except WrongUsage:
        assert not text.isprintable()
        return
    assert field.default
    assert eval(str(field.default.node)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_default_means_what_was_typed(number: Decimal) -> None:
    field = parse_field(f"a:Decimal={number}", "Order")
    assert field.default
    assert eval(str(field.default.node), NAMES) == number


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_datetime_default_means_what_was_typed(moment: datetime) -> None:
    field = parse_field(f"a:datetime={moment.isoformat()}", "Order")
    assert field.default
    assert eval(str(field.default.node), NAMES) == moment


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_field_or_is_refused(text: str) -> None:
    try:
        parse_fields([f"a:{text}"], "Order")
    except WrongUsage as refused:
        hint = refused.hint
    else:
        hint = "none is needed"
    assert hint
