"""Turns a condition's syntax tree into functions of an event, and into what a store can select."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dolittle_cli.conditions.fields import FIELDS, MISSING, Step, Subject, follow, unknown_field
from dolittle_cli.conditions.grammar import ConditionError, parse
from dolittle_cli.errors import CommandLineError
from dolittle_cli.wildcards import wildcard

if TYPE_CHECKING:
    from lark import Token, Tree

Value = Callable[[Subject], Any]

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLIPPED: Final = {"==": "=="}
_PUSHED: Final = ("type", "type_id", "source", "correlation", "aggregate")


@dataclass(frozen=True)
class Part:
    """A part of a condition, ready to be asked.

    Attributes:
        text: As it was written, for messages.
        is_literal: Whether it says the same of every event.
    """

    value: Value
    text: str
    is_literal: bool = False


@dataclass(frozen=True)
class Condition:
    """A condition on events.

    Attributes:
        text: As it was written.
        required: By field, the values of which one must be there; what a store can select by.
            Fields are ``type``, ``type_id``, ``source``, ``correlation`` and ``aggregate``.
    """

    text: str
    required: Mapping[str, frozenset[str]]
    _test: Callable[[Subject], bool]

    def matches(self, subject: Subject) -> bool:
        """Tell whether an event meets the condition.

        Raises:
            CommandLineError: Two things are compared that do not compare.
        """
        return self._test(subject)


def parse_condition(text: str) -> Condition:
    """Read a condition.

    A field that is not there counts as ``null``. ``null`` is equal to itself only, and is neither
    less nor more than anything. Values of two kinds (a text and a number) are not equal, and
    asking which is more is an error.

    Raises:
        ConditionError: The text is none, or names a field that there is not.
    """
    tree = parse(text)
    compiler = _Compiler(text)
    test = compiler.test(tree)
    return Condition(text, compiler.required(tree), test)


class _Compiler:
    def __init__(self, text: str) -> None:
        self._text = text

    # Truth

    def test(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        """Return a function that tells whether an event meets a part of the condition."""
        if tree.data in ("either", "both"):
            tests = [self.test(child) for child in tree.children]
            combined = any if tree.data == "either" else all
            return lambda subject: combined(test(subject) for test in tests)
        if tree.data == "negation":
            inner = self.test(tree.children[0])
            return lambda subject: not inner(subject)
        builders: dict[str, Callable[[Tree[Any]], Callable[[Subject], bool]]] = {
            "comparison": self._comparison,
            "membership": self._membership,
            "exclusion": self._exclusion,
            "containment": self._containment,
            "likeness": self._likeness,
        }
        return builders.get(tree.data, self._truth)(tree)

    def _truth(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        part = self.value(tree)
        if part.is_literal and not isinstance(part.value(_NOBODY), bool):
            raise self._error(tree, f"{part.text} is neither true nor false", "compare it: == …")

        def test(subject: Subject) -> bool:
            value = part.value(subject)
            if value is None or isinstance(value, bool):
                return bool(value)
            raise CommandLineError(
                f"--where: {part.text} is {_shown(value)} in the event at position "
                f"{_place(subject)}, which is neither true nor false",
                hint="compare it: == …",
            )

        return test

    def _comparison(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        left, right = self.value(tree.children[0]), self.value(tree.children[2])
        sign = str(tree.children[1])
        compare = _COMPARE[sign]
        if sign in ("==", "!="):
            return lambda subject: compare(
                _plain(left.value(subject)), _plain(right.value(subject))
            )
        for part, child in ((left, tree.children[0]), (right, tree.children[2])):
            if part.is_literal and _kind(part.value(_NOBODY)) not in ("a number", "a text"):
                reason = f"{part.text} is neither less nor more than anything"
                raise self._error(child, reason, "numbers and texts compare; for others: == !=")
        if left.is_literal and right.is_literal:
            self._check_comparable(tree, left, right)

        def test(subject: Subject) -> bool:
            first, second = left.value(subject), right.value(subject)
            if first is None or second is None:
                return False
            kind = _kind(first)
            if kind != _kind(second) or kind not in ("a number", "a text"):
                raise _do_not_compare(subject, left, first, right, second)
            return compare(first, second)

        return test

    def _check_comparable(self, tree: Tree[Any], left: Part, right: Part) -> None:
        first, second = _kind(left.value(_NOBODY)), _kind(right.value(_NOBODY))
        if first != second:
            reason = f"{left.text} ({first}) and {right.text} ({second}) do not compare"
            raise self._error(tree.children[2], reason, "write both as numbers, or both as texts")

    def _membership(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        return self._holds(tree.children[1], tree.children[0])

    def _exclusion(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        holds = self._holds(tree.children[1], tree.children[0])
        return lambda subject: not holds(subject)

    def _containment(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        return self._holds(tree.children[0], tree.children[1])

    def _holds(self, whole: Tree[Any], item: Tree[Any]) -> Callable[[Subject], bool]:
        container, member = self.value(whole), self.value(item)
        if container.is_literal and not isinstance(container.value(_NOBODY), list | str):
            reason = f"{container.text} is neither a list nor a text"
            raise self._error(whole, reason, 'a list is written ["a", "b"]')

        def test(subject: Subject) -> bool:
            inside, value = container.value(subject), member.value(subject)
            if isinstance(inside, str):
                return isinstance(value, str) and value in inside
            if isinstance(inside, list | dict):
                return any(_plain(entry) == _plain(value) for entry in inside)
            if inside is None:
                return False
            raise CommandLineError(
                f"--where: {container.text} is {_shown(inside)} in the event at position "
                f"{_place(subject)}: nothing can be in it"
            )

        return test

    def _likeness(self, tree: Tree[Any]) -> Callable[[Subject], bool]:
        value, pattern = self.value(tree.children[0]), self.value(tree.children[1])
        wanted = pattern.value(_NOBODY) if pattern.is_literal else None
        if not isinstance(wanted, str):
            hint = 'write it like: source like "Table *"'
            raise self._error(tree.children[1], "`like` takes a text in quotes", hint)
        matches = wildcard(wanted).fullmatch

        def test(subject: Subject) -> bool:
            found = value.value(subject)
            return isinstance(found, str) and matches(found) is not None

        return test

    # Values

    def value(self, tree: Tree[Any]) -> Part:
        """Return a part that gives a value of an event."""
        text = self._written(tree)
        match tree.data:
            case "path":
                name, steps = self._path(tree)
                first = FIELDS[name]
                if not steps:
                    return Part(first, text)
                return Part(lambda subject: _or_null(follow(first(subject), steps)), text)
            case "list":
                parts = [self.value(child) for child in tree.children]
                return Part(
                    lambda subject: [part.value(subject) for part in parts],
                    text,
                    is_literal=all(part.is_literal for part in parts),
                )
            case "number" | "text" | "true" | "false" | "null":
                literal = self._literal(tree)
                return Part(lambda _: literal, text, is_literal=True)
        # A condition in brackets, as in (a == 1) == true.
        return Part(self.test(tree), text)

    def _literal(self, tree: Tree[Any]) -> Any:
        if tree.data == "number":
            written = str(tree.children[0])
            return int(written) if written.lstrip("-").isdigit() else float(written)
        if tree.data == "text":
            return self._unquoted(_token(tree))
        return {"true": True, "false": False, "null": None}[tree.data]

    def _unquoted(self, token: Token) -> str:
        try:
            # Only a text in quotes gets here; its escapes are those of Python.
            return str(ast.literal_eval(str(token)))
        except (ValueError, SyntaxError):
            hint = r"a backslash is written \\, a quote \""
            raise self._error(token, "an escape in this text means nothing", hint) from None

    def _path(self, tree: Tree[Any]) -> tuple[str, tuple[Step, ...]]:
        name = str(tree.children[0])
        if name not in FIELDS:
            hint = unknown_field(name)
            raise self._error(tree.children[0], f"there is no field {name!r} of an event", hint)
        return name, tuple(self._steps(name, tree.children[1:]))

    def _steps(self, name: str, children: Sequence[Tree[Any]]) -> Iterator[Step]:
        if children and name != "content":
            raise self._error(children[0], f"{name} has no fields of its own", "content has")
        for child in children:
            token = _token(child)
            if child.data == "quoted":
                yield self._unquoted(token)
            elif child.data == "member":
                yield str(token)
            elif str(token).lstrip("-").isdigit():
                yield int(token)
            else:
                raise self._error(token, "a place in a list is a whole number")

    # What a store can select by

    def required(self, tree: Tree[Any]) -> dict[str, frozenset[str]]:
        """Return the values that every matching event has one of, as far as that can be told."""
        found: dict[str, frozenset[str]] = {}
        for part in self._conjuncts(tree):
            known = self._equality(part)
            if known is not None:
                field, values = known
                found[field] = found[field] & values if field in found else values
        return found

    def _conjuncts(self, tree: Tree[Any]) -> Iterator[Tree[Any]]:
        if tree.data == "both":
            for child in tree.children:
                yield from self._conjuncts(child)
        else:
            yield tree

    def _equality(self, tree: Tree[Any]) -> tuple[str, frozenset[str]] | None:
        """Return the field and the texts of ``field == "text"`` or ``field in ["text", …]``."""
        if tree.data == "comparison" and str(tree.children[1]) in _FLIPPED:
            sides = [tree.children[0], tree.children[2]]
            sides.sort(key=lambda side: side.data != "path")
            path, literal = sides
            texts = [literal] if literal.data == "text" else []
        elif tree.data == "membership" and tree.children[1].data == "list":
            path = tree.children[0]
            texts = tree.children[1].children
        else:
            return None
        is_field = path.data == "path" and len(path.children) == 1
        if not is_field or str(path.children[0]) not in _PUSHED or not texts:
            return None
        if any(text.data != "text" for text in texts):
            return None
        return str(path.children[0]), frozenset(self._literal(text) for text in texts)

    # Messages

    def _written(self, tree: Tree[Any]) -> str:
        if getattr(tree.meta, "empty", True):
            return "this"
        return self._text[tree.meta.start_pos : tree.meta.end_pos]

    def _error(self, where: Tree[Any] | Token, reason: str, hint: str = "") -> ConditionError:
        found = getattr(where, "meta", where)
        column: int = getattr(found, "start_pos", 0)
        return ConditionError(self._text, column, reason, hint=hint)


_NOBODY: Final[Any] = None
"""Whom a literal is asked about, since it says the same of everybody."""


def _token(tree: Tree[Any]) -> Token:
    found: Any = tree.children[0]
    token: Token = found
    return token


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


def _plain(value: Any) -> Any:
    """Return a value that equals only values of its own kind: ``true`` is not 1."""
    return (bool, value) if isinstance(value, bool) else value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), "null")


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({_kind(value)})"


def _place(subject: Subject) -> str:
    return f"{subject.event.position} of {subject.microservice}"


def _do_not_compare(
    subject: Subject, left: Part, first: Any, right: Part, second: Any
) -> CommandLineError:
    sides = [
        part.text if part.is_literal else f"{part.text}, which is {_shown(value)},"
        for part, value in ((left, first), (right, second))
    ]
    kinds = f"{_kind(first)} and {_kind(second)}"
    return CommandLineError(
        f"--where: {sides[0]} and {sides[1].rstrip(',')} do not compare ({kinds}), "
        f"in the event at position {_place(subject)}",
        hint='choose the events first: type == "X" and …',
    )
