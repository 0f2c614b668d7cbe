"""Walks at random through a project: add, edit, rename, remove, undo, update; and checks it.

``make walk COUNT=10 SEED=7`` walks longer; each walk names the seed that repeats it.
"""

from __future__ import annotations

import ast
import os
import random
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dolittle_cli.main import main

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("WALK_COUNT", "1"))
SEED = int(os.environ.get("WALK_SEED", "1"))
STEPS = int(os.environ.get("WALK_STEPS", "20"))
CHECKED_EVERY = int(os.environ.get("WALK_CHECKED_EVERY", "10"))

DONE, REFUSED = (0,), (1, 2)
CONFLICTS_LEFT = 3
NOUNS = ("Order", "Dish", "Guest", "Table", "Bill", "Cook", "Menu", "Tip")
PASTS = ("Placed", "Paid", "Moved", "Closed", "Sent")
FIELDS = (
    "name:str", "note:str?", "total:Decimal:ge=0", "count:int:ge=1:default=2", "tags:list[str]=[]",
    "status:enum(new,paid)=new", "at:datetime", "day:date?", "key:UUID", "urgent:bool=false",
    "email:str:pattern=^[^@ ]+@[^@ ]+$:max_length=60", "per:dict[str,int]={}", "weight:float?",
)  # fmt: skip
FOLDERS = {
    "event": "events", "aggregate": "aggregates", "handler": "handlers",
    "projection": "projections", "value": "values",
}  # fmt: skip


