"""Functions that commands wrote into modules of their owner's, and what would be written now.

``add command`` writes a method, a fold and a test into modules that are there, ``add generation``
a test. No template makes those modules as a whole, so what follows a change is each function.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.editing import ModuleEdit, NotSure, first_line
from dolittle_cli.scaffold.import_merge import without_unused
from dolittle_cli.scaffold.merge import has_markers, merge
from dolittle_cli.scaffold.names import snake
from dolittle_cli.scaffold.project import Project
from dolittle_cli.scaffold.source import DeclaredClass
from dolittle_cli.scaffold.steps import Function, reading_test, steps_of

Read = Callable[[str], str | None]
"""Returns a file's text by its path below the project's folder; ``None``: it is not there."""

_Node = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """Where a function is.

    Attributes:
        path: Below the project's folder.
        owner: The class that it is a method of; empty: it is the module's own.
    """

    path: str
    owner: str
    name: str


Piece = Mapping[Place, Function]
"""What one command has written: functions that belong together."""


def pieces_of(project: Project, read: Read) -> dict[str, Piece]:
    """Return what commands would write into a project now, by what is made.

    Args:
        project: Its source.
        read: Gives the texts of its files.
    """
    found: dict[str, Piece] = {}
    for root in project.source.classes:
        if root.kind == "aggregate":
            for method, event in _commands(root, read(_path(project, root)) or "", project):
                piece = _command(project, root, method, event)
                if piece:
                    found[f"aggregate {root.name} {method}"] = piece
        if root.kind == "event":
            for step in steps_of(root, read(_path(project, root)) or ""):
                try:
                    test = reading_test(project, step)
                except CommandLineError:
                    continue
                place = Place(step.test_path, "", test.name)
                found[f"event {root.name} {step.before}"] = {place: test}
    return found


def followed(
    before: Piece, after: Piece, read: Read, package: str
) -> tuple[dict[str, str], list[Place]]:
    """Return the new texts of the files that a piece is in, and the functions that are stuck.

    A function that is as it would have been written is written anew; in one that its owner has
    changed, what differs is merged. One that is gone stays away.

    Args:
        before: What would have been written before the change.
        after: What would be written after it.
        read: Gives the texts of files.
        package: The project's own.
    """
    texts: dict[str, str] = {}
    stuck: list[Place] = []
    for place, was in before.items():
        will_be = after.get(place)
        text = texts.get(place.path) or read(place.path)
        if will_be is None or text is None or was.text == will_be.text:
            continue
        made = _replaced(place, was, will_be, text, package)
        if made is None:
            stuck.append(place)
        else:
            texts[place.path] = made
    return texts, stuck


def _commands(
    root: DeclaredClass, text: str, project: Project
) -> Iterator[tuple[str, DeclaredClass]]:
    """Find the methods of an aggregate root that apply one event type."""
    events = {item.name: item for item in project.source.classes if item.kind == "event"}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name != root.name:
            continue
        for method in node.body:
            if isinstance(method, _Node):
                applied = set(_applied(method)) & set(events)
                if len(applied) == 1:
                    yield method.name, events[applied.pop()]


def _applied(method: ast.stmt) -> Iterator[str]:
    for part in ast.walk(method):
        match part:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr="apply"),
                args=[ast.Call(func=ast.Name(name))],
            ):
                yield name


def _command(project: Project, root: DeclaredClass, method: str, event: DeclaredClass) -> Piece:
    """Return what ``add command`` would write; nothing where it would write nothing."""
    from dolittle_cli.scaffold.aggregate import CommandMethod
    from dolittle_cli.scaffold.command import written_by

    try:
        code, fold, test = written_by(project, root, CommandMethod(method, event))
    except CommandLineError:
        return {}
    path = _path(project, root)
    return {
        Place(path, root.name, code.name): code,
        Place(path, root.name, fold.name): fold,
        Place(f"tests/aggregates/test_{snake(root.name)}.py", "", test.name): test,
    }


def _path(project: Project, item: DeclaredClass) -> str:
    return item.path.relative_to(project.root).as_posix()


def _replaced(
    place: Place, was: Function, will_be: Function, text: str, package: str
) -> str | None:
    """Return a module with a function written anew or merged; ``None``: that cannot be."""
    if has_markers(text):
        return None
    try:
        edit = ModuleEdit(place.path, text)
        node = _found(edit.tree.body, place)
        if node is None:
            return text
        first, last = first_line(node), node.end_lineno or 0
        lines = text.split("\n")
        if "\n".join(lines[first - 1 : last]) == was.text:
            edit.replace(first, last, will_be.text)
        else:
            head, tail = lines[: first - 1], lines[last:]
            base, made = ("\n".join([*head, item.text, *tail]) for item in (was, will_be))
            merged = merge(base, text, made, is_python=True)
            if merged.conflicts:
                return None
            edit = ModuleEdit(place.path, merged.text)
        edit.need(will_be.imports, package)
        return without_unused(edit.text(), set(was.imports) - set(will_be.imports), package)
    except NotSure:
        return None


def _found(body: Collection[ast.stmt], place: Place) -> _Node | None:
    for node in body:
        if place.owner and isinstance(node, ast.ClassDef) and node.name == place.owner:
            return _found(node.body, Place(place.path, "", place.name))
        if not place.owner and isinstance(node, _Node) and node.name == place.name:
            return node
    return None
