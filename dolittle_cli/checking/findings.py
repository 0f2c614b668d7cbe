"""The rules of ``dolittle check``, each with a code that never changes, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Level = Literal["error", "warning", "note"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")


@dataclass(frozen=True)
class Rule:
    """One kind of finding.

    Attributes:
        code: ``DLT301``; it is never given to another rule.
        name: In words, for people.
        level: Unless a finding says otherwise.
        reason: Why it matters, as one sentence.
    """

    code: str
    name: str
    level: Level
    reason: str

    @property
    def is_of_source(self) -> bool:
        """Whether a comment in the source can silence it: names, use and folds."""
        return self.code[3] in "23"


@dataclass(frozen=True)
class Finding:
    """Something that a rule found.

    Attributes:
        path: The file.
        line: From 1; 0: the whole file.
        message: What is wrong, with the names at hand.
        fix: How to mend it.
        level: As the rule's, unless ``--locked`` makes it an error.
    """

    rule: Rule
    path: Path
    line: int
    message: str
    fix: str
    level: Level


def find(
    rule: Rule, path: Path | str, line: int, message: str, fix: str, level: Level | None = None
) -> Finding:
    """Return a finding of a rule."""
    return Finding(rule, Path(path), line, message, fix, level or rule.level)


DECLARATION: Final = Rule(
    "DLT101",
    "declaration cannot work",
    "error",
    "a microservice whose declarations cannot work is not loaded",
)
IMPORT: Final = Rule(
    "DLT102",
    "module does not import",
    "error",
    "a microservice is loaded by importing every module of its package",
)
DUPLICATE_ID: Final = Rule(
    "DLT103", "id used twice", "error", "what is stored under an id must lead back to one class"
)
MISSING_UPCASTER: Final = Rule(
    "DLT104",
    "missing upcaster",
    "error",
    "stored events of an older generation are read through a chain of upcasters without a hole",
)
TENSE: Final = Rule(
    "DLT201",
    "event not in the past tense",
    "warning",
    "an event is a fact: its name says what has happened",
)
NOT_TAKEN: Final = Rule(
    "DLT202", "event nobody takes", "note", "an event that nothing follows from may be left over"
)
NOT_EMITTED: Final = Rule(
    "DLT203",
    "event nobody emits",
    "warning",
    "a method for events that never come is dead code, or the event is forgotten elsewhere",
)
IDLE_COMMENT: Final = Rule(
    "DLT204",
    "comment silences nothing",
    "note",
    "a comment that silences nothing today would hide the next finding in its line",
)
NOT_DETERMINISTIC: Final = Rule(
    "DLT301",
    "fold not deterministic",
    "error",
    "folding the same events again must give the same: loading and replaying depend on it",
)
FOLD_APPLIES: Final = Rule(
    "DLT302",
    "fold applies an event",
    "error",
    "an @on method runs each time the instance is loaded, and would apply the event each time",
)
FOLD_REFUSES: Final = Rule(
    "DLT303",
    "fold refuses an event",
    "warning",
    "an event has happened: an @on method that raises makes its instance impossible to load",
)
MUTATION: Final = Rule(
    "DLT304",
    "field changed outside of a fold",
    "error",
    "only events are stored: what a command changes itself is gone when the instance is loaded",
)
LOCK_MISSING: Final = Rule(
    "DLT401",
    "lock missing",
    "error",
    "without the committed lock nobody notices a change that stored events do not survive",
)
LOCK_DAMAGED: Final = Rule(
    "DLT402", "lock damaged", "error", "the lock is what schemas are held against; it is generated"
)
SCHEMA_BREAK: Final = Rule(
    "DLT403",
    "schema breaks stored events",
    "error",
    "events are stored for ever, in the shape that they had; a new shape is a new generation",
)
LOCK_OUTDATED: Final = Rule(
    "DLT404", "lock outdated", "warning", "the lock says what is deployed; it moves with the code"
)
TYPE_REMOVED: Final = Rule(
    "DLT405",
    "event type removed",
    "warning",
    "stored events of a type that no class has reach nobody any more",
)
GENERATION_LOWERED: Final = Rule(
    "DLT406",
    "generation lowered",
    "error",
    "events of the higher generation may be stored, and would not be read",
)
STORED_UNREADABLE: Final = Rule(
    "DLT501",
    "stored event unreadable",
    "error",
    "an event that cannot be read makes its aggregate impossible to load and its handlers fail",
)
STORED_UNDECLARED: Final = Rule(
    "DLT502", "stored event type not declared", "warning", "its events reach nobody"
)
STORE_UNUSABLE: Final = Rule(
    "DLT503", "event store unusable", "error", "its events can be neither read nor added to"
)

RULES: Final[tuple[Rule, ...]] = (
    DECLARATION,
    IMPORT,
    DUPLICATE_ID,
    MISSING_UPCASTER,
    TENSE,
    NOT_TAKEN,
    NOT_EMITTED,
    IDLE_COMMENT,
    NOT_DETERMINISTIC,
    FOLD_APPLIES,
    FOLD_REFUSES,
    MUTATION,
    LOCK_MISSING,
    LOCK_DAMAGED,
    SCHEMA_BREAK,
    LOCK_OUTDATED,
    TYPE_REMOVED,
    GENERATION_LOWERED,
    STORED_UNREADABLE,
    STORED_UNDECLARED,
    STORE_UNUSABLE,
)
