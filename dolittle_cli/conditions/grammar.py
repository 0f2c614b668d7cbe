"""The grammar of conditions, and what is told of a text that does not follow it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from dolittle_cli.errors import WrongUsage

if TYPE_CHECKING:
    from lark import Lark, Tree

CHARACTERS_MAX: Final = 1_000
"""Of a condition: its depth is bounded by its length."""

GRAMMAR: Final = r"""
?start: either
?either: both ("or" both)*
?both: negated ("and" negated)*
?negated: "not" negated -> negation
        | test
?test: value
     | value COMPARE value -> comparison
     | value "in" value -> membership
     | value "not" "in" value -> exclusion
     | value "contains" value -> containment
     | value "like" value -> likeness
?value: NAME step* -> path
      | NUMBER -> number
      | TEXT -> text
      | "true" -> true
      | "false" -> false
      | "null" -> null
      | "[" [value ("," value)* [","]] "]" -> list
      | "(" either ")"
?step: "." NAME -> member
     | "[" TEXT "]" -> quoted
     | "[" NUMBER "]" -> item

COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
NAME: /[^\W\d]\w*/
NUMBER: /-?\d+(\.\d+)?([eE][+-]?\d+)?/
TEXT: /"([^"\\]|\\.)*"/ | /'([^'\\]|\\.)*'/
%ignore /[ \t\n\r]+/
"""
"""In the notation of lark. A name behind a dot may be one of the words, as in ``content.in``."""

_WORDS: Final = {
    "NAME": "a field",
    "NUMBER": "a number",
    "TEXT": "a text in quotes",
    "COMPARE": "== != < <= > >=",
    "$END": "the end",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "COMMA": ",",
    "DOT": ".",
}
_VALUES: Final = {"NAME", "NUMBER", "TEXT", "TRUE", "FALSE", "NULL", "LPAR", "LSQB"}


class ConditionError(WrongUsage):
    """A condition cannot be used.

    Attributes:
        column: Where in the text, from 0.
    """

    code = "condition"

    def __init__(self, text: str, column: int, reason: str, *, hint: str = "") -> None:
        self.column = column
        shown = text.replace("\n", " ").replace("\t", " ")
        super().__init__(f"--where: {reason}\n  {shown}\n  {' ' * column}^", hint=hint)


def parse(text: str) -> Tree[Any]:
    """Return the syntax tree of a condition.

    Raises:
        ConditionError: The text is none.
    """
    if len(text) > CHARACTERS_MAX:
        raise WrongUsage(f"--where has {len(text):,} characters, at most {CHARACTERS_MAX:,} go")
    if not text.strip():
        raise ConditionError(text, 0, "there is nothing here", hint='write: type == "X"')
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        return _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _unexpected_character(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        token = error.token
        at_end = token.type == "$END"
        column = len(text.rstrip()) if at_end else int(token.start_pos or 0)
        found = "the text ends here" if at_end else f"{str(token)!r} cannot stand here"
        hint = f"here may stand: {_expected(set(error.expected))}"
        if token.type == "COMPARE" and not {"COMPARE", "NAME"} & set(error.expected):
            hint = "one comparison at a time, joined by `and`: a > 1 and a < 5"
        raise ConditionError(text, column, found, hint=hint) from None


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _unexpected_character(text: str, column: int) -> ConditionError:
    character = text[column]
    hints = {
        "=": "equality is ==",
        "&": "write: and",
        "|": "write: or",
        "!": "write: not, or !=",
        '"': "the text has no end: put a quote behind it",
        "'": "the text has no end: put a quote behind it",
    }
    hint = hints.get(character, "")
    return ConditionError(text, column, f"{character!r} means nothing here", hint=hint)


def _expected(names: set[str]) -> str:
    words = ["a value"] if names >= {"NAME", "NUMBER", "TEXT"} else []
    rest = names - _VALUES if words else names
    words += sorted(_WORDS.get(name, name.lower()) for name in rest)
    return ", ".join(words)
