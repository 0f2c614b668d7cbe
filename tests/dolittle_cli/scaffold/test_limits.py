"""The limits of fields on the command line."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.fields import parse_field, parse_fields
from dolittle_cli.scaffold.samples import sample, stored_sample, typed_sample
from dolittle_cli.scaffold.source import read_source
from dolittle_cli.scaffold.typed_field import WrongField
from dolittle_cli.scaffold.types import (
    Constrained,
    Field,
    FieldType,
    Listed,
    Mapped,
    Maybe,
    Valued,
    annotation,
    definitions,
    written_out,
)

LINE = Valued("Line", "shop.values.line")


def written(text: str) -> str:
    field = parse_field(text, "Order", values={"Line": LINE})
    default = f" = {field.default.node}" if field.default else ""
    return f"{field.name}: {annotation(field.type).node}{default}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:int:ge=1", "a: Annotated[int, constraint(ge=1)]"),
        ("a:int:ge=1:lt=9:default=3", "a: Annotated[int, constraint(ge=1, lt=9)] = 3"),
        ("a:Decimal:gt=0", "a: Annotated[Decimal, constraint(gt=0)]"),
        (
            "a:Decimal:ge=0.01:default=1",
            'a: Annotated[Decimal, constraint(ge=Decimal("0.01"))] = Decimal("1")',
        ),
        ("a:float:le=1.5", "a: Annotated[float, constraint(le=1.5)]"),
        ("a:float:multiple_of=0.5", "a: Annotated[float, constraint(multiple_of=0.5)]"),
        ("a:str:max_length=9:default=", 'a: Annotated[str, constraint(max_length=9)] = ""'),
        (r"a:str:pattern=^\d:\w=x$", r'a: Annotated[str, constraint(pattern=r"^\d:\w=x$")]'),
        ("a:str:pattern=^a:ge=b$", None),
        ("a:str?:min_length=1", "a: Annotated[str, constraint(min_length=1)] | None = None"),
        ("a:int?:ge=1:default=none", "a: Annotated[int, constraint(ge=1)] | None = None"),
        ("a:list[str]:max_length=2", "a: Annotated[list[str], constraint(max_length=2)]"),
        ("a:list[Line]:min_length=1", "a: Annotated[list[Line], constraint(min_length=1)]"),
        ("a:list[Line]", "a: list[Line]"),
        ("a:Line?", "a: Line | None = None"),
        ("a:dict[str,Line]={}", "a: dict[str, Line] = {}"),
        (
            "a:str:pattern=^(?=x)x$:example=x",
            'a: Annotated[str, constraint(pattern="^(?=x)x$", example="x")]',
        ),
    ],
)  # fmt: skip
def test_a_limit_is_written_as_a_constraint(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(WrongUsage, match="the limit ge means nothing for a str"):
            written(text)
    else:
        assert written(text) == expected


def test_a_long_type_gets_a_name_of_its_own() -> None:
    text = r"email:str?:min_length=5:max_length=100:pattern=^[^@\s]+@[^@\s]+$"
    field = parse_field(text, "Order")
    assert str(annotation(field.type).node) == "OrderEmail | None"
    found = getattr(field.type, "item", None)
    assert isinstance(found, Constrained)
    assert str(written_out(found).node).startswith("Annotated[str, constraint(min_length=5, ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a:list[str:pattern=^[a-z]+$]",
            'a: list[Annotated[str, constraint(pattern="^[a-z]+$")]]',
        ),
        ("a:list[ int : ge=1 ]?", None),
        ("a:list[Decimal:ge=0]=[]", "a: list[Annotated[Decimal, constraint(ge=0)]] = []"),
        ("a:list[int?:ge=1]", "a: list[Annotated[int, constraint(ge=1)] | None]"),
        ("a:dict[str,int:ge=1:le=9]", "a: dict[str, Annotated[int, constraint(ge=1, le=9)]]"),
        (
            "a:list[list[int:ge=1]]?",
            "a: list[list[Annotated[int, constraint(ge=1)]]] | None = None",
        ),
        (
            "a:list[int:ge=1]:min_length=1",
            "a: Annotated[list[Annotated[int, constraint(ge=1)]], constraint(min_length=1)]",
        ),
        (
            r"a:list[str:pattern=^[]\]x]\[$]",
            r'a: list[Annotated[str, constraint(pattern=r"^[]\]x]\[$")]]',
        ),
        (
            "a:list[str:pattern=^[^]: ]+$:max_length=9]",
            'a: list[Annotated[str, constraint(max_length=9, pattern="^[^]: ]+$")]]',
        ),
    ],
)
def test_entries_have_limits_of_their_own(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(WrongUsage, match="there is no limit ' ge'"):
            written(text)
    else:
        field = parse_field(text, "Order")
        bare = without_aliases(field.type)
        default = f" = {field.default.node}" if field.default else ""
        assert f"{field.name}: {annotation(bare).node}{default}" == expected


def without_aliases(of: FieldType) -> FieldType:
    match of:
        case Constrained(item):
            return replace(of, item=without_aliases(item), alias="", module="")
        case Listed(item) | Mapped(item) | Maybe(item):
            return replace(of, item=without_aliases(item))
        case _:
            return of


def test_long_types_of_entries_get_names_that_are_defined_before_they_are_used() -> None:
    text = r"emails:list[str:pattern=^[^@\s]+@[^@\s]+$:max_length=100]:min_length=1:max_length=50"
    field = parse_field(text, "Order")
    assert str(annotation(field.type).node) == "OrderEmails"
    assert [(name, str(node)) for name, node in definitions([field])["aliases"]] == [
        (
            "OrderEmailsEntry",
            r'Annotated[str, constraint(max_length=100, pattern=r"^[^@\s]+@[^@\s]+$")]',
        ),
        (
            "OrderEmails",
            "Annotated[list[OrderEmailsEntry], constraint(min_length=1, max_length=50)]",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("tags:list[strr]", "strr"),
        ("tags:list[str:gee=3]", "gee"),
        ("tags:list[str:min_length=1:max_length=x]", "x]"),
        ("tags:dict[str,int:ge=5:pattern=x]", "pattern"),
        ("tags:list[int:ge=1:default=3]", "3]"),
        ("tags:list[int:ge=3:le=2]", "ge"),
        ("size:int:ge=1:default=0", "0"),
        ("size:int=x", "x"),
        ("size:enum(new,new)=new", "new)"),
        ("size:int:ge=1:lee=2", "lee"),
    ],
)
def test_what_is_wrong_is_marked(text: str, mark: str) -> None:
    with pytest.raises(WrongField) as refused:
        parse_field(text, "Order")
    _, shown, caret = str(refused.value).split("\n")
    assert shown == f"  {text}"
    assert text[caret.index("^") - 2 :].startswith(mark)
    assert refused.value.column == caret.index("^") - 2


ENTRY_LIMITS = st.sampled_from(
    ["int:ge=1", "int:ge=1:lt=50", "str:pattern=^[a-z]+$", r"str:pattern=^\[x\]$", "Decimal:gt=0",
     "str:min_length=2:max_length=70", "float:multiple_of=0.25", "str:max_length=3:example=x"]
)  # fmt: skip


@given(entry=ENTRY_LIMITS, outer=st.sampled_from(["", ":min_length=1", ":max_length=3"]))
def test_what_is_typed_is_read_from_the_source_that_is_written(entry: str, outer: str) -> None:
    fields = [parse_field(f"a:{kind}{entry}]{outer}", "Order") for kind in ("list[", "dict[str,")]
    for field in fields:
        made = definitions([field])["aliases"]
        lines = [f"{name} = {node}" for name, node in made]
        lines += ["@event_type", "class Order:", f"    a: {annotation(field.type).node}"]
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "shop"
            package.mkdir()
            (package / "orders.py").write_text("\n".join(["from decimal import Decimal", *lines]))
            read = read_source(Path(folder), "shop").event("Order").fields[0]
        assert without_aliases(read.type) == without_aliases(field.type)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a:bool:ge=1", "the limit ge means nothing for a bool", "there is: none"),
        ("a:str:ge=1", "the limit ge means nothing for a str", "min_length, max_length, pattern"),
        ("a:int:pattern=x", "the limit pattern means nothing for an int", "ge, gt, le, lt"),
        ("a:int:max_length=1", "means nothing for an int", "multiple_of"),
        ("a:list[int]:ge=1", "means nothing for a list[int]", "min_length, max_length"),
        ("a:list[int]:example=1", "the limit example means nothing", "min_length"),
        ("a:date:ge=2026-01-01", "means nothing for a date", "none"),
        ("a:enum(x,y):ge=1", "the limit ge means nothing", "none"),
        ("a:Line:min_length=1", "means nothing for a Line", "none"),
        ("a:int:gee=1", "there is no limit 'gee'", "did you mean ge?"),
        ("a:int:min=1", "there is no limit 'min'", "did you mean ge"),
        ("a:str:regex=x", "there is no limit 'regex'", "did you mean pattern?"),
        ("a:UUID:foo=1", "there is no limit 'foo'", "has no limits"),
        ("a:int:ge", "ge has no value", "ge=…"),
        ("a:int:ge=1:lee=2", "there is no limit 'lee'", "did you mean le?"),
        ("a:int:ge=1:", "there is no limit ''", "ge"),
        ("a:int:", "there is no limit ''", "ge"),
        ("a:int:ge=x", "ge=x is no int", "ge=1"),
        ("a:int:ge=1.5", "ge=1.5 is no int", "ge=1"),
        ("a:Decimal:ge=much", "ge=much is no Decimal", "0.01"),
        ("a:Decimal:ge=NaN", "is no number to compare with", "limits"),
        ("a:float:ge=inf", "is no number to compare with", "limits"),
        ("a:str:min_length=-1", "min_length=-1 is no length", "limits"),
        ("a:int:multiple_of=0", "multiple_of=0 is not more than 0", "limits"),
        ("a:int:ge=1=2", "ge=1=2 is no int", ":default=VALUE"),
        ("a:int:ge=1:ge=2", "ge is given twice", "leave one"),
        ("a:int:ge=1:default=1:default=2", "default is given twice", "leave one"),
        ("a:int:ge=2:le=1", "no number is between 2 and 1", "limits"),
        ("a:str:min_length=2:max_length=1", "no length is between 2 and 1", "limits"),
        ("a:str:pattern=(", "is no regular expression", "limits"),
        ("a:str:pattern=[[a]]", "is no regular expression: Possible nested set", "limits"),
        ("a:str:pattern=" + "x" * 81, "has 81 characters", "shorter"),
        ("a:int:ge=1:default=0", "does not fit its limits: expected at least 1, got 0", "change"),
        ("a:int:ge=1:default=x", "the default 'x' is no int", "fits"),
        ("a:list[str]:min_length=1:default=[]", "at least 1 entry", "change"),
        ("a:str:max_length=2:default=abc", "at most 2 characters", "change"),
        ("a:int?:ge=1:default=0", "expected at least 1, got 0", "change"),
        ("a:int=1:ge=1", "a limit stands behind the default", "a:int:ge=1:default=1"),
        ("a:int:gt=1:lt=2", "no value that fits its limits", "example=VALUE"),
        ("a:str:pattern=^(?=x)x$", "no value that fits its limits", "example=VALUE"),
        ("a:str:pattern=^a$:example=b", "the example does not fit", "one that does"),
        ("a:list[str]:min_length=99", "no value that fits its limits", "fewer"),
        ("a:list[Lime]", "no type 'Lime'", "did you mean Line?"),
        ("a:list[Customer]", "no type 'Customer'", "dolittle add value Customer"),
        ("a:Line=x", "the default 'x' is no Line", "Line?"),
        ("a:list[str:ge=1]", "the limit ge means nothing for a str", "min_length"),
        ("a:list[int:pattern=x]", "the limit pattern means nothing for an int", "ge, gt"),
        ("a:list[bool:ge=1]", "the limit ge means nothing for a bool", "none"),
        ("a:list[Line:min_length=1]", "means nothing for a Line", "none"),
        ("a:list[enum(x,y):min_length=1]", "means nothing for", "none"),
        ("a:list[list[int]:ge=1]", "means nothing for a list[int]", "min_length"),
        ("a:list[int:gee=1]", "there is no limit 'gee'", "ge"),
        ("a:list[int:]", "there is no limit ''", "ge"),
        ("a:list[int:ge]", "ge has no value", "ge=…"),
        ("a:list[int:ge=x]", "ge=x is no int", "ge=1"),
        ("a:list[int:ge=2:le=1]", "no number is between 2 and 1", "limits"),
        ("a:list[int:ge=1:ge=2]", "ge is given twice", "leave one"),
        ("a:list[int:gt=1:lt=2]", "no value that fits its limits", "example=VALUE"),
        ("a:list[int=1]", "an entry has no default", "a:list[…]=[]"),
        ("a:dict[str,int:ge=1:default=2]", "an entry has no default", "a:list[…]=[]"),
        ("a:dict[str:min_length=1,int]", "',' is missing", "quotes"),
        ("a:list[int:ge=1", "']' is missing", "quotes"),
        ("a:list[str:pattern=^[a-z+$]", "']' is missing", "a bracket that is meant itself"),
        ("a:list[str:pattern=]]", "']' is too much", "quotes"),
        ("a:list[int:ge=1]:ge=1", "means nothing for a list[", "min_length"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        parse_fields([text], "Order", values={"Line": LINE})
    assert message in str(refused.value)
    assert hint in refused.value.hint


NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=2)


@given(low=NUMBERS, width=st.decimals(min_value=0, max_value=50, places=2), data=st.data())
def test_a_number_that_is_made_up_fits_its_limits(
    low: Decimal, width: Decimal, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["int", "float", "Decimal"]))
    if kind == "int":
        low, width = low.to_integral_value(), width.to_integral_value()
    below, above = (
        data.draw(st.sampled_from(["ge", "gt"])),
        data.draw(st.sampled_from(["le", "lt"])),
    )
    text = f"a:{kind}:{below}={low}:{above}={low + width}"
    is_empty = width == 0 and (below, above) != ("ge", "le")
    if is_empty or (kind == "int" and width == 1 and (below, above) == ("gt", "lt")):
        with pytest.raises(WrongUsage):
            parse_field(text, "Order")
        return
    field = parse_field(text, "Order")
    assert isinstance(field.type, Constrained)
    value = eval(str(sample(field.type, "a").node), {"Decimal": Decimal})  # type: ignore[union-attr]
    assert field.type.limits.violation(value) == ""
    assert Decimal(typed_sample(field.type, "a")) == Decimal(str(value))


@given(least=st.integers(0, 40), more=st.integers(0, 40))
def test_a_text_that_is_made_up_fits_its_limits(least: int, more: int) -> None:
    field = parse_field(f"note:str:min_length={least}:max_length={least + more}", "Order")
    assert isinstance(field.type, Constrained)
    value = eval(str(sample(field.type, "note").node))  # type: ignore[union-attr]
    assert field.type.limits.violation(value) == ""
    assert eval(str(stored_sample(field.type, "note"))) == value


def test_a_value_object_is_made_of_samples_of_its_fields() -> None:
    fields = parse_fields(["sku:str", "quantity:int:ge=5", "price:Decimal:lt=1"], "Line")
    line = Valued("Line", "shop.values.line", tuple(fields))
    found = sample(line, "line")
    assert found is not None
    assert str(found.node) == 'Line(sku="a sku", quantity=5, price=Decimal("0"))'
    assert str(stored_sample(line, "line")) == '{"sku": "a sku", "quantity": 5, "price": "0"}'


def test_a_value_object_of_unknown_fields_has_no_sample() -> None:
    recursive = Valued("Node", "m", (Field("next", Valued("Node", "m", ())),))
    assert sample(recursive, "node") is not None
