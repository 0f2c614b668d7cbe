"""A field as it is typed on the command line, and the error that says where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from dolittle_cli.errors import WrongUsage


class WrongField(WrongUsage):
    """What was typed as a field cannot be used.

    Attributes:
        field: Its name.
        column: Where in the text, from 0.
    """

    code = "field"

    def __init__(self, text: str, column: int, reason: str, *, hint: str = "") -> None:
        self.field, self.column = text.partition(":")[0], column
        # One place for each character, so that the mark stands below the right one.
        shown = "".join(sign if sign.isprintable() else " " for sign in text)
        super().__init__(f"field {self.field!r}: {reason}\n  {shown}\n  {' ' * column}^", hint=hint)


@dataclass(frozen=True)
class TypedField:
    """A field's whole text: ``quantity:int:ge=1``."""

    text: str

    @property
    def name(self) -> str:
        """What stands before the first colon."""
        return self.text.partition(":")[0]

    def wrong(self, at: int, reason: str, hint: str) -> WrongField:
        """Return the error that something is wrong at a place of the text, from 0."""
        return WrongField(self.text, at, reason, hint=hint)


@dataclass(frozen=True)
class Part:
    """A part of a field's text.

    Attributes:
        at: Where it begins in the field's text, from 0.
    """

    text: str
    at: int
