"""Steps from one generation of an event type to the next, and the tests that stand for them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.editing import ModuleEdit, NotSure
from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.layout import Group, Node, call, keyword, statement
from dolittle_cli.scaffold.names import snake, words
from dolittle_cli.scaffold.plan import read_text
from dolittle_cli.scaffold.project import Project, sample_event
from dolittle_cli.scaffold.render import render
from dolittle_cli.scaffold.request import Request
from dolittle_cli.scaffold.samples import entry, sample, stored_sample
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.types import (
    Constrained,
    Enumerated,
    Field,
    FieldType,
    Maybe,
    Scalar,
    member,
    python_text,
    seen_from_outside,
)


@dataclass(frozen=True)
class Step:
    """A step from one generation of an event type to the next.

    Attributes:
        event: As it is before.
        before: The generation's number before.
        fields: What is new.
    """

    event: DeclaredClass
    before: int
    fields: tuple[Field, ...]

    @property
    def function(self) -> str:
        """The name of the upcaster."""
        return f"{snake(self.event.name)}_to_generation_{self.before + 1}"

    @property
    def test_path(self) -> str:
        """The file of the event type's tests, below the project's folder."""
        return f"tests/events/test_{snake(self.event.name)}.py"


Carry = Callable[[str], str]
"""Does to a text that is generated what later commands did to the file."""


@dataclass(frozen=True)
class Function:
    """A function, as it is written into a module.

    Attributes:
        text: With its indentation, without a newline at its end.
        imports: What it needs.
    """

    name: str
    text: str
    imports: tuple[Import, ...]


def steps_of(event: DeclaredClass, text: str) -> list[Step]:
    """Return the steps that an event type's upcasters say, oldest first.

    Args:
        event: As it is now.
        text: Of its module.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    new = dict(sorted(found for node in tree.body for found in _upcasts(node, event.name)))
    steps = []
    for before, names in new.items():
        later = {name for number, found in new.items() if number >= before for name in found}
        older = tuple(field for field in event.fields if field.name not in later)
        fields = tuple(field for field in event.fields if field.name in names)
        steps.append(Step(replace(event, fields=older), before, fields))
    return steps


def carried(project: Project, made: Request, path: str) -> Carry:
    """Return what later generations of an event type have done to a file that was generated for it.

    That is, to its test of what is stored; other files come back as they are.

    Args:
        project: Its source.
        made: What the file was generated for.
        path: Of the file, below the project's folder.
    """
    if made.kind != "event" or path != f"tests/events/test_{snake(made.name)}.py":
        return _as_it_is
    event = next((item for item in project.source.classes if item.name == made.name), None)
    if event is None or event.kind != "event":
        return _as_it_is
    module = event.path.relative_to(project.root).as_posix()
    steps = steps_of(event, read_text(project.root, module) or "")

    def carry(text: str) -> str:
        try:
            for step in steps:
                edit = ModuleEdit(path, text)
                expect_new_fields(edit, step)
                text = edit.text()
        except NotSure:
            pass
        return text

    return carry if steps else _as_it_is


def _as_it_is(text: str) -> str:
    return text


def _upcasts(node: ast.stmt, event: str) -> Iterator[tuple[int, list[str]]]:
    """Find the generation that an upcaster reads, and the fields that it adds."""
    if not isinstance(node, ast.FunctionDef):
        return
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Name("upcaster"),
                args=[ast.Name(name)],
                keywords=[ast.keyword("from_generation", ast.Constant(int(before)))],
            ) if name == event:
                match node.body[-1]:
                    case ast.Return(ast.Dict(keys=[None, *keys])):
                        names = [k.value for k in keys if isinstance(k, ast.Constant)]
                        yield before, [name for name in names if isinstance(name, str)]
                    case _:
                        yield before, []


def reading_test(project: Project, step: Step) -> Function:
    """Return the test that reads a stored example of the generation before a step.

    Raises:
        CommandLineError: No example can be made up.
    """
    expected, imports = _expected(step)
    values: dict[str, Any] = {
        "name": step.event.name,
        "snake": snake(step.event.name),
        "before": step.before,
        "stored": _stored_example(step.event),
        "expected": expected,
    }
    text = render("generation/test.py.jinja", values, project.root).rstrip("\n")
    name = text.partition("def ")[2].partition("(")[0]
    return Function(name, text, tuple(sorted({("dolittle.testing", "read_content"), *imports})))


