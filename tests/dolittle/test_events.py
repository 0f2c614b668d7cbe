from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle import event_handler, event_type, handles
from dolittle.declarations import MARK
from dolittle.events import check_event_type, event_type_of
from dolittle.handlers import check_event_handler, handler_declaration_of


@event_type
class DishPrepared:
    """A dish is ready."""

    dish: str
    chef: str = "Mr. Taco"

    def sentence(self) -> str:
        return f"{self.chef} has prepared {self.dish}"

    @property
    def initial(self) -> str:
        return self.dish[0]

    def __repr__(self) -> str:
        return super().__repr__().replace("DishPrepared", "dish")


@event_type("c5c4d6f4-5a9c-4f0b-8e0e-1d2c3b4a5f6e", generation=2, public=True)
class OrderPlaced:
    table: int


@event_type
class VeganDishPrepared(DishPrepared):
    certified: bool = False
    remarks: list[str] = []  # noqa: RUF012 - copied for each event


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Rank(IntEnum):
    FIRST = 1
    SECOND = 2


@dataclass(frozen=True)
class Address:
    street: str
    number: int | None = None


class Point(msgspec.Struct, frozen=True):
    x: float
    tags: tuple[str, ...] = ()


@event_type
class Everything:
    text: str
    whole: int
    part: float
    yes: bool
    price: Decimal
    day: date
    moment: datetime
    hour: time
    span: timedelta
    guid: UUID
    size: Size
    rank: Rank
    names: list[str]
    counts: dict[str, int]
    by_day: dict[date, Decimal]
    address: Address
    point: Point
    perhaps: Decimal | None = None
    nested: list[dict[str, Address]] = []  # noqa: RUF012 - copied for each event
    raw: bytes = b""


def test_an_event_type_has_its_class_name_as_id_and_alias() -> None:
    found = event_type_of(DishPrepared)
    assert found is not None
    assert (found.id, found.generation, found.alias, found.public) == (
        "DishPrepared",
        1,
        "DishPrepared",
        False,
    )


def test_an_event_type_may_have_an_id_of_its_own() -> None:
    found = event_type_of(OrderPlaced(table=1))
    assert found is not None
    assert found.id == "c5c4d6f4-5a9c-4f0b-8e0e-1d2c3b4a5f6e"
    assert (found.generation, found.alias, found.public) == (2, "OrderPlaced", True)


def test_an_event_is_immutable_and_compares_by_value() -> None:
    event = DishPrepared(dish="Taco")
    with pytest.raises(AttributeError):
        event.dish = "Burrito"  # type: ignore[misc]
    assert event == DishPrepared("Taco", "Mr. Taco")
    assert event != DishPrepared("Taco", "Mrs. Tex Mex")
    assert len({event, DishPrepared(dish="Taco")}) == 1


def test_an_event_class_keeps_its_methods_properties_docstring_and_name() -> None:
    event = DishPrepared(dish="Taco")
    assert event.sentence() == "Mr. Taco has prepared Taco"
    assert event.initial == "T"
    assert DishPrepared.__doc__ == "A dish is ready."
    assert (DishPrepared.__name__, DishPrepared.__module__) == ("DishPrepared", __name__)


def test_super_works_in_a_method_of_an_event() -> None:
    assert repr(DishPrepared(dish="Taco")) == "dish(dish='Taco', chef='Mr. Taco')"


def test_an_event_type_may_derive_from_another() -> None:
    event = VeganDishPrepared(dish="Taco", certified=True)
    assert (event.dish, event.chef, event.certified, event.remarks) == (
        "Taco",
        "Mr. Taco",
        True,
        [],
    )
    assert event.remarks is not VeganDishPrepared(dish="Taco").remarks
    found = event_type_of(event)
    assert found is not None
    assert found.id == "VeganDishPrepared"
    with pytest.raises(AttributeError):
        event.certified = False  # type: ignore[misc]


class Undeclared(DishPrepared):
    pass


def test_a_class_that_only_derives_from_an_event_type_is_none() -> None:
    assert event_type_of(Undeclared) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
