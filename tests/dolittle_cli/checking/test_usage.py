from __future__ import annotations

from collections.abc import Callable

from dolittle_cli.checking.findings import Finding

Check = Callable[[str], list[Finding]]

HEAD = """\
from dolittle import (
    AggregateRoot, aggregate_root, event_handler, event_type, handles, on, projection,
)
"""


def found(findings: list[Finding]) -> list[tuple[str, int, str]]:
    return [(item.rule.code, item.line, item.level) for item in findings]


def test_an_event_that_is_not_in_the_past_tense_is_a_warning(check: Check) -> None:
    findings = check(HEAD + "@event_type(public=True)\nclass PrepareDish: ...\n")
    assert found(findings) == [("DLT201", 5, "warning")]
    assert "DishPrepared" in findings[0].fix
    assert '@event_type("PrepareDish")' in findings[0].fix


def test_the_stored_id_of_a_renamed_event_is_kept_in_the_fix(check: Check) -> None:
    [finding] = check(HEAD + '@event_type("prep-1", public=True)\nclass PrepareDish: ...\n')
    assert '@event_type("prep-1")' in finding.fix


def test_an_event_that_nobody_takes_is_a_note_unless_it_is_public(check: Check) -> None:
    findings = check(
        HEAD
        + """\
@event_type
class DishPrepared: ...

@event_type(public=True)
class OrderTaken: ...

@event_type
class DishEaten: ...

@aggregate_root
class Kitchen(AggregateRoot):
    def eat(self):
        self.apply(DishEaten())

    @on(DishEaten)
    def on_eaten(self, event): ...
"""
    )
    assert found(findings) == [("DLT202", 5, "note"), ("DLT202", 11, "note")]
    assert findings[0].message == "no handler or projection takes DishPrepared"
    assert findings[1].message.endswith(", only its aggregate folds it")


HANDLED = (
    HEAD
    + """\
@event_type("dish-1")
class DishPrepared: ...

@event_handler
class Announcer:
    @handles(DishPrepared)
    def announce(self, event): ...

@projection
class Counter:
    @on(DishPrepared)
    def count(self, event): ...
"""
)


def test_a_method_for_an_event_that_nobody_emits_is_a_warning(check: Check) -> None:
    findings = check(HANDLED)
    assert found(findings) == [("DLT203", 10, "warning"), ("DLT203", 15, "warning")]
    assert "Announcer.announce takes DishPrepared" in findings[0].message


def test_an_event_counts_as_emitted_where_it_is_made_or_named(check: Check) -> None:
    assert check(HANDLED + "def f(shop):\n    return shop.commit(DishPrepared())\n") == []
    assert check(HANDLED + 'def f(x):\n    x.append_by_name([("dish-1", "s", {})])\n') == []
    assert check(HANDLED + 'def f(x):\n    x.append_by_name([("DishPrepared", "s", {})])\n') == []


def test_a_comment_in_the_line_silences_a_finding_by_its_code(check: Check) -> None:
    quiet = HANDLED.replace("event): ...", "event): ...  # dolittle: ignore[DLT202, DLT203]")
    assert check(quiet) == []
    other = HANDLED.replace("event): ...", "event): ...  # dolittle: ignore[DLT201]")
    assert len(check(other)) == 2
