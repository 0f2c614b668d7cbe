from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import json
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest

from dolittle import event_type
from dolittle_cli.checking.compatibility import Difference, differences
from dolittle_cli.checking.schema import schema_of


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class OneSize(enum.Enum):
    SMALL = "small"


class Address(msgspec.Struct):
    city: str
    lines: list[str] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Pair(NamedTuple):
    left: int
    right: str


class City(msgspec.Struct):
    city: int
    lines: list[str] = []
    zip: str = ""


class OtherTree(msgspec.Struct):
    name: int
    children: list[OtherTree] = []


class Link(msgspec.Struct):
    name: str
    next: Link | None = None
    other: Link | None = None


class OtherLink(msgspec.Struct):
    name: str
    next: OtherLink | None = None
    other: OtherLink | int | None = None


class Wood(msgspec.Struct):
    first: Tree
    second: Tree


class Tree(msgspec.Struct):
    name: str
    children: list[Tree] = []


NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
SAMPLES: list[tuple[Any, list[Any]]] = [
    (int, [0, -7]),
    (float, [0.5, 3.0]),
    (str, ["", "tacos", "2026-01-01"]),
    (bool, [True]),
    (dt.datetime, [NOW]),
    (dt.date, [NOW.date()]),
    (dt.time, [dt.time(1, 2)]),
    (dt.timedelta, [dt.timedelta(seconds=5)]),
    (decimal.Decimal, [decimal.Decimal("1.5")]),
    (uuid.UUID, [uuid.UUID(int=5)]),
    (bytes, [b"tacos"]),
    (int | None, [1, None]),
    (int | str, [1, "a"]),
    (str | None, ["a", None]),
    (Size, [Size.SMALL, Size.LARGE]),
    (OneSize, [OneSize.SMALL]),
    (Literal["small", "medium"], ["small", "medium"]),
    (Literal[1, 2], [1, 2]),
    (list[int], [[], [1]]),
    (list[float], [[], [0.5]]),
    (list[str], [["a"]]),
    (set[int], [{1}]),
    (tuple[int, str], [(1, "a")]),
    (tuple[int, int], [(1, 2)]),
    (dict[str, int], [{}, {"a": 1}]),
    (dict[str, str], [{"a": "b"}]),
    (Annotated[int, msgspec.Meta(ge=1)], [1]),
    (Annotated[int, msgspec.Meta(ge=5)], [5]),
    (Annotated[str, msgspec.Meta(max_length=3)], ["abc"]),
    (Address, [Address("Oslo")]),
    (Point, [Point(1)]),
    (Pair, [Pair(1, "a")]),
    (Tree, [Tree("a", [Tree("b")])]),
    (Any, [1, "a", None, [1], {"a": 1}]),
]


def struct(field_type: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Happened", [("value", field_type)])


@pytest.mark.parametrize("old", SAMPLES, ids=lambda pair: str(pair[0]))
def test_what_does_not_break_reads_what_was_stored(old: tuple[Any, list[Any]]) -> None:
    before = struct(old[0])
    stored = [msgspec.json.encode(before(value=value)) for value in old[1]]
    for new_type, _ in SAMPLES:
        after = struct(new_type)
        found = differences(schema_of(before), schema_of(after))
        if any(item.breaks for item in found):
            continue
        for content in stored:
            msgspec.json.decode(content, type=after)


NEVER_READ = list(itertools.permutations([item for item in SAMPLES if item[0] is not Any], 2))


def test_what_is_never_read_breaks() -> None:
    for (old_type, samples), (new_type, _) in NEVER_READ:
        before, after = struct(old_type), struct(new_type)
        contents = [msgspec.json.encode(before(value=value)) for value in samples]
        if any(_reads(after, content) for content in contents):
            continue
        found = differences(schema_of(before), schema_of(after))
        assert any(item.breaks for item in found), (old_type, new_type)


def _reads(cls: Any, content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=cls)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(("field_type", "_samples"), SAMPLES, ids=lambda item: str(item)[:40])
def test_a_schema_has_no_differences_from_itself_and_is_json(
    field_type: Any, _samples: list[Any]
) -> None:
    schema = schema_of(struct(field_type))
    again = schema_of(struct(field_type))
    assert schema == again
    assert differences(schema, json.loads(json.dumps(schema))) == []


def told(old: type, new: type) -> list[tuple[bool, str]]:
    return [(item.breaks, str(item)) for item in differences(schema_of(old), schema_of(new))]


@event_type
class First:
    dish: str
    amount: int = 1
    address: Address | None = None


def test_each_difference_names_its_field() -> None:
    @event_type
    class Second:
        chef: str
        amount: float = 2.0
        address: City | None = None
        note: str | None = None

    assert told(First, Second) == [
        (True, "chef is new and has no default: stored events lack it"),
        (True, "address.city was string, and is integer now"),
        (
            True,
            "dish is gone, and had no default: what is stored in it would be dropped unseen",
        ),
        (False, "amount was integer, and is number now"),
        (False, "amount has the default 2.0 now"),
        (False, 'address.zip is new, with the default ""'),
        (False, "note is new, with the default null"),
    ]


def test_a_default_that_is_lost_breaks_and_one_that_is_won_does_not() -> None:
    @event_type
    class Bare:
        amount: int
        dish: str = ""
        address: Address | None = None

    assert told(First, Bare) == [
        (True, "amount has lost its default: older events may lack the field"),
        (False, "dish has a default now"),
    ]


def test_a_field_with_a_default_may_go() -> None:
    @event_type
    class Less:
        dish: str

    assert [breaks for breaks, _ in told(First, Less)] == [False, False]


def test_an_enum_that_loses_a_value_breaks_and_names_it() -> None:
    assert told(struct(Size), struct(OneSize)) == [(True, 'value no longer reads "large"')]
    assert told(struct(OneSize), struct(Size)) == [(False, 'value may be "large" too now')]


def test_a_limit_that_gets_tighter_breaks() -> None:
    loose, tight = SAMPLES[26][0], SAMPLES[27][0]
    assert told(struct(loose), struct(tight)) == [(True, "value has minimum 5 instead of 1")]
    assert told(struct(tight), struct(loose)) == [(False, "value has minimum 1 instead of 5")]
    assert told(struct(tight), struct(int)) == [(False, "value has no minimum any more")]


def test_a_recursive_class_is_compared_once() -> None:
    assert schema_of(Tree)["$ref"] == "#/$defs/Tree"
    found = differences(schema_of(Tree), schema_of(OtherTree))
    assert found == [Difference("name", "was string, and is integer now", True)]


def test_classes_that_recur_through_a_choice_are_compared() -> None:
    assert differences(schema_of(Link), schema_of(Link)) == []
    assert told(Link, OtherLink) == [(False, "other may be integer too now")]
    assert told(OtherLink, Link)[0][0] is True


def test_a_recursive_class_that_is_used_twice_is_defined_once() -> None:
    assert list(schema_of(Wood)["$defs"]) == ["Tree"]


def test_docstrings_and_names_of_classes_are_no_part_of_a_schema() -> None:
    class Same(msgspec.Struct):
        """Documented."""

        city: str
        lines: list[str] = []

    assert schema_of(Same) == schema_of(Address)
