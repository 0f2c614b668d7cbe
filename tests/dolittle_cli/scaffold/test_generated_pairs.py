"""Generates every kind of thing and every pair of kinds, the second upon the first where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from dolittle_cli.main import main

pytestmark = pytest.mark.slow

KINDS = ("event", "value", "aggregate", "handler", "projection", "command", "generation")
AROUND = ("api", "compose", "ci")


def commands(first: str, second: str) -> Iterator[list[str]]:
    """Yield what adds one kind and then another, with all that they stand on.

    A thing is called after the pair, so that all pairs fit into one project.
    """
    pair = f"{first.title()}{second.title()}"
    there: set[str] = set()
    for kind in (first, second):
        if kind in ("handler", "projection", "generation") and "event" not in there:
            yield ["event", f"{pair}Made", "key:str:min_length=1", "count:int:ge=0:default=2"]
            there.add("event")
        if kind == "command" and "aggregate" not in there:
            yield ["aggregate", f"{pair}Root", "key:str", "left:int:ge=0:default=9"]
            there.add("aggregate")
        yield adding(kind, pair, there, "Again" if kind in there else "")
        there.add(kind)


def adding(kind: str, pair: str, there: set[str], again: str) -> list[str]:
    """Return what adds one kind, upon what is there of the same pair."""
    value, event, root = f"{pair}Value", f"{pair}Made", f"{pair}Root"
    has_value, has_event = "value" in there, "event" in there
    applied = [f"{pair}Redone{again}", "key:str", "size:int:multiple_of=5"]
    if has_event and not again:
        applied = [event]
    words = {
        "event": [f"{event}{again}", "key:str:pattern=^[a-z ]+$", "by:enum(a,b)=a",
                  *([f"of:{value}", f"all:list[{value}]:max_length=3"] if has_value else [])],
        "value": [f"{value}{again}", "key:str", "price:Decimal:gt=0",
                  *([f"part:{value}?"] if has_value else [])],
        "aggregate": [f"{root}{again}", "key:str", *([f"held:{value}?"] if has_value else []),
                      *([f"--command=make={event}"] if has_event else [])],
        "handler": [f"{pair}Handler{again}", "--on", event],
        "projection": [f"{pair}View{again}", "key:str", "count:int=0", "--on", event],
        "command": [root, f"redo{again.lower()}", "--event", *applied],
        "generation": [event, f"since{again.lower()}:date?", f"note{again.lower()}:str=x"],
    }  # fmt: skip
    return [kind, *words[kind]]


@pytest.mark.parametrize("first", KINDS)
def test_a_kind_and_every_other_one_after_it(
    tmp_path: Path, check: Callable[[Path], None], first: str
) -> None:
    project = tmp_path / "shop"
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    for second in KINDS:
        for words in commands(first, second):
            assert main(["add", *words, "--project", str(project)]) == 0, words
    for kind in AROUND:
        assert main(["add", kind, "--project", str(project)]) == 0
    check(project)


@pytest.mark.parametrize(("first", "second"), list(product(AROUND, AROUND)))
def test_what_stands_around_the_code_goes_together(tmp_path: Path, first: str, second: str) -> None:
    project = tmp_path / "shop"
    assert main(["new", "microservice", "shop", "--into", str(tmp_path)]) == 0
    for kind in (first, second):
        assert main(["add", kind, "--project", str(project)]) == 0
