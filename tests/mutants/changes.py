"""Small changes of a module's functions, and putting one into the functions that are in use."""

from __future__ import annotations

import ast
import difflib
import importlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

_SQL = re.compile(r'"(BEGIN|COMMIT|INSERT|PRAGMA|ROLLBACK|SELECT)\b')


@dataclass(frozen=True)
class Change:
    """One function, changed in one place.

    Attributes:
        module: The module's name, from the root on.
        function: The function's name, of a method with its class.
        number: Counts the changes of the function from 1.
        line: The first line of the module that differs.
        old: The lines that differ, as they are.
        new: The same as they become; empty if they go.
        source: The whole module with the change.
    """

    module: str
    function: str
    number: int
    line: int
    old: str
    new: str
    source: str

    @property
    def name(self) -> str:
        """What to call it: the function and the number."""
        return f"{self.module.rpartition('.')[2]}.{self.function} {self.number}"


def changes_of(module: str) -> list[Change]:
    """Return every change that mutmut knows to make within the functions of a module.

    It leaves out decorated functions, so properties, and what stands outside of functions.
    Left out as well is a change of nothing but upper and lower case in SQL, which knows none.
    """
    # Installed by `make mutants` alone.
    from libcst import FunctionDef
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    path = _path_of(module)
    source = path.read_text()
    tree, mutations, *_ = create_mutations(str(path), source)
    names = {
        (node.lineno, node.name): name for name, node in functions_in(ast.parse(source)).items()
    }
    numbers: Counter[str] = Counter()
    found = []
    for mutation in mutations:
        if not isinstance(mutation.contained_by_top_level_function, FunctionDef):
            continue
        whole: Any = deep_replace(tree, mutation.original_node, mutation.mutated_node)
        changed: str = whole.code
        line, old, new = _difference(source, changed)
        if _SQL.search(old) and old.upper() == new.upper():
            continue
        function = max(place for place in names if place[0] <= line)
        numbers[names[function]] += 1
        found.append(
            Change(module, names[function], numbers[names[function]], line, old, new, changed)
        )
    return found


def functions_in(tree: ast.Module) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions and methods of a module by their names; none within another."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for node in tree.body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                found[prefix + inner.name] = inner
    return found


def put_in(change: Change) -> None:
    """Change the function in this process, for everyone who has imported it."""
    module = importlib.import_module(change.module)
    definition = functions_in(ast.parse(change.source))[change.function]
    definition.decorator_list = []
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    alone = ast.fix_missing_locations(ast.Module([future, definition], []))
    names = dict(vars(module))
    exec(compile(alone, str(_path_of(change.module)), "exec"), names)
    new = names[definition.name]
    owner: object = module
    for name in change.function.split(".")[:-1]:
        owner = vars(owner)[name]
    old = vars(owner)[definition.name]
    old = getattr(old, "__func__", old)
    assert isinstance(old, FunctionType)
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def _path_of(module: str) -> Path:
    return Path(f"{module.replace('.', '/')}.py")


def _difference(old: str, new: str) -> tuple[int, str, str]:
    before, after = old.splitlines(), new.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    parts = [part for part in matcher.get_opcodes() if part[0] != "equal"]
    (_, begin, _, new_begin, _), (_, _, end, _, new_end) = parts[0], parts[-1]
    return begin + 1, "\n".join(before[begin:end]), "\n".join(after[new_begin:new_end])
