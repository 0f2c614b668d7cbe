"""Chooses a walk's next step at random, from what there is in the project at the moment."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dolittle
from tests.walk.steps import REPEATABLE, Deleted, Edited, Step, Typed, words_in

NOUNS: Final = ("Order", "Dish", "Guest", "Table", "Bill", "Cook", "Menu", "Tip")
PASTS: Final = ("Placed", "Paid", "Moved", "Closed", "Sent")
FIELDS: Final = (
    "name:str", "note:str?", "total:Decimal:ge=0", "count:int:ge=1:default=2", "tags:list[str]=[]",
    "status:enum(new,paid)=new", "at:datetime", "day:date?", "key:UUID", "urgent:bool=false",
    "email:str:pattern=^[^@ ]+@[^@ ]+$:max_length=60", "per:dict[str,int]={}", "weight:float?",
)  # fmt: skip
FOLDERS: Final = {
    "event": "events", "aggregate": "aggregates", "handler": "handlers",
    "projection": "projections", "value": "values",
}  # fmt: skip
AGAIN_SHARE: Final = 0.1
UNDO_SHARE: Final = 0.1
"""How many of the commands are typed again, or taken back, at once."""


@dataclass
class Moves:
    """What may come next in a walk.

    Attributes:
        project: The folder of the microservice.
        chance: Where its luck comes from.
        done: The steps so far.
        updates: How many versions of dolittle the walk has moved on.
    """

    project: Path
    chance: random.Random
    done: list[Step] = field(default_factory=list)
    updates: int = 0

    def next(self) -> Step | None:
        """Return the next step; ``None``: there is nothing to do what luck has chosen with."""
        moves: list[Callable[[], list[str] | Step | None]] = [
            *[self.event, self.value, self.aggregate, self.handler, self.projection] * 2,
            *[self.command, self.generation] * 3,
            *[self.edit, self.edit, self.edit_more, self.edit_test],
            *[self.again, self.again, self.rename, self.rename],
            *[self.remove, self.undo, self.update, self.update, self.around, self.delete],
            *[self.template],
        ]
        begins = {0: self.event, 1: self.aggregate}
        made = begins.get(len(self.done), self.chance.choice(moves))()
        if not isinstance(made, list):
            return made
        luck, then = self.chance.random(), ""
        if luck < AGAIN_SHARE and made[0] == "add" and made[1] in REPEATABLE:
            then = "again"
        elif AGAIN_SHARE <= luck < AGAIN_SHARE + UNDO_SHARE and made[0] != "undo":
            then = "undo"
        return Typed(tuple(made), self.version, then)

    @property
    def version(self) -> str:
        """The version that dolittle says it has."""
        return f"{dolittle.__version__}.{self.updates}" if self.updates else dolittle.__version__

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
        """Return one of the classes of a kind, or the name of one that is not there."""
        found = self.names(kind)
        return self.chance.choice(found) if found else "Nothing"

    def fields(self) -> list[str]:
        """Return some fields as they are typed."""
        values = self.names("value")
        pool = list(FIELDS)
        pool += [f"of:{name}?" for name in values] + [f"all:list[{name}]=[]" for name in values]
        return self.chance.sample(pool, self.chance.randint(1, 4))

    def event(self) -> list[str]:
        """Add an event, perhaps one that is there."""
        name = self.chance.choice(NOUNS) + self.chance.choice(PASTS)
        return ["add", "event", name, *self.fields()]

    def value(self) -> list[str]:
        """Add a value object."""
        return ["add", "value", f"{self.chance.choice(NOUNS)}Part", *self.fields()]

    def aggregate(self) -> list[str]:
        """Add an aggregate, perhaps with a command."""
        fields = [item for item in self.fields() if item.partition(":")[0] not in ("at", "key")]
        commands = [f"--command=do_it={self.pick('event')}"] if self.chance.random() < 0.6 else []
        return ["add", "aggregate", f"{self.chance.choice(NOUNS)}Root", *fields, *commands]

    def handler(self) -> list[str]:
        """Add a handler."""
        name = f"{self.chance.choice(NOUNS)}Handler"
        return ["add", "handler", name, "--on", self.pick("event")]

    def projection(self) -> list[str]:
        """Add a projection."""
        name = f"{self.chance.choice(NOUNS)}View"
        return ["add", "projection", name, "count:int=0", "--on", self.pick("event")]

    def command(self) -> list[str]:
        """Add a command to an aggregate, with an event of its own or one that is there."""
        verb = self.chance.choice(("prepare", "cancel", "pay", "carry"))
        method = f"{verb}_{self.chance.choice(NOUNS).lower()}"
        given = ["--event", self.pick("event")] if self.chance.random() < 0.3 else self.fields()
        return ["add", "command", self.pick("aggregate"), method, *given]

    def generation(self) -> list[str]:
        """Give an event its next generation."""
        number = self.chance.randint(1, 99)
        new = self.chance.choice((f"new{number}:str=x", f"new{number}:int:ge=1:default=4",
                                  f"new{number}:date?", f"new{number}:enum(a,b)=b"))  # fmt: skip
        return ["add", "generation", self.pick("event"), new]

    def around(self) -> list[str]:
        """Add what stands around the code."""
        return ["add", self.chance.choice(("api", "compose", "ci"))]

    def again(self) -> list[str] | None:
        """Repeat something that was added, with something more."""
        added = [
            [*step.words]
            for step in self.done
            if isinstance(step, Typed) and step.words[0] == "add" and step.words[1] in REPEATABLE
        ]
        # A value object in use is left alone: the tests of what is stored with it would tell.
        used = self._words_outside_of_values()
        added = [words for words in added if words[1] != "value" or words[2] not in used]
        if not added:
            return None
        words = self.chance.choice(added)
        if words[1] in ("handler", "projection"):
            return [*words, self.pick("event")]
        return [*words[:3], f"more{self.chance.randint(1, 99)}:int=1", *words[3:]]

    def edit(self) -> Step | None:
        """Edit a generated module as its owner might: a docstring, or one more method."""
        path = self._some_module()
        if path is None:
            return None
        text = path.read_text()
        number = len(self.done)
        place = path.relative_to(self.project).as_posix()
        is_last = not text.rstrip("\n").rpartition("\n")[2].startswith(("return", "}"))
        if path.parent.name in ("handlers", "projections") and is_last and self._flips():
            name = f"explain_{number}"
            method = f'\n    def {name}(self) -> str:\n        return "{number}"\n'
            return Edited(place, "", method)
        return Edited(place, '."""\n', f'; changed {number} times."""\n')

    def edit_more(self) -> Step | None:
        """Put a comment above a class, or a function below it."""
        path = self._some_module()
        if path is None:
            return None
        number = len(self.done)
        place = path.relative_to(self.project).as_posix()
        if self._flips():
            decorated = "\n\n\n@"
            return Edited(place, decorated, f"\n\n\n# Thought about {number} times.\n@")
        name = f"explain_{number}"
        return Edited(place, "", f'\n\ndef {name}() -> str:\n    return "{number}"\n')

    def edit_test(self) -> Step | None:
        """Add a test below the generated ones."""
        path = self._some_test()
        if path is None:
            return None
        number = len(self.done)
        test = f"\n\ndef test_thought_{number}() -> None:\n    assert str({number})\n"
        return Edited(path.relative_to(self.project).as_posix(), "", test)

    def delete(self) -> Step | None:
        """Delete a generated test."""
        path = self._some_test()
        return None if path is None else Deleted(path.relative_to(self.project).as_posix())

    def rename(self) -> list[str]:
        """Rename something."""
        kind = self.chance.choice(tuple(FOLDERS))
        old = self.pick(kind)
        return ["rename", kind, old, f"{old}{self.chance.choice(('Too', 'Also', 'Anew'))}"]

    def remove(self) -> list[str]:
        """Remove something that nobody uses, or try to."""
        kind = self.chance.choice(tuple(FOLDERS))
        return ["remove", kind, self.pick(kind)]

    def undo(self) -> list[str]:
        """Take back the last command, or an earlier one."""
        if self._flips():
            return ["undo"]
        return ["undo", str(self.chance.randint(1, 1 + len(self.done)))]

    def update(self) -> list[str]:
        """Move to a new version of dolittle, which generates everything again and merges it."""
        self.updates += self._flips()
        return ["update"]

    def template(self) -> list[str] | Step:
        """Take a kind's templates over, or change one that was taken over."""
        own = sorted((self.project / "dolittle-templates").rglob("*.py.jinja"))
        own = [path for path in own if '."""\n' in path.read_text()]
        if not own or self._flips():
            kind = self.chance.choice((*FOLDERS, "command", "generation", "api", "ci", "compose"))
            return ["templates", "eject", kind]
        place = self.chance.choice(own).relative_to(self.project).as_posix()
        return Edited(place, '."""\n', f'; as we say {len(self.done)}."""\n')

    def _flips(self) -> bool:
        return self.chance.random() < 0.5

    def _some_module(self) -> Path | None:
        folder = self.project / "cafe"
        files = [path for path in sorted(folder.rglob("[a-z]*.py")) if _is_kind(path.parent)]
        return self.chance.choice(files) if files else None

    def _some_test(self) -> Path | None:
        files = [path for path in sorted((self.project / "tests").rglob("test_*.py"))
                 if _is_kind(path.parent)]  # fmt: skip
        return self.chance.choice(files) if files else None

    def _words_outside_of_values(self) -> set[str]:
        paths = sorted((self.project / "cafe").rglob("*.py"))
        return words_in("".join(p.read_text() for p in paths if p.parent.name != "values"))


def _is_kind(folder: Path) -> bool:
    return folder.name in FOLDERS.values()
