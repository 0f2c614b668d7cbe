"""Merges two changes of one text, line by line; what cannot be merged is left between markers."""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from dolittle_cli.scaffold.import_merge import merge_imports

BEGIN: Final = "<<<<<<< yours"
MIDDLE: Final = "======="
END: Final = ">>>>>>> generated"
"""The lines around a conflict. Source of the form: git's, which editors know."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Attributes:
        text: The merged text; with markers where there are conflicts.
        conflicts: How many places are between markers.
    """

    text: str
    conflicts: int


@dataclass(frozen=True)
class _Hunk:
    """Lines of the base that one side replaced: ``base[low:high]`` became ``lines``."""

    low: int
    high: int
    lines: tuple[str, ...]
    is_yours: bool


def merge(base: str, yours: str, generated: str, *, is_python: bool = False) -> Merged:
    """Apply to ``yours`` what ``generated`` changed since ``base``.

    Changes of different lines are both taken. In Python, so are changes of neighbouring lines,
    of lines with an insertion between them, and two insertions in one place (the generated one
    first), if the result is Python and defines nothing twice that neither side does; elsewhere
    they are conflicts. Imports that are written as ours are merged as a set, and follow what the
    merged code uses.

    Args:
        base: What both sides began with.
        yours: What the owner made of it.
        generated: What is generated now.
        is_python: Whether it is a module.
    """
    if base in (yours, generated):
        return Merged(generated if base == yours else yours, 0)
    if is_python:
        return _merge_modules(base, yours, generated)
    return _merge(base, yours, generated, lenient=False)


def _merge_modules(base: str, yours: str, generated: str) -> Merged:
    """Merge what is Python, its imports as a set; strictly, where that is not sound Python.

    At first, lines are compared within the function or class that they are in, since tests look
    much like one another. Where a generated name changed, that may find nothing in common, and
    then they are compared as lines of a text; but not where the owner has taken something out
    that is still generated, or what is new in it would get into something that looks like it.
    """
    alike = merge_imports(base, yours, generated)
    old, mine, theirs = (
        {scope for scope, _ in _keys(text, scoped=True)} for text in (base, yours, generated)
    )
    is_complete = not (old & theirs) - mine
    for scoped in (True, False) if is_complete else (True,):
        if alike is not None:
            merged = _merge(alike.base, alike.yours, alike.generated, lenient=True, scoped=scoped)
            if not merged.conflicts and _is_sound(merged.text, yours, generated):
                return Merged(alike.settled(merged.text), 0)
        merged = _merge(base, yours, generated, lenient=True, scoped=scoped)
        if not merged.conflicts and _is_sound(merged.text, yours, generated):
            return merged
    return _merge(base, yours, generated, lenient=False, scoped=not is_complete)


def merge_without_base(yours: str, generated: str) -> Merged:
    """Put two texts together of which nobody knows what they began with.

    What only one of them has is taken; what differs in one place is a conflict.
    """
    mine, theirs = yours.splitlines(keepends=True), generated.splitlines(keepends=True)
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    common = "".join(
        line for low, _, size in matcher.get_matching_blocks() for line in mine[low : low + size]
    )
    return _merge(common, yours, generated, lenient=False)


def has_markers(text: str) -> bool:
    """Tell whether a text has a conflict in it that nobody has resolved."""
    lines = text.splitlines()
    return BEGIN in lines or END in lines


def _merge(base: str, yours: str, generated: str, *, lenient: bool, scoped: bool = False) -> Merged:
    old = base.splitlines(keepends=True)
    hunks = [
        *_hunks(base, yours, is_yours=True, scoped=scoped),
        *_hunks(base, generated, is_yours=False, scoped=scoped),
    ]
    if lenient:
        hunks = [part for hunk in hunks for part in _by_line(hunk)]
    result: list[str] = []
    conflicts = at = 0
    for group in _groups(hunks, lenient=lenient):
        low, high = group[0].low, max(hunk.high for hunk in group)
        result += old[at:low]
        at = high
        mine = _applied(old, low, high, (hunk for hunk in group if hunk.is_yours))
        theirs = _applied(old, low, high, (hunk for hunk in group if not hunk.is_yours))
        if len({hunk.is_yours for hunk in group}) == 1:
            result += mine if group[0].is_yours else theirs
        elif mine == theirs:
            result += mine
        elif lenient and low == high:
            result += [*_ended(theirs), *mine]
        else:
            conflicts += 1
            result = _ended(result)
            result += [f"{BEGIN}\n", *_ended(mine), f"{MIDDLE}\n", *_ended(theirs), f"{END}\n"]
    result += old[at:]
    return Merged("".join(result), conflicts)


