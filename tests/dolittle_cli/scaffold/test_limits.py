"""The limits of fields on the command line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.errors import WrongUsage
from dolittle_cli.scaffold.fields import parse_field, parse_fields
from dolittle_cli.scaffold.samples import sample, stored_sample, typed_sample
from dolittle_cli.scaffold.types import Constrained, Field, Valued, annotation, written_out

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
