from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolittle import event_type, upcaster
from dolittle.runtime.definition import Definition, define
from dolittle_cli.checking.lock import (
    Comparison,
    Lock,
    LockDamaged,
    compare_lock,
    declared_types,
    locked,
    read_lock,
    write_lock,
)


def declare(source: str) -> Definition:
    """Run declarations and return their definition."""
    names: dict[str, Any] = {"event_type": event_type, "upcaster": upcaster, "__name__": __name__}
    exec(source, names)
    kept = ("event_type", "upcaster")
    declared = [v for k, v in names.items() if hasattr(v, "__dolittle__") and k not in kept]
    return define("shop", declared)


ONE = "@event_type\nclass DishPrepared:\n    dish: str\n    amount: int = 1\n"
TWO = ONE + "@event_type('order-1')\nclass OrderTaken:\n    guests: int\n"


def lock_of(source: str, before: Lock | None = None) -> Lock:
    return locked(declared_types(declare(source)), before)


def compare(before: str | Lock, after: str) -> Comparison:
    lock = lock_of(before) if isinstance(before, str) else before
    return compare_lock(lock, declared_types(declare(after)), Path("event-types.lock"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "event-types.lock"
    assert read_lock(path) is None
    write_lock(path, lock_of(TWO))
    assert read_lock(path) == lock_of(TWO)
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_the_same_whatever_the_order_and_has_no_paths(tmp_path: Path) -> None:
    first, second = tmp_path / "a.lock", tmp_path / "b.lock"
    write_lock(first, lock_of(TWO.replace("guests: int", "guests: int\n    at: str")))
    dish, order = TWO.split("@event_type('order-1')")
    swapped = "@event_type('order-1')" + order + dish
    write_lock(second, lock_of(swapped.replace("guests: int", "at: str\n    guests: int")))
    assert first.read_text() == second.read_text()
    assert first.read_text().endswith("}\n")
    assert str(tmp_path) not in first.read_text()
    assert list(json.loads(first.read_text())["event_types"]) == ["DishPrepared", "order-1"]


def test_the_same_code_has_no_findings() -> None:
    assert compare(TWO, TWO).findings == ()


def test_a_new_event_type_is_no_break_and_goes_into_the_mended_lock() -> None:
    compared = compare(ONE, TWO)
    [finding] = compared.findings
    assert (finding.rule.code, finding.level) == ("DLT404", "warning")
    assert "event type OrderTaken is new" in finding.message
    assert compared.mended == lock_of(TWO)


def test_a_new_field_with_a_default_is_no_break() -> None:
    compared = compare(ONE, ONE + "    note: str = ''\n")
    [finding] = compared.findings
    assert finding.rule.code == "DLT404"
    assert finding.message == 'event type DishPrepared: note is new, with the default ""'
    assert compared.mended == lock_of(ONE + "    note: str = ''\n")


def test_a_break_names_event_type_and_field_and_is_not_mended() -> None:
    changed = TWO.replace("dish: str", "dish: str\n    chef: str").replace("guests: int", "g: str")
    compared = compare(TWO, changed)
    assert [item.level for item in compared.findings] == ["error"] * 3
    assert [item.message for item in compared.findings] == [
        "event type DishPrepared: chef is new and has no default: stored events lack it",
        "event type OrderTaken: g is new and has no default: stored events lack it",
        "event type OrderTaken: guests is gone, and had no default: what is stored in it would "
        "be dropped unseen",
    ]
    assert "dolittle add generation DishPrepared" in compared.findings[0].fix
    assert compared.findings[0].line > 0
    assert compared.mended == lock_of(TWO)


NEXT = """\
@event_type(generation=2)
class DishPrepared:
    dish: str
    chef: str

@upcaster(DishPrepared, from_generation=1)
def add_chef(content):
    return {**content, "chef": "Ann"}
"""


def test_a_new_generation_may_have_any_shape_and_the_older_one_stays_locked() -> None:
    compared = compare(ONE, NEXT)
    [finding] = compared.findings
    assert finding.rule.code == "DLT404"
    assert "the new generation 2" in finding.message
    generations = compared.mended.event_types["DishPrepared"]
    assert list(generations) == [1, 2]
    assert generations[1] == lock_of(ONE).event_types["DishPrepared"][1]


def test_a_generation_that_goes_back_is_an_error() -> None:
    compared = compare(lock_of(NEXT, lock_of(ONE)), ONE)
    [finding] = compared.findings
    assert (finding.rule.code, finding.level) == ("DLT406", "error")
    assert "is generation 1, and generation 2 is locked" in finding.message


def test_an_event_type_that_is_gone_is_a_warning_and_stays_locked() -> None:
    compared = compare(TWO, ONE)
    [finding] = compared.findings
    assert (finding.rule.code, finding.level) == ("DLT405", "warning")
    assert "'order-1'" in finding.message
    assert compared.mended == lock_of(TWO)


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        (lambda text: text.replace('"integer"', '"string"'), "it was changed by hand", 4),
        (lambda text: text.replace('"order-1"', '"order-2"'), "it was changed by hand", 0),
        (lambda text: text.replace('"digest"', '"digets"'), "it was changed by hand", 4),
        (lambda text: text.replace('"1": {', '"one": {', 1), "has the generation 'one'", 4),
        (lambda text: text[:-20], "it is no JSON", 0),
        (lambda text: "<<<<<<< HEAD\n" + text, "it is no JSON", 1),
        (lambda text: text.replace('"format": 1', '"format": 9'), "its format is 9", 0),
        (lambda text: "[]", "its format is None", 0),
        (lambda text: '{"format": 1}', "it has no event_types", 0),
        (lambda text: '{"format": 1, "event_types": {"x": {}}}', "'x' has no generations", 0),
    ],
)
def test_a_lock_that_was_changed_or_damaged_is_refused(
    tmp_path: Path, change: Any, reason: str, line: int
) -> None:
    path = tmp_path / "event-types.lock"
    write_lock(path, lock_of(TWO))
    path.write_text(change(path.read_text()))
    with pytest.raises(LockDamaged, match=reason) as refused:
        read_lock(path)
    if line:
        assert refused.value.line == line


def test_a_lock_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "event-types.lock"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LockDamaged, match="it is no text"):
        read_lock(path)


def test_two_branches_that_each_add_an_event_type_merge(tmp_path: Path) -> None:
    path = tmp_path / "event-types.lock"
    write_lock(path, lock_of(ONE))
    ours = json.loads(path.read_text())
    write_lock(path, lock_of(TWO))
    theirs = json.loads(path.read_text())
    ours["event_types"] |= theirs["event_types"]
    path.write_text(json.dumps(ours))
    assert read_lock(path) == lock_of(TWO)
