"""Renames classes and modules in a Python file by its syntax tree; everything else stays as it is.

The only module that imports libcst, which keeps every space and comment of a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import MetadataWrapper, QualifiedNameProvider, QualifiedNameSource

from dolittle_cli.errors import CommandLineError
from dolittle_cli.scaffold.references import module_of


@dataclass(frozen=True)
class Renaming:
    """What is renamed.

    Attributes:
        module: The dotted name of the module that defines the classes.
        new_module: Its new name; may be the same.
        classes: New names by old ones.
    """

    module: str
    new_module: str
    classes: Mapping[str, str]

    def is_mentioned_in(self, text: str) -> bool:
        """Tell whether a file may have to change, which is cheaper than to parse it."""
        last = self.module.rpartition(".")[2]
        return last in text or any(name in text for name in self.classes)


def renamed(path: str, text: str, renaming: Renaming) -> str:
    """Return a file's text with the classes and the module renamed.

    Args:
        path: Of the file, below the project's folder.
        text: Its text; Python.
        renaming: What is renamed.

    Raises:
        CommandLineError: A new name means something else in the file already.
    """
    if not renaming.is_mentioned_in(text):
        return text
    # The parser makes no node twice, so that there is no need to copy them apart.
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    transformer = _Transformer(path, renaming)
    changed = wrapper.visit(transformer)
    if transformer.taken and transformer.changes:
        name = sorted(transformer.taken)[0]
        raise CommandLineError(
            f"the name {name!r} means something else in {path} already; nothing was written",
            hint="take another name, or rename the other one first",
        )
    return changed.code


@dataclass
class _Transformer(cst.CSTTransformer):
    """Renames where a name is bound by an import, is used, or is defined.

    Attributes:
        changes: How many names were changed.
        taken: New names that the file uses for something else.
        bound: Old names that mean the classes in this file.
        annotations: How many annotations the place under way lies in.
    """

    METADATA_DEPENDENCIES = (QualifiedNameProvider,)

    path: str
    renaming: Renaming
    changes: int = 0
    taken: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    annotations: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        own = module_of(self.path).split(".")
        self._package = own if self.path.endswith("__init__.py") else own[:-1]
        self._defines = module_of(self.path) == self.renaming.module
        old = self.renaming.module
        if self._defines:
            self.bound |= set(self.renaming.classes)
        self._full = {f"{old}.{name}": new for name, new in self.renaming.classes.items()}
        self._last = self.renaming.new_module.rpartition(".")[2]

    def leave_ImportFrom(  # noqa: N802 - the name that libcst calls
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom:
        """Rename the module that is imported from, and what is imported of it."""
        module = self._imported_module(original_node)
        if module == self.renaming.module and updated_node.module is not None:
            updated_node = updated_node.with_changes(module=self._moved(updated_node.module))
            return self._with_names(updated_node, self.renaming.classes)
        parent, _, last = self.renaming.module.rpartition(".")
        if module == parent:
            names = {last: self._last}
            # A package may hand on what its modules define: from kitchen.events import Dish.
            return self._with_names(updated_node, {**names, **self.renaming.classes})
        return updated_node

    def leave_Import(  # noqa: N802 - the name that libcst calls
        self, original_node: cst.Import, updated_node: cst.Import
    ) -> cst.Import:
        """Rename the module where it is imported by its dotted name."""
        names = [
            alias.with_changes(name=self._moved(alias.name))
            if _dotted(before.name) == self.renaming.module
            else alias
            for before, alias in zip(original_node.names, updated_node.names, strict=True)
        ]
        return updated_node.with_changes(names=names)

    def leave_Name(  # noqa: N802 - the name that libcst calls
        self, original_node: cst.Name, updated_node: cst.Name
    ) -> cst.Name:
        """Rename a class, or the module's own name, where it is used."""
        value = original_node.value
        new = self._new_name(original_node)
        if new is not None and new[0] == value:
            self.changes += new[1] != value
            return updated_node.with_changes(value=new[1])
        if value in self.renaming.classes.values() and self._is_bound(original_node):
            self.taken.add(value)
        return updated_node

    def leave_Attribute(  # noqa: N802 - the name that libcst calls
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.Attribute:
        """Rename what is reached through the module: ``dish_prepared.DishPrepared``."""
        new = self._new_name(original_node)
        if new is not None and new[0] == original_node.attr.value:
            self.changes += new[0] != new[1]
            attr = updated_node.attr.with_changes(value=new[1])
            return updated_node.with_changes(attr=attr)
        return updated_node

    def visit_Annotation(self, _: cst.Annotation) -> None:  # noqa: N802 - as above
        """Note that what follows is an annotation, in which a string holds code."""
        self.annotations += 1

    def leave_Annotation(  # noqa: N802 - the name that libcst calls
        self, _: cst.Annotation, updated_node: cst.Annotation
    ) -> cst.Annotation:
        """Note that the annotation ends."""
        self.annotations -= 1
        return updated_node

    def leave_SimpleString(  # noqa: N802 - the name that libcst calls
        self, _: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        """Rename in a quoted annotation; leave other strings, nobody knows who reads them."""
        if not self.annotations:
            return updated_node
        value = updated_node.value
        for name in self.bound & set(self.renaming.classes):
            value = _word(name).sub(self.renaming.classes[name], value)
        self.changes += value != updated_node.value
        return updated_node.with_changes(value=value)

    def _new_name(self, node: cst.CSTNode) -> tuple[str, str] | None:
        """Return the old and new last part of what a node names; ``None``: nothing of ours."""
        for found in self.get_metadata(QualifiedNameProvider, node, set()):
            name = found.name
            if found.source is QualifiedNameSource.LOCAL:
                if not self._defines:
                    continue
                if name in self.renaming.classes:
                    return name, self.renaming.classes[name]
                continue
            name = self._absolute(name)
            last = name.rpartition(".")[2]
            if name in self._full:
                return last, self._full[name]
            if name == self.renaming.module:
                return last, self._last
            parent = self.renaming.module.rpartition(".")[0]
            if name.rpartition(".")[0] == parent and last in self.renaming.classes:
                return last, self.renaming.classes[last]
        return None

    def _absolute(self, name: str) -> str:
        """Return the dotted name for one that begins with the dots of a relative import."""
        rest = name.lstrip(".")
        level = len(name) - len(rest)
        if not level:
            return name
        return ".".join([*self._package[: len(self._package) - level + 1], rest])

    def _is_bound(self, node: cst.Name) -> bool:
        return bool(self.get_metadata(QualifiedNameProvider, node, set()))

    def _imported_module(self, node: cst.ImportFrom) -> str:
        module = _dotted(node.module) if node.module is not None else ""
        if not node.relative:
            return module
        above = self._package[: len(self._package) - len(node.relative) + 1]
        return ".".join([*above, *([module] if module else [])])

    def _moved(self, node: cst.Attribute | cst.Name) -> cst.Attribute | cst.Name:
        """Return a module's dotted name, which may be relative, with its last part renamed."""
        if isinstance(node, cst.Attribute):
            return node.with_changes(attr=node.attr.with_changes(value=self._last))
        return node.with_changes(value=self._last)

    def _with_names(self, node: cst.ImportFrom, names: Mapping[str, str]) -> cst.ImportFrom:
        if isinstance(node.names, cst.ImportStar):
            return node
        changed = []
        for alias in node.names:
            value = alias.name.value if isinstance(alias.name, cst.Name) else ""
            if value in names:
                self.changes += 1
                if alias.asname is None:
                    self.bound.add(value)
                alias = alias.with_changes(name=cst.Name(names[value]))
            changed.append(alias)
        return node.with_changes(names=changed)


def mentions(text: str, names: Iterable[str]) -> list[tuple[int, str]]:
    """Return where a text has one of some names as a word: line from 1, and name."""
    patterns = {name: _word(name) for name in names}
    return [
        (number, name)
        for number, line in enumerate(text.splitlines(), start=1)
        for name, pattern in patterns.items()
        if pattern.search(line)
    ]


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])")


def _dotted(node: cst.Attribute | cst.Name | None) -> str:
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"  # type: ignore[arg-type]
    return node.value if node is not None else ""