def _hunks(base: str, text: str, *, is_yours: bool, scoped: bool) -> list[_Hunk]:
    new = text.splitlines(keepends=True)
    old_keys, new_keys = _keys(base, scoped=scoped), _keys(text, scoped=scoped)
    matcher = SequenceMatcher(None, old_keys, new_keys, autojunk=False)
    return [
        _Hunk(low, high, tuple(new[start:end]), is_yours)
        for tag, low, high, start, end in matcher.get_opcodes()
        if tag != "equal"
    ]


def _keys(text: str, *, scoped: bool) -> list[tuple[str, str]]:
    """Return what the lines of a text are compared by: the scope they are in, and themselves."""
    lines = text.splitlines(keepends=True)
    scopes = [""] * len(lines)
    if scoped and len(lines) == text.count("\n") + (not text.endswith("\n")):
        with contextlib.suppress(SyntaxError, ValueError):  # else they are lines of text
            _name_scopes(ast.parse(text).body, 0, "", scopes)
    return list(zip(scopes, lines, strict=True))


def _name_scopes(body: Sequence[ast.stmt], first: int, scope: str, scopes: list[str]) -> None:
    """Write the name of what each line belongs to; what stands above it belongs to it too.

    Args:
        body: Statements that follow one another.
        first: The first line that belongs to them, from 0.
        scope: What they are in.
        scopes: By line.
    """
    for node in body:
        end = node.end_lineno or 0
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{scope}.{node.name}"
            scopes[first:end] = [name] * (end - first)
            if isinstance(node, ast.ClassDef):
                _name_scopes(node.body, node.lineno, name, scopes)
        first = end


def _by_line(hunk: _Hunk) -> list[_Hunk]:
    """Split lines that were replaced by as many into one change each, so that others fit between.

    A new parameter changes the head of a method and the call below it; a line that its owner has
    put between the two stays there.
    """
    if hunk.high - hunk.low != len(hunk.lines):
        return [hunk]
    return [
        _Hunk(hunk.low + place, hunk.low + place + 1, (line,), hunk.is_yours)
        for place, line in enumerate(hunk.lines)
    ]


def _groups(hunks: list[_Hunk], *, lenient: bool) -> list[list[_Hunk]]:
    """Group the hunks that are about the same lines; touching ones too, unless lenient."""
    groups: list[list[_Hunk]] = []
    end = -1
    for hunk in sorted(hunks, key=lambda item: (item.low, item.high, not item.is_yours)):
        is_same_point = bool(groups) and hunk.low == hunk.high == end == groups[-1][0].low
        meets = hunk.low < end or is_same_point or (not lenient and hunk.low == end)
        if groups and meets:
            groups[-1].append(hunk)
            end = max(end, hunk.high)
        else:
            groups.append([hunk])
            end = hunk.high
    return groups


def _applied(old: Sequence[str], low: int, high: int, hunks: Iterable[_Hunk]) -> list[str]:
    """Return ``old[low:high]`` with one side's hunks."""
    result: list[str] = []
    for hunk in hunks:
        result += [*old[low : hunk.low], *hunk.lines]
        low = hunk.high
    return result + list(old[low:high])


def _ended(lines: list[str]) -> list[str]:
    """End the last line, so that a marker begins a line of its own."""
    if lines and not lines[-1].endswith("\n"):
        return [*lines[:-1], lines[-1] + "\n"]
    return lines


def _is_sound(text: str, yours: str, generated: str) -> bool:
    """Tell whether a merged module compiles and defines nothing twice that was there once."""
    found = _definitions(text)
    if found is None:
        return False
    # What is broken already is the owner's business; it only says less about what is defined.
    allowed = (_definitions(yours) or Counter()) | (_definitions(generated) or Counter())
    return all(count <= allowed[name] for name, count in found.items())


def _definitions(text: str) -> Counter[tuple[str, ...]] | None:
    """Count what a module defines, by scope and name; ``None``: it does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the owner's own warnings are not about the merge
            tree = ast.parse(text)
            compile(tree, "merged", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    found: Counter[tuple[str, ...]] = Counter()
    _count(tree.body, (), found)
    return found


def _count(
    body: Sequence[ast.stmt], scope: tuple[str, ...], found: Counter[tuple[str, ...]]
) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[(*scope, node.name)] += 1
            if isinstance(node, ast.ClassDef):
                _count(node.body, (*scope, node.name), found)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[(*scope, node.target.id)] += 1
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name in node.names:
                found[(*scope, "import", name.asname or name.name)] += 1


def unified(path: str, before: str, after: str) -> list[str]:
    """Return the lines of a unified diff without line ends; a missing last one is said."""
    from difflib import unified_diff

    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    source = f"a/{path}" if before else "/dev/null"
    target = f"b/{path}" if after else "/dev/null"
    lines: list[str] = []
    for line in unified_diff(old, new, source, target):
        lines.append(line.rstrip("\n"))
        if not line.endswith("\n") and line[:1] in "+- ":
            lines.append("\\ No newline at end of file")
    return lines
