from __future__ import annotations

from pathlib import Path

import pytest

from dolittle.errors import Unknown
from dolittle_cli.aliases import read_aliases

SOURCE = """
import dolittle
from dolittle import event_type

@event_type("dish-prepared")
class DishPrepared: ...

@event_type("dish-prepared", generation=2, public=True)
class DishPreparedByHand: ...

@event_type
class OrderTaken: ...

@dolittle.event_type()
class OrderPaid: ...

@event_type(SOME_NAME)
class Elsewhere: ...

class NoEvent: ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "kitchen" / "events"
    package.mkdir(parents=True)
    (package / "dishes.py").write_text(SOURCE)
    return tmp_path


def test_aliases_are_read_from_literals_in_the_source(project: Path) -> None:
    aliases = read_aliases(project, "kitchen")
    assert aliases.alias("OrderTaken") == "OrderTaken"
    assert aliases.alias("OrderPaid") == "OrderPaid"
    assert "NoEvent" not in aliases.by_id


def test_the_newest_generation_gives_the_alias(project: Path) -> None:
    written = read_aliases(project, "kitchen").by_id["dish-prepared"]
    assert (written.alias, written.generation, written.public) == ("DishPreparedByHand", 2, True)


def test_an_id_without_a_class_is_shown_as_it_is(project: Path) -> None:
    assert read_aliases(project, "kitchen").alias("gone") == "gone"


def test_a_package_under_src_is_found(tmp_path: Path) -> None:
    package = tmp_path / "src" / "kitchen"
    package.mkdir(parents=True)
    (package / "dishes.py").write_text(SOURCE)
    assert "OrderTaken" in read_aliases(tmp_path, "kitchen").by_id


def test_a_file_that_does_not_parse_is_named_and_the_others_are_read(project: Path) -> None:
    broken = project / "kitchen" / "broken.py"
    broken.write_text("from dolittle import event_type\n@event_type\nclass :\n")
    aliases = read_aliases(project, "kitchen")
    assert "OrderTaken" in aliases.by_id
    [problem] = aliases.unread
    assert problem.startswith(f"{broken}:3: ")


def test_type_id_takes_aliases_declared_ids_and_stored_ids(project: Path) -> None:
    aliases = read_aliases(project, "kitchen")
    assert aliases.type_id("DishPreparedByHand", {}) == "dish-prepared"
    assert aliases.type_id("dish-prepared", {}) == "dish-prepared"
    assert aliases.type_id("gone", {"gone": 3}) == "gone"


def test_type_id_refuses_a_name_that_nothing_has_with_a_suggestion(project: Path) -> None:
    with pytest.raises(Unknown) as refused:
        read_aliases(project, "kitchen").type_id("OrderTakn", {})
    assert refused.value.hint == "did you mean OrderTaken?"
