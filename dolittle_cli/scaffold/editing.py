"""Edits a Python module at places that its syntax tree names, in whole lines, or not at all."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.imports import (
    Import,
    from_imports,
    import_block,
    module_key,
    section_of,
)


class NotSure(CommandLineError):
    """A file is written in a way that an edit could spoil; nothing was written.

    Attributes:
        path: The file, below the project's folder.
        reason: What is unusual in it.
        lines: What its owner is to paste.
    """

    code = "not-sure"

    def __init__(self, path: str, reason: str, lines: Sequence[str] = ()) -> None:
        self.path, self.reason, self.lines = path, reason, tuple(lines)
        super().__init__(
            f"{path}: {reason}, so this is left to you; nothing was written",
            hint=f"put the lines above into {path}" if lines else "change it by hand",
        )


class ModuleEdit:
    """One module, and the edits that are to be made in it.

    Edits are noted down with the lines of the text as it was read, and made together.
    """

    def __init__(self, path: str, text: str) -> None:
        """Read a module.

        Args:
            path: Below the project's folder, for messages.
            text: The module's.

        Raises:
            NotSure: It is no Python, or its lines do not end as ours do.
        """
        self.path, self._text = path, text
        if "\r" in text or "\f" in text:
            raise NotSure(path, "its lines do not end with a plain newline")
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            raise NotSure(path, "it is no Python at the moment") from error
        self._lines = text.split("\n")
        self._edits: list[tuple[int, int, str]] = []

    def class_named(self, name: str) -> ast.ClassDef:
        """Return a class of the module's own level.

        Raises:
            NotSure: There is not exactly one, or its body is not indented by four spaces.
        """
        found = [n for n in self.tree.body if isinstance(n, ast.ClassDef) and n.name == name]
        if len(found) != 1:
            raise NotSure(self.path, f"it has {len(found)} classes {name} of its own level")
        first = found[0].body[0]
        if first.lineno == found[0].lineno or first.col_offset != 4:
            raise NotSure(self.path, f"the body of {name} is not indented by four spaces")
        return found[0]

    def functions(self) -> set[str]:
        """Return the names of the functions of the module's own level."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return {node.name for node in self.tree.body if isinstance(node, kinds)}

    def insert_after(self, line: int, text: str) -> None:
        """Insert text behind a line, from 1; 0: at the beginning."""
        self._edits.append((line + 1, line, text))

    def replace(self, first: int, last: int, text: str) -> None:
        """Replace whole lines, from 1, both included."""
        self._edits.append((first, last, text))

    def append(self, text: str) -> None:
        """Put a function or class at the end, behind two empty lines."""
        last = max((node.end_lineno or 0 for node in self.tree.body), default=0)
        while last < len(self._lines) and self._lines[last].strip():
            last += 1
        self.insert_after(last, f"\n\n{text}")

    def stands_alone(self, node: ast.expr | ast.stmt, before: str = "") -> bool:
        """Tell whether nothing but ``before`` and a comment share the lines of a node."""
        first = self._lines[node.lineno - 1].encode()
        last = self._lines[(node.end_lineno or 0) - 1].encode()
        behind = last[node.end_col_offset or 0 :].strip()
        is_free = not behind or behind.startswith(b"#")
        return first[: node.col_offset].decode().strip() == before and is_free

    def source_of(self, node: ast.expr | ast.stmt) -> str:
        """Return the text of a node as its owner wrote it, on one line.

        Raises:
            NotSure: It goes over several lines.
        """
        found = ast.get_source_segment(self._text, node) or ""
        if not found or "\n" in found:
            raise NotSure(self.path, f"a part of line {node.lineno} is laid out by hand")
        return found

    def need(self, imports: Iterable[Import], package: str) -> None:
        """Import names, beside or among the imports that there are.

        Raises:
            NotSure: A name means something else in this module.
        """
        block = self._import_block()
        present = [found for node in block for found in _imports_of(node)]
        bound = _bound(self.tree)
        missing = []
        for module, name in imports:
            if (module, name) in present:
                continue
            if (name or module) in bound:
                raise NotSure(self.path, f"the name {name or module} means something else in it")
            missing.append((module, name))
        if not missing:
            return
        if not block:
            docstring = self.tree.body[0].end_lineno or 0 if ast.get_docstring(self.tree) else 0
            text = import_block(missing, package)
            self.insert_after(docstring, f"\n{text}" if docstring else f"{text}\n\n")
            return
        first, last = block[0].lineno, block[-1].end_lineno or 0
        as_it_is = "\n".join(self._lines[first - 1 : last])
        if as_it_is == import_block(present, package):
            self.replace(first, last, import_block([*present, *missing], package))
        else:
            self._import_among(block, missing, package)

    def _import_among(
        self, block: list[ast.Import | ast.ImportFrom], missing: list[Import], package: str
    ) -> None:
        """Add imports to a block that its owner ordered or commented; what is there stays."""
        names: dict[str, set[str]] = {}
        for module, name in missing:
            names.setdefault(module, set()).add(name)
        for module in sorted(names, key=module_key):
            same = [node for node in block if self._is_plain(node) and _module_of(node) == module]
            if same:
                there = {name for found in _imports_of(same[0]) for name in found[1:]}
                lines = from_imports(module, names[module] | there)
                self.replace(same[0].lineno, same[0].end_lineno or 0, "\n".join(lines))
                continue
            text = import_block([(module, name) for name in names[module]], package)
            section = section_of(module, package)
            beside = [node for node in block if section_of(_module_of(node), package) == section]
            before = [n for n in beside if module_key(_module_of(n)) < module_key(module)]
            if before:
                self.insert_after(before[-1].end_lineno or 0, text)
            elif beside:
                self.insert_after(beside[0].lineno - 1, text)
            else:
                self.insert_after(block[-1].end_lineno or 0, f"\n{text}")

    def _is_plain(self, node: ast.Import | ast.ImportFrom) -> bool:
        """Tell whether an import stands on one line, without a comment and without an alias."""
        return (
            isinstance(node, ast.ImportFrom)
            and node.lineno == node.end_lineno
            and "#" not in self._lines[node.lineno - 1]
            and self.stands_alone(node)
            and not any(item.asname or item.name == "*" for item in node.names)
        )

    def text(self) -> str:
        """Return the module with the edits made.

        Raises:
            NotSure: It would be no Python.
        """
        lines = list(self._lines)
        numbered = list(enumerate(self._edits))
        # From the end on, so that line numbers stay right; at one place, the last one first.
        # And what is replaced goes before what is inserted in front of it.
        ordered = sorted(numbered, key=lambda e: (*e[1][:2], e[0]), reverse=True)
        for _, (first, last, text) in ordered:
            lines[first - 1 : last] = text.split("\n")
        made = "\n".join(lines)
        try:
            ast.parse(made)
        except SyntaxError as error:
            raise NotSure(self.path, "the edit would not be Python") from error
        return made if made.endswith("\n") else f"{made}\n"

    def _import_block(self) -> list[ast.Import | ast.ImportFrom]:
        """Return the imports that follow one another at the top, without ``__future__``."""
        block: list[ast.Import | ast.ImportFrom] = []
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                continue
            if isinstance(node, ast.Import | ast.ImportFrom):
                block.append(node)
            elif block:
                break
        return block


def first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the line on which a class or function begins, with its decorators."""
    return min([node.lineno, *(item.lineno for item in node.decorator_list)])


def _imports_of(node: ast.Import | ast.ImportFrom) -> list[Import]:
    if isinstance(node, ast.Import):
        return [(f"{n.name} as {n.asname}" if n.asname else n.name, "") for n in node.names]
    module = "." * node.level + (node.module or "")
    return [(module, f"{n.name} as {n.asname}" if n.asname else n.name) for n in node.names]


def _module_of(node: ast.Import | ast.ImportFrom) -> str:
    return _imports_of(node)[0][0]


def _bound(tree: ast.Module) -> set[str]:
    """Return the names that a module's own level gives a meaning to."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {item.id for item in targets if isinstance(item, ast.Name)}
            case ast.Import(names=aliases):
                names |= {(a.asname or a.name).partition(".")[0] for a in aliases}
            case ast.ImportFrom(names=aliases):
                names |= {a.asname or a.name for a in aliases}
    return names