moments = st.datetimes(datetime(1900, 1, 1), datetime(9999, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
floats = st.floats(allow_nan=False, allow_infinity=False)
addresses = st.builds(Address, texts, st.none() | st.integers(-(2**63), 2**63 - 1))
everything = st.builds(
    Everything,
    text=texts,
    whole=st.integers(-(2**63), 2**64 - 1),
    part=floats,
    yes=st.booleans(),
    price=decimals,
    day=st.dates(),
    moment=moments,
    hour=st.times(),
    span=st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
    guid=st.uuids(),
    size=st.sampled_from(Size),
    rank=st.sampled_from(Rank),
    names=st.lists(texts, max_size=3),
    counts=st.dictionaries(texts, st.integers(0, 9), max_size=3),
    by_day=st.dictionaries(st.dates(), decimals, max_size=2),
    address=addresses,
    point=st.builds(Point, floats, st.lists(texts, max_size=2).map(tuple)),
    perhaps=st.none() | decimals,
    nested=st.lists(st.dictionaries(texts, addresses, max_size=2), max_size=2),
    raw=st.binary(max_size=8),
)


@given(everything)
def test_what_is_decoded_is_what_was_encoded(event: Everything) -> None:
    from dolittle.serialization import encode

    assert msgspec.json.decode(encode(event), type=Everything) == event


def problems_of(cls: Any) -> list[str]:
    declaration = cls.__dict__[MARK]
    check_event_type(declaration)
    assert all(problem.path == __file__ and problem.line for problem in declaration.problems)
    return [problem.message for problem in declaration.problems]


def test_all_fields_that_json_can_carry_are_no_problem() -> None:
    assert problems_of(Everything) == []


class Opaque:
    pass


@dataclass
class Holder:
    opaque: Opaque


def test_a_field_that_json_cannot_carry_is_a_problem() -> None:
    @event_type
    class Strange:
        number: complex
        listed: list[Opaque]
        keyed: dict[str, Holder]

    assert problems_of(Strange) == [
        "event type Strange: field 'number': complex cannot be stored as JSON",
        "event type Strange: field 'listed': Opaque cannot be stored as JSON",
        "event type Strange: field 'keyed': Opaque cannot be stored as JSON",
    ]


def test_a_field_of_two_types_that_json_cannot_tell_apart_is_a_problem() -> None:
    @event_type
    class Ambiguous:
        when: date | str

    [problem] = problems_of(Ambiguous)
    assert "more than one str-like type" in problem


def test_a_field_of_a_class_that_does_not_exist_is_a_problem() -> None:
    @event_type
    class Dangling:
        dish: Missing  # type: ignore[name-defined]  # noqa: F821

    assert problems_of(Dangling) == ["event type Dangling: name 'Missing' is not defined"]


def test_a_required_field_after_one_with_a_default_is_a_problem() -> None:
    @event_type
    class Backwards:
        dish: str = ""
        chef: str  # type: ignore[misc]

    [problem] = problems_of(Backwards)
    assert problem.startswith("event type Backwards: Required field 'chef' cannot follow")


@pytest.mark.parametrize("generation", [0, -1, "2"])
def test_a_generation_that_is_no_number_from_1_is_a_problem(generation: Any) -> None:
    @event_type("X", generation=generation)
    class Wrong:
        pass

    assert problems_of(Wrong) == [f"event type Wrong: generation {generation!r} is not 1 or more"]


def test_every_problem_of_an_event_handler_is_told() -> None:
    @event_handler(concurrency=0, start_from="later")  # type: ignore[arg-type]
    class Broken:
        @handles(Opaque)
        def one(self, event: Opaque) -> None: ...

        @handles(DishPrepared)
        def two(self, event: DishPrepared, context: object, more: int) -> None: ...

        @handles(DishPrepared)
        def three(self, event: DishPrepared) -> None: ...

    declaration = handler_declaration_of(Broken)
    assert declaration is not None
    check_event_handler(declaration)
    assert {problem.message for problem in declaration.problems} == {
        "event handler Broken: concurrency 0 is not between 1 and 1000",
        "event handler Broken: start_from is 'later'",
        "Broken.one: @handles(Opaque) is for no event type",
        "Broken.two must take (self, event) or (self, event, context), it takes "
        "(self, event: 'DishPrepared', context: 'object', more: 'int')",
        "Broken: two methods handle DishPrepared",
    }


TYPED = """
from dolittle import AggregateRoot, aggregate_root, event_handler, event_type, handles, projection

@event_type
class DishPrepared:
    dish: str
    count: int = 1

@event_type("an id", public=True)
class DishServed:
    dish: str

@projection
class DishCounter:
    dish: str
    count: int = 0

@aggregate_root
class Kitchen(AggregateRoot):
    ingredients: int = 2

good = DishPrepared(dish="Taco", count=2)
DishServed("Taco")
DishCounter(dish="Taco").count += 1
Kitchen("Tacos").ingredients += 1
DishPrepared(dish=5)  # wrong
DishPrepared()  # wrong
DishPrepared(dish="Taco", chef="")  # wrong
good.dish = "Burrito"  # wrong
good.dish + 1  # wrong
DishServed(dish=1)  # wrong
DishCounter(dish="", count="")  # wrong
"""


@pytest.mark.slow
def test_a_type_checker_finds_wrong_arguments_without_a_plugin(tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / ".c"), str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    expected = {n for n, line in enumerate(TYPED.splitlines(), start=1) if "# wrong" in line}
    assert wrong == expected, done.stdout + done.stderr
