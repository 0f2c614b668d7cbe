"""Merges the imports of a module as a set, so that a merge of lines need not touch them.

What is imported follows from the code below it, and two changes of it are nearly always about
neighbouring lines, in an order that no merge of lines keeps.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dolittle_cli.scaffold.imports import Import, import_block


@dataclass(frozen=True)
class ImportMerge:
    """Three texts of a module with the same imports in all of them.

    Attributes:
        base: What both sides began with.
        yours: What the owner made of it.
        generated: What is generated now.
    """

    base: str
    yours: str
    generated: str
    _imports: frozenset[Import]
    _optional: frozenset[Import]
    _used: frozenset[Import]
    _package: str

    def settled(self, text: str) -> str:
        """Return a merged text that imports what it uses.

        An import that one side no longer needs stays if the other's lines do need it, and one
        that lost its last use by the merge goes.

        Args:
            text: The three texts, merged; a module.
        """
        block = _block_of(text)
        if block is None:
            return text
        names = _referenced(text)
        defined = _defined(text)
        wanted = {
            item
            for item in self._imports
            if item not in self._used or _bound_name(item) in names or item not in block.imports
        }
        wanted |= {
            item
            for item in self._optional
            if _bound_name(item) in names and _bound_name(item) not in defined
        }
        if wanted == block.imports or not wanted:
            return text
        return block.replaced(import_block(sorted(wanted), self._package))


def merge_imports(base: str, yours: str, generated: str) -> ImportMerge | None:
    """Merge the imports of three texts of a module.

    Returns:
        ``None`` where they are written in another way than ours on any side, or where two of
        them give one name two meanings; that is for a merge of lines.
    """
    blocks = [_block_of(text) for text in (base, yours, generated)]
    old, mine, theirs = blocks
    if old is None or mine is None or theirs is None:
        return None
    package = _package_of([old, mine, theirs])
    if package is None:
        return None
    both = mine.imports | theirs.imports
    merged = {
        item
        for item in both
        if (item in mine.imports and item in theirs.imports) or item not in old.imports
    }
    if not merged or len({_bound_name(item) for item in both}) < len(both):
        return None
    text = import_block(sorted(merged), package)
    try:
        names = [(block.imports, _referenced(block.text)) for block in (mine, theirs)]
    except SyntaxError:
        return None  # what can be read and not be compiled: a return outside of a function
    used = {
        item
        for item in merged
        if all(_bound_name(item) in found for there, found in names if item in there)
    }
    return ImportMerge(
        old.replaced(text),
        mine.replaced(text),
        theirs.replaced(text),
        frozenset(merged),
        frozenset(both - merged),
        frozenset(used),
        package,
    )


def without_unused(text: str, imports: Iterable[Import], package: str) -> str:
    """Return a module without some imports, where it does not use them.

    Args:
        text: The module.
        imports: Which ones may go.
        package: The project's own package.
    """
    block = _block_of(text)
    if block is None or not block.is_written_so(package):
        return text
    names = _referenced(text)
    gone = {item for item in imports if _bound_name(item) not in names} & block.imports
    if not gone or gone == block.imports:
        return text
    return block.replaced(import_block(sorted(block.imports - gone), package))


@dataclass(frozen=True)
class _Block:
    """The imports at the top of a module.

    Attributes:
        text: The whole module's.
        first: Their first line, from 0.
        end: The line behind the last one.
        imports: What is imported.
    """

    text: str
    first: int
    end: int
    imports: frozenset[Import]

    def replaced(self, imports: str) -> str:
        """Return the module with other lines in place of the imports."""
        lines = self.text.split("\n")
        return "\n".join([*lines[: self.first], *imports.split("\n"), *lines[self.end :]])

    def is_written_so(self, package: str) -> bool:
        """Tell whether the imports are written as we would write them."""
        lines = self.text.split("\n")[self.first : self.end]
        return "\n".join(lines) == import_block(sorted(self.imports), package)

    def modules(self) -> set[str]:
        """Return the packages that something is imported from."""
        return {module.partition(".")[0].partition(" ")[0] for module, _ in self.imports}


def _block_of(text: str) -> _Block | None:
    """Find the imports of a module; ``None``: it has none, or is no Python."""
    if "\r" in text or "\f" in text:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    nodes: list[ast.Import | ast.ImportFrom] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            nodes.append(node)
        elif nodes:
            break
    if not nodes:
        return None
    imports = frozenset(item for node in nodes for item in _imports_of(node))
    return _Block(text, nodes[0].lineno - 1, nodes[-1].end_lineno or 0, imports)


def _imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for item in node.names:
        name = f"{item.name} as {item.asname}" if item.asname else item.name
        if isinstance(node, ast.Import):
            yield name, ""
        else:
            yield "." * node.level + (node.module or ""), name


def _package_of(blocks: list[_Block]) -> str | None:
    """Return the package whose imports stand last in all of the blocks; ``None``: in none."""
    candidates = sorted(set().union(*(block.modules() for block in blocks)))
    for package in ("", *candidates):
        if all(block.is_written_so(package) for block in blocks):
            return package
    return None


def _bound_name(item: Import) -> str:
    module, name = item
    _, _, alias = (name or module).partition(" as ")
    return alias or name or module.partition(".")[0]


def _referenced(text: str) -> set[str]:
    """Return the names that a module looks up in its own level."""
    return set(_names(symtable.symtable(text, "module", "exec")))


def _names(table: symtable.SymbolTable) -> Iterator[str]:
    is_function = table.get_type() == "function"
    for symbol in table.get_symbols():
        # A class looks up a name that it may not have yet in the module.
        if symbol.is_referenced() and (symbol.is_global() or not is_function):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _names(child)


def _defined(text: str) -> set[str]:
    """Return the names that a module's own level defines, other than by an import."""
    table = symtable.symtable(text, "module", "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() and not s.is_imported()}
