"""What ``dolittle check --fix`` mends in source: edits that a syntax tree shows to be safe.

Nothing here changes what code does that works today: a declaration that cannot be loaded gets
the form that its hint asks for, and a comment that silences nothing goes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dolittle_cli.checking.findings import DECLARATION, Rule
from dolittle_cli.sources import (
    FRAMEWORK,
    FunctionNode,
    Module,
    SourceClass,
    SourceFunction,
    Sources,
    is_of_framework,
)

_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)


@dataclass(frozen=True)
class Edit:
    """One change of a source file.

    Attributes:
        rule: What it mends.
        line: From 1, of what is mended.
        start: The first byte that is replaced, from 0.
        end: The byte behind the last one that is replaced.
        text: What stands there then.
        what: What is done, for people.
    """

    rule: Rule
    path: Path
    line: int
    start: int
    end: int
    text: str
    what: str


class Places:
    """Where the nodes of a source file stand, in bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._starts = [0, *(found.end() for found in re.finditer(rb"\n", data))]

    def at(self, line: int, column: int = 0) -> int:
        """Return the byte at a line, from 1, and a column in bytes, from 0."""
        return self._starts[line - 1] + column

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return the first byte of a node."""
        return self.at(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Return the byte behind a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.end_lineno, node.end_col_offset)


def declaration_edits(sources: Sources) -> Iterator[Edit]:
    """Yield the edits that let declarations be loaded which cannot be loaded as they are."""
    awaited = {name for module in sources.modules.values() for name in _awaited(module.tree)}
    for cls in sources.classes.values():
        if not {"aggregate_root", "projection", "event_handler"} & cls.marks.keys():
            continue
        places = places_of(cls.module)
        if places is None:
            continue
        if "aggregate_root" in cls.marks:
            yield from _with_base(cls, places)
        for node in cls.node.body:
            if isinstance(node, FunctionNode):
                method = sources.functions[f"{cls.dotted}.{node.name}"]
                yield from _method_edits(sources, cls, method, places, awaited)


def places_of(module: Module) -> Places | None:
    """Return where the nodes of a module stand; ``None`` where they cannot be told for sure."""
    data = module.path.read_bytes()
    if data.startswith(b"\xef\xbb\xbf") or re.search(rb"\r(?!\n)|\x0c", data):
        return None
    return Places(data)


def _method_edits(
    sources: Sources, cls: SourceClass, method: SourceFunction, places: Places, awaited: set[str]
) -> Iterator[Edit]:
    marks = [
        decorator
        for decorator in method.node.decorator_list
        if isinstance(decorator, ast.Call)
        and any(
            is_of_framework(sources.resolve(method.module, decorator.func), name)
            for name in ("on", "handles")
        )
    ]
    yield from _once(cls, method, marks, places)
    if "event_handler" in cls.marks or not marks:
        return
    yield from _not_async(cls, method, places, awaited)
    if "aggregate_root" in cls.marks:
        for mark in marks:
            yield from _without_key(cls, method, mark, places)


def _once(
    cls: SourceClass, method: SourceFunction, marks: list[ast.Call], places: Places
) -> Iterator[Edit]:
    """Yield edits that leave one of several decorators that are the same."""
    seen: set[str] = set()
    for mark in marks:
        written = ast.dump(mark)
        if written in seen:
            start, end = places.at(mark.lineno), places.end(mark)
            behind = re.compile(rb"[ \t]*\r?\n").match(places.data, end)
            before = places.data[start : places.start(mark)]
            if behind and before.strip() == b"@":
                what = f"{cls.name}.{method.name} was marked twice alike"
                yield Edit(DECLARATION, cls.module.path, mark.lineno, start, behind.end(), "", what)
        seen.add(written)


def _not_async(
    cls: SourceClass, method: SourceFunction, places: Places, awaited: set[str]
) -> Iterator[Edit]:
    """Yield the edit that makes a fold a plain method, where it waits for nothing."""
    node = method.node
    if not isinstance(node, ast.AsyncFunctionDef) or node.name in awaited:
        return
    waits = any(
        isinstance(inner, _WAITS) or (isinstance(inner, ast.comprehension) and inner.is_async)
        for inner in ast.walk(node)
    )
    start = places.start(node)
    found = re.compile(rb"async[ \t]+(?=def\b)").match(places.data, start)
    if found and not waits:
        what = f"{cls.name}.{method.name} is no longer async: it waits for nothing"
        yield Edit(DECLARATION, cls.module.path, node.lineno, start, found.end(), "", what)


def _without_key(
    cls: SourceClass, method: SourceFunction, mark: ast.Call, places: Places
) -> Iterator[Edit]:
    """Yield the edit that drops ``key=``, which an aggregate has no use for."""
    if len(mark.args) != 1 or [keyword.arg for keyword in mark.keywords] != ["key"]:
        return
    start, end = places.end(mark.args[0]), places.end(mark) - 1
    if b"#" not in places.data[start:end]:
        what = f"{cls.name}.{method.name} has no key= any more: only projections have keys"
        yield Edit(DECLARATION, cls.module.path, mark.lineno, start, end, "", what)


def _with_base(cls: SourceClass, places: Places) -> Iterator[Edit]:
    """Yield the edits that let an aggregate root derive from ``AggregateRoot``."""
    node = cls.node
    if node.bases or node.keywords:
        return
    head = re.compile(rb"class[ \t]+\w+[ \t]*(\([ \t]*\))?(?=[ \t]*:)")
    found = head.match(places.data, places.start(node))
    base = _base(cls, places)
    if found is None or base is None:
        return
    name, imported = base
    text = f"class {node.name}({name})"
    what = f"{cls.name} derives from AggregateRoot"
    path = cls.module.path
    yield Edit(DECLARATION, path, node.lineno, found.start(), found.end(), text, what)
    if imported is not None:
        yield Edit(DECLARATION, path, node.lineno, imported, imported, "AggregateRoot, ", "")


def _base(cls: SourceClass, places: Places) -> tuple[str, int | None] | None:
    """Return how the class can name ``AggregateRoot``, and the byte to import it at if needed."""
    for local, dotted in cls.module.imports.items():
        if is_of_framework(dotted, "AggregateRoot"):
            return local, None
    mark = cls.marks["aggregate_root"]
    called = mark.func if isinstance(mark, ast.Call) else mark
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return f"{called.value.id}.AggregateRoot", None
    if "AggregateRoot" in cls.module.defined:
        return None
    for node in cls.module.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == FRAMEWORK and not node.level:
            first = node.names[0]
            return (
                None
                if first.name == "*"
                else ("AggregateRoot", places.at(first.lineno, first.col_offset))
            )
    return None


def _awaited(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the methods whose results are awaited."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Await)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            yield node.value.func.attr


def edited(edits: Iterable[Edit]) -> dict[Path, tuple[str, str]]:
    """Return the texts before and after, by file; a file that would not parse is left out.

    Of edits that overlap, the first one is made.
    """
    by_path: dict[Path, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    found: dict[Path, tuple[str, str]] = {}
    for path, own in by_path.items():
        before = path.read_bytes()
        after, at = b"", 0
        made: set[tuple[int, int, str]] = set()
        for edit in sorted(own, key=lambda edit: (edit.start, edit.end)):
            change = (edit.start, edit.end, edit.text)
            if edit.start >= at and change not in made:
                made.add(change)
                after += before[at : edit.start] + edit.text.encode()
                at = edit.end
        after += before[at:]
        try:
            ast.parse(after)
        except (SyntaxError, ValueError):
            continue
        found[path] = (before.decode(), after.decode())
    return found