def stored_default(field: Field) -> Node:
    """Return a field's default as a store keeps it: a JSON value, written as Python."""
    assert field.default is not None  # checked before
    return _stored(field.type, field.default.node)


def _stored(of: FieldType, node: Node) -> Node:
    match of:
        case Maybe(item) | Constrained(item):
            return "None" if node == "None" else _stored(item, node)
        case Enumerated(values):
            wanted = str(node).rpartition(".")[2]
            return python_text(next(value for value in values if member(value) == wanted))
        case Scalar("Decimal" | "UUID") if isinstance(node, Group):
            return node.items[0]
        case Scalar("date") if isinstance(node, Group):
            return python_text(date(*_numbers(node)).isoformat())
        case Scalar("datetime") if isinstance(node, Group):
            moment = datetime(*_numbers(node), tzinfo=UTC)  # type: ignore[arg-type,misc]
            return python_text(moment.isoformat().replace("+00:00", "Z"))
        case _:
            return node


def _numbers(node: Group) -> list[int]:
    return [int(str(item)) for item in node.items if re.fullmatch(r"\d+", str(item))]


def _expected(step: Step) -> tuple[Node, set[tuple[str, str]]]:
    """Return the event that the stored example is read as, and what it needs imported."""
    made = sample_event(step.event)
    outside = [seen_from_outside(field, step.event.module) for field in step.fields]
    items = [keyword(name, value.node) for name, value in made.values.items()]
    items += [keyword(field.name, field.default.node) for field in outside if field.default]
    imports = set(made.code.imports).union(*(f.default.imports for f in outside if f.default))
    return call(step.event.name, items), imports


def _stored_example(event: DeclaredClass) -> Node:
    entries = []
    for field in event.fields:
        if sample(field.type, words(field.name)) is not None:
            entries.append(entry(field.name, stored_sample(field.type, words(field.name))))
        elif field.default is None:
            raise CommandLineError(
                f"no stored example of {event.name} can be made up: {field.name} has a type of its "
                "own",
                hint="write this generation by hand",
            )
    return Group("{", tuple(entries), "}", "collection") if entries else "{}"


def expect_new_fields(edit: ModuleEdit, step: Step) -> None:
    """Let the test of what is stored expect a step's new fields too.

    Raises:
        NotSure: It is laid out by hand.
    """
    for node in ast.walk(edit.tree):
        match node:
            case ast.Assert(
                test=ast.Compare(
                    left=ast.Call(func=ast.Name("stored_content")) as left,
                    ops=[ast.Eq()],
                    comparators=[ast.Dict(keys=keys, values=values)],
                )
            ):
                known = [str(key.value) for key in keys if isinstance(key, ast.Constant)]
                if len(known) < len(keys) or {field.name for field in step.fields} & set(known):
                    continue
                if not edit.stands_alone(node):
                    raise NotSure(edit.path, "the test of what is stored is laid out by hand")
                entries = [
                    entry(str(key), _laid_out(edit, value))
                    for key, value in zip(known, values, strict=True)
                ]
                entries += [entry(field.name, stored_default(field)) for field in step.fields]
                group = Group("{", tuple(entries), "}", "collection") if entries else "{}"
                indent = " " * node.col_offset
                text = statement(f"{indent}assert {edit.source_of(left)} == ", group)
                edit.replace(node.lineno, node.end_lineno or 0, text)


def _laid_out(edit: ModuleEdit, node: ast.expr) -> Node:
    """Return a JSON value of a test so that it can be laid out again."""
    match node:
        case ast.Dict(keys=keys, values=values) if keys and None not in keys:
            pairs = zip(keys, values, strict=True)
            items = [
                entry(str(ast.literal_eval(key)), _laid_out(edit, value))
                for key, value in pairs
                if key is not None
            ]
            return Group("{", tuple(items), "}", "collection")
        case ast.List(elts=items_there) if items_there:
            nodes = tuple(_laid_out(edit, item) for item in items_there)
            return Group("[", nodes, "]", "collection")
        case _:
            return edit.source_of(node)