@dataclass
class Walk:
    """One walk, and what it did so far."""

    project: Path
    chance: random.Random
    done: list[str] = field(default_factory=list)

    def step(self) -> None:
        """Do one thing at random; what is refused is fine, as long as it is refused politely."""
        steps: list[Callable[[], list[str] | None]] = [
            *[self.event, self.value, self.aggregate, self.handler, self.projection] * 2,
            *[self.command, self.generation] * 3,
            self.around, self.again, self.edit, self.edit, self.rename, self.rename, self.remove,
            self.undo, self.update,
        ]  # fmt: skip
        begins = {0: self.event, 1: self.aggregate}
        words = begins.get(len(self.done), self.chance.choice(steps))()
        if words is None:
            return
        code = self.run(words)
        assert code in (*DONE, *REFUSED, CONFLICTS_LEFT), code
        if code == CONFLICTS_LEFT:
            assert self.run(["undo"]) == 0

    def run(self, words: list[str]) -> int:
        code = main([*words, "--project", str(self.project)])
        self.done.append(f"{shlex.join(words)}  # {code}")
        return code

    def names(self, kind: str) -> list[str]:
        """Return the classes of a kind, as they stand in its folder."""
        folder = self.project / "cafe" / FOLDERS[kind]
        trees = [ast.parse(path.read_text()) for path in sorted(folder.glob("[a-z]*.py"))]
        return [
            node.name
            for tree in trees
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.decorator_list
        ]

    def pick(self, kind: str) -> str:
        found = self.names(kind)
        return self.chance.choice(found) if found else "Nothing"

    def fields(self) -> list[str]:
        values = self.names("value")
        pool = list(FIELDS)
        pool += [f"of:{name}?" for name in values] + [f"all:list[{name}]=[]" for name in values]
        return self.chance.sample(pool, self.chance.randint(1, 4))

    def event(self) -> list[str]:
        name = self.chance.choice(NOUNS) + self.chance.choice(PASTS)
        return ["add", "event", name, *self.fields()]

    def value(self) -> list[str]:
        return ["add", "value", f"{self.chance.choice(NOUNS)}Part", *self.fields()]

    def aggregate(self) -> list[str]:
        fields = [item for item in self.fields() if item.partition(":")[0] not in ("at", "key")]
        commands = [f"--command=do_it={self.pick('event')}"] if self.chance.random() < 0.6 else []
        return ["add", "aggregate", f"{self.chance.choice(NOUNS)}Root", *fields, *commands]

    def handler(self) -> list[str]:
        name = f"{self.chance.choice(NOUNS)}Handler"
        return ["add", "handler", name, "--on", self.pick("event")]

    def projection(self) -> list[str]:
        name = f"{self.chance.choice(NOUNS)}View"
        return ["add", "projection", name, "count:int=0", "--on", self.pick("event")]

    def command(self) -> list[str]:
        verb = self.chance.choice(("prepare", "cancel", "pay", "carry"))
        method = f"{verb}_{self.chance.choice(NOUNS).lower()}"
        given = ["--event", self.pick("event")] if self.chance.random() < 0.3 else self.fields()
        return ["add", "command", self.pick("aggregate"), method, *given]

    def generation(self) -> list[str]:
        number = self.chance.randint(1, 99)
        new = self.chance.choice((f"new{number}:str=x", f"new{number}:int:ge=1:default=4",
                                  f"new{number}:date?", f"new{number}:enum(a,b)=b"))  # fmt: skip
        return ["add", "generation", self.pick("event"), new]

    def around(self) -> list[str]:
        return ["add", self.chance.choice(("api", "compose", "ci"))]

    def again(self) -> list[str] | None:
        """Repeat something that was added, with a field more that may be absent."""
        added = [line.partition("  #")[0] for line in self.done if line.startswith("add value")]
        # A value object in use is left alone: the tests of what is stored with it would tell.
        folder = self.project / "cafe"
        text = "".join(
            path.read_text() for path in folder.rglob("*.py") if "values" not in str(path)
        )
        unused = [words for line in added if (words := shlex.split(line))[2] not in text]
        if not unused:
            return None
        words = self.chance.choice(unused)
        return [*words, f"more{self.chance.randint(1, 99)}:int=1"]

    def edit(self) -> None:
        """Edit a generated file as its owner might."""
        files = sorted((self.project / "cafe").rglob("[a-z]*.py"))
        files = [path for path in files if path.parent.name in FOLDERS.values()]
        if not files:
            return
        path = self.chance.choice(files)
        text = path.read_text()
        number = len(self.done)
        name = f"explain_{number}"
        method = f'\n    def {name}(self) -> str:\n        return "{number}"\n'
        kind = next(kind for kind, folder in FOLDERS.items() if folder == path.parent.name)
        is_last = not text.rstrip("\n").rpartition("\n")[2].startswith(("return", "}"))
        if kind in ("handler", "projection") and is_last and self.chance.random() < 0.5:
            path.write_text(f"{text}{method}")
        else:
            path.write_text(text.replace('."""\n', f'; changed {number} times."""\n', 1))
        self.done.append(f"# edited {path.relative_to(self.project)}")

    def rename(self) -> list[str]:
        kind = self.chance.choice(tuple(FOLDERS))
        old = self.pick(kind)
        return ["rename", kind, old, f"{old}{self.chance.choice(('Too', 'Also', 'Anew'))}"]

    def remove(self) -> list[str]:
        kind = self.chance.choice(tuple(FOLDERS))
        return ["remove", kind, self.pick(kind)]

    def undo(self) -> list[str]:
        return ["undo"]

    def update(self) -> list[str]:
        return ["update"]


@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_a_project_passes_its_own_checks_wherever_a_walk_leads(
    tmp_path: Path,
    check: Callable[[Path], None],
    seed: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where the project has ruff, a rename sorts imports and breaks lines with it.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    assert main(["new", "microservice", "cafe", "--into", str(tmp_path)]) == 0
    walk = Walk(tmp_path / "cafe", random.Random(seed))
    try:
        for number in range(1, STEPS + 1):
            walk.step()
            err = capsys.readouterr().err
            assert "repeat with `dolittle --debug" not in err, err
            if number % CHECKED_EVERY == 0 or number == STEPS:
                check(walk.project)
    except BaseException:
        print("\n".join([f"WALK_SEED={seed}", *walk.done]))
        raise
