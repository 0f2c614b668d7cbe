from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolittle_cli.python_source import PythonSource


class Size(enum.Enum):
    SMALL = "small"


class Dish(msgspec.Struct, frozen=True):
    name: str
    sizes: list[Size] = []


def run(source: PythonSource, text: str) -> Any:
    namespace: dict[str, Any] = {"Dish": Dish, "Size": Size}
    lines = [line for line in source.import_lines("none").splitlines() if __name__ not in line]
    exec("\n".join([*lines, f"found = {text}"]), namespace)
    return namespace["found"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -1.5,
        "",
        'a"b\\n\u2028\x00',
        Decimal("1.50"),
        UUID(int=7),
        date(2026, 1, 31),
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
        timedelta(minutes=5),
        Dish("Taco", [Size.SMALL]),
        {"a": [1, {"b": None}], "c": []},
    ],
)
def test_source_says_the_value_it_was_made_of(value: Any) -> None:
    source = PythonSource()
    assert run(source, source.value(value)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_source_says_any_json_value(value: Any) -> None:
    source = PythonSource()
    assert run(source, source.value(value)) == value


def test_imports_stand_in_groups() -> None:
    source = PythonSource({"kitchen.events": {"Dish"}, "dolittle.testing": {"given"}})
    source.value(datetime(2026, 1, 31, tzinfo=UTC))
    assert source.import_lines("kitchen") == (
        "from datetime import UTC, datetime\n\n"
        "from dolittle.testing import given\n\n"
        "from kitchen.events import Dish"
    )
    names = {f"AnEventWithAVeryLongName{number}" for number in range(4)}
    assert PythonSource({"kitchen.events": names}).import_lines("kitchen").count("\n") == 5


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(TypeError, match="a object cannot be written"):
        PythonSource().value(object())
