"""Layout and imports, held against the formatter and the linter that generated projects use."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from dolittle_cli.scaffold.imports import Import, import_block
from dolittle_cli.scaffold.layout import (
    Group,
    Node,
    assignment,
    call,
    definition,
    keyword,
    statement,
)

STATEMENTS = 600
"""Made-up statements in one run of the formatter: starting it costs more than formatting."""


def ruff(text: str, *words: str) -> str:
    command = [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length=100"]
    done = subprocess.run(
        [*command, "--no-cache", "--stdin-filename=x.py", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",  # where no folder makes a package look like the project's own
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Maker:
    """Makes up expressions of all lengths, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def _name(self) -> str:
        return "n" + ("abcdefg_" * 5)[: self._random.randint(0, 39)]

    def value(self, depth: int = 2) -> Node:
        kind = self._random.choice(["name", "text", "number", "list", "dict", "call"])
        if kind == "name" or (depth == 0 and kind in ("list", "dict", "call")):
            return self._name()
        if kind == "text":
            return f'"{self._name()}"'
        if kind == "number":
            return "3"
        if kind == "list":
            return Group("[", (self.value(depth - 1),), "]", "collection")
        if kind == "dict":
            entry = self.value(depth - 1)
            if isinstance(entry, Group):
                entry = Group(f'"k": {entry.opening}', entry.items, entry.closing, entry.kind)
            else:
                entry = f'"k": {entry}'
            return Group("{", (entry,), "}", "collection")
        return self.call(depth - 1)

    def call(self, depth: int) -> Group:
        count = self._random.randint(0, 6)
        return call(
            self._name(), [keyword(f"{self._name()}{i}", self.value(depth)) for i in range(count)]
        )

    def statement(self) -> str:
        kind = self._random.choice(["assign", "apply", "def", "field", "method"])
        if kind == "assign":
            return statement("    event = ", self.value())
        if kind == "apply":
            return statement("    ", call("self.apply", [self.call(1)]))
        if kind == "def":
            count = self._random.randint(1, 6)
            parameters = [f"{self._name()}{i}: int" for i in range(count)]
            head = statement("    ", definition(self._name(), parameters), " -> None:")
            return f"\n{head}\n        pass\n"
        if kind == "field":
            return assignment(f"    {self._name()}: int = ", self._name())
        first: list[Node] = [f"Kitchen.{self._name()}"]
        arguments = self.call(1).items
        return statement("    done = ", call('given(K, "a source").when', [*first, *arguments]))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_laid_out_is_left_alone_by_the_formatter(seed: int) -> None:
    maker = Maker(seed)
    body = "\n".join(maker.statement() for _ in range(STATEMENTS))
    # The formatter's own word on blank lines is not what is tried here.
    text = ruff(f"def f():\n{body}\n", "format")
    plain = [line for line in f"def f():\n{body}\n".splitlines() if line]
    assert [line for line in text.splitlines() if line] == plain


def test_a_short_statement_stays_on_its_line() -> None:
    assert statement("    x = ", call("f", ["a", "b"])) == "    x = f(a, b)"
    assert statement("x = ", "a") == "x = a"
    assert statement("x = ", call("f", []), "  # no") == "x = f()  # no"


@pytest.mark.parametrize("seed", range(10))
def test_imports_are_sorted_as_the_linter_wants(seed: int) -> None:
    random = Random(seed)
    modules = ["datetime", "logging", "uuid", "dolittle", "dolittle.testing", "pytest"]
    modules += [f"shop.events.{name}" for name in ("a", "a_b", "ab", "a2", "a10", "z_" * 20)]
    names = ["UTC", "UUID", "A", "Ab", "AB", "B2", "B10", "a", "date", "datetime", "Xy" * 15]
    names += ["A as Z", "Ab as ab", "date as B", "B2 as X"]
    imports: list[Import] = [("logging", ""), ("datetime", "")]
    imports += [
        (module, name)
        for module in random.sample(modules, 8)
        for name in random.sample(names, random.randint(1, 9))
    ]
    random.shuffle(imports)
    text = import_block([*imports, *imports], "shop") + "\n"
    config = "lint.isort.known-first-party=['shop']"
    ruff(text, "check", "--select=I", "--config", config)
    assert ruff(text, "format") == text
