from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from dolittle_cli.checking.findings import Finding

Check = Callable[[str], list[Finding]]

KITCHEN = """\
import asyncio, os, random, secrets, socket, subprocess, sys, time, uuid
import datetime as dt
import urllib.request
from datetime import UTC, date, datetime
from pathlib import Path
from random import randint
import requests
from dolittle import AggregateRoot, aggregate_root, event_handler, event_type, handles, on
from dolittle import RuleViolation, projection, upcaster

@event_type(public=True)
class DishPrepared:
    dish: str
    seed: int = 0

def stamp():
    return datetime.now(UTC)

class Shared(AggregateRoot):
    log: list[str] = []

    def _remember(self, text):
        self.log.append(text)

@aggregate_root
class Kitchen(Shared):
    count: int = 0
    tags: set[str] = set()
    last: dict[str, str] = {}
    anything = None

    def prepare(self, dish: str) -> None:
        self.apply(DishPrepared(dish=dish))
COMMAND

    @on(DishPrepared)
    def on_prepared(self, event: DishPrepared) -> None:
        self.count += 1
FOLD

    def _helper(self) -> None:
        self.count = time.time()

    def _apply_more(self) -> None:
        self.apply(DishPrepared(dish="more"))
"""


def kitchen(*, fold: str = "pass", command: str = "pass") -> str:
    return KITCHEN.replace("FOLD", textwrap.indent(fold, " " * 8)).replace(
        "COMMAND", textwrap.indent(command, " " * 8)
    )


@pytest.mark.parametrize(
    ("fold", "what"),
    [
        ("self.at = datetime.now(UTC)", "reads the clock: datetime.datetime.now"),
        ("self.at = dt.datetime.utcnow()", "reads the clock: datetime.datetime.utcnow"),
        ("self.at = date.today()", "reads the clock: datetime.date.today"),
        ("self.at = time.monotonic()", "reads the clock: time.monotonic"),
        ("self.at = stamp()", "reads the clock through stamp: datetime.datetime.now"),
        ("self._helper()", "reads the clock through _helper: time.time"),
        ("clock = time.time", "reads the clock: time.time"),
        ("self.n = randint(1, 6)", "takes a random value: random.randint"),
        ("self.n = random.choice([1])", "takes a random value: random.choice"),
        ("self.n = uuid.uuid4()", "takes a random value: uuid.uuid4"),
        ("self.n = secrets.token_hex()", "takes a random value: secrets.token_hex"),
        ("self.n = hash(event.dish)", "takes a random value: hash"),
        ("self.n = os.environ['X']", "reads the environment: os.environ"),
        ("self.n = os.getenv('X')", "reads the environment: os.getenv"),
        ("self.n = sys.argv[0]", "reads the environment: sys.argv"),
        ("self.n = open('x').read()", "does input or output: open"),
        ("self.n = Path('x').read_text()", "does input or output: pathlib.Path.read_text"),
        ("subprocess.run(['ls'])", "does input or output: subprocess.run"),
        ("self.n = requests.get('x')", "uses the network: requests.get"),
        ("urllib.request.urlopen('x')", "uses the network: urllib.request.urlopen"),
        ("socket.create_connection(('x', 1))", "uses the network: socket.create_connection"),
        ("from time import time as now\nself.n = now()", "reads the clock: time.time"),
    ],
)
def test_a_fold_that_looks_outside_is_an_error(check: Check, fold: str, what: str) -> None:
    [finding] = check(kitchen(fold=fold))
    assert (finding.rule.code, finding.level) == ("DLT301", "error")
    assert finding.message == f"Kitchen.on_prepared {what}"


@pytest.mark.parametrize(
    "fold",
    [
        "self.n = random.Random(event.seed).random()",
        "self.n = uuid.uuid5(uuid.NAMESPACE_DNS, event.dish)",
        "self.n = datetime(2026, 1, 1, tzinfo=UTC)",
        "self.n = os.path.join('a', 'b')",
        "time = event\nself.n = time.time",
        "self.n = Path('x').name",
        "self.n = [random for random in event.dish]",
    ],
)
def test_a_fold_that_only_computes_is_left_alone(check: Check, fold: str) -> None:
    assert check(kitchen(fold=fold)) == []


def test_a_fold_that_prints_is_a_warning(check: Check) -> None:
    [finding] = check(kitchen(fold="print(event.dish)"))
    assert (finding.rule.code, finding.level) == ("DLT301", "warning")


def test_projections_keys_and_upcasters_are_folds_too(check: Check) -> None:
    findings = check(
        kitchen()
        + """\
@projection
class Counter:
    @on(DishPrepared, key=lambda event, context: str(time.time()))
    def count(self, event):
        self.at = datetime.now(UTC)

@upcaster(DishPrepared, from_generation=1)
def add_id(content):
    return {**content, "id": uuid.uuid4().hex}

@event_handler
class Free:
    @handles(DishPrepared)
    def work(self, event):
        time.sleep(1)
"""
    )
    assert [item.message for item in findings] == [
        "Counter.count reads the clock: time.time",
        "Counter.count reads the clock: datetime.datetime.now",
        "add_id takes a random value: uuid.uuid4",
    ]


def test_a_fold_that_applies_an_event_is_an_error(check: Check) -> None:
    for fold, through in (
        ("self.apply(DishPrepared(dish='again'))", ""),
        ("self._apply_more()", " through _apply_more"),
    ):
        [finding] = check(kitchen(fold=fold))
        assert (finding.rule.code, finding.level) == ("DLT302", "error")
        assert finding.message == f"Kitchen.on_prepared applies an event{through}"


def test_a_fold_that_raises_is_a_warning(check: Check) -> None:
    [finding] = check(kitchen(fold="raise RuleViolation('no')"))
    assert (finding.rule.code, finding.level) == ("DLT303", "warning")


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ("self.count = 1", "self.count"),
        ("self.count += 1", "self.count"),
        ("self.count: int = 1", "self.count"),
        ("self.count, x = 1, 2", "self.count"),
        ("[x, *self.log] = [1, 2]", "self.log"),
        ("for self.count in range(3): pass", "self.count"),
        ("del self.last['x']", "self.last"),
        ("self.last['x'] = '1'", "self.last"),
        ("self.log.append('x')", "self.log"),
        ("self.tags.add('x')", "self.tags"),
        ("self.last.update(x='1')", "self.last"),
        ("self.anything.append(1)", "self.anything"),
        ("self._remember('x')", "self.log through _remember"),
        ("setattr(self, 'count', 1)", "a field of self"),
    ],
)
def test_a_command_that_changes_a_field_is_an_error(check: Check, command: str, field: str) -> None:
    [finding] = check(kitchen(command=command))
    assert (finding.rule.code, finding.level) == ("DLT304", "error")
    assert finding.message == f"Kitchen.prepare changes {field}"


@pytest.mark.parametrize(
    "command",
    [
        "count = self.count\ncount += 1",
        "copy = list(self.log)\ncopy.append('x')",
        "self.count: int",
        "self.anything.add(1)",
        "other = dish\nother.count = 1",
        "x = self.log.copy()",
        "x = self.last.get('x')",
    ],
)
def test_a_command_that_only_looks_is_left_alone(check: Check, command: str) -> None:
    assert check(kitchen(command=command)) == []


def test_a_helper_that_only_folds_use_may_change_fields(check: Check) -> None:
    assert check(kitchen(fold="self._remember('x')")) == []


def test_findings_name_the_line(check: Check) -> None:
    source = kitchen(command="self.count = 1")
    [finding] = check(source)
    assert source.splitlines()[finding.line - 1].strip() == "self.count = 1"
