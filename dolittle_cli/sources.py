"""A package's source as syntax trees: what a name means, where a function is. Imports nothing.

Names are resolved to dotted names (``datetime.datetime.now``, ``kitchen.events.DishPrepared``)
through the imports of their module, and through re-exports within the package.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import dolittle

RE_EXPORTS_MAX: Final = 20
"""Modules that a name is followed through, so that a circle of imports ends."""

FRAMEWORK: Final = "dolittle"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Unread:
    """A source file that cannot be parsed.

    Attributes:
        line: From 1; 0 where none is known.
    """

    path: Path
    line: int
    reason: str


@dataclass(frozen=True)
class Module:
    """One source file.

    Attributes:
        imports: What each imported name means, dotted.
        stars: The modules of which everything is imported (``from … import *``).
        defined: The names that the module's own top level defines.
    """

    name: str
    path: Path
    lines: tuple[str, ...]
    tree: ast.Module
    imports: Mapping[str, str]
    stars: tuple[str, ...]
    defined: frozenset[str]


@dataclass(frozen=True)
class SourceFunction:
    """A function or method; ``owner`` is the dotted name of its class, or empty."""

    name: str
    module: Module
    node: FunctionNode
    owner: str = ""

    @property
    def dotted(self) -> str:
        """The whole name."""
        return f"{self.owner or self.module.name}.{self.name}"

    @property
    def first_parameter(self) -> str:
        """What the method calls its instance; empty if it has no parameter."""
        positional = [*self.node.args.posonlyargs, *self.node.args.args]
        return positional[0].arg if positional else ""

    @cached_property
    def own_names(self) -> frozenset[str]:
        """Parameters and names that are assigned in the function: they hide what is outside."""
        arguments = self.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names = {item.arg for item in every}
        names |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item}
        for node in ast.walk(self.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
        return frozenset(names)


@dataclass(frozen=True)
class SourceClass:
    """A class at the top level of a module.

    Attributes:
        marks: What the framework's decorators make of it: ``event_type``, ``aggregate_root`` …,
            each with the decorator as it stands there.
        bases: The dotted names of its bases.
    """

    dotted: str
    module: Module
    node: ast.ClassDef
    marks: Mapping[str, ast.expr]
    bases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The class name."""
        return self.node.name


@dataclass(frozen=True)
class Sources:
    """All modules of a package.

    Attributes:
        modules: By dotted name.
        unread: The files that cannot be parsed.
    """

    modules: Mapping[str, Module] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()

    @cached_property
    def classes(self) -> dict[str, SourceClass]:
        """The classes at the top level of every module, by dotted name."""
        return {found.dotted: found for found in self._classes()}

    @cached_property
    def functions(self) -> dict[str, SourceFunction]:
        """The functions of every module and the methods of every class, by dotted name."""
        found: dict[str, SourceFunction] = {}
        for module in self.modules.values():
            for node in module.tree.body:
                if isinstance(node, FunctionNode):
                    function = SourceFunction(node.name, module, node)
                    found[function.dotted] = function
        for cls in self.classes.values():
            for node in cls.node.body:
                if isinstance(node, FunctionNode):
                    function = SourceFunction(node.name, cls.module, node, cls.dotted)
                    found[function.dotted] = function
        return found

    def marked(self, mark: str) -> list[SourceClass]:
        """Return the classes that a decorator of the framework marks, e.g. ``event_type``."""
        return [cls for cls in self.classes.values() if mark in cls.marks]

    def resolve(self, module: Module, node: ast.expr, hidden: Iterable[str] = ()) -> str:
        """Return the dotted name that an expression stands for; empty if it is no name.

        Args:
            module: Where it stands.
            node: The expression.
            hidden: Names that mean something else there: parameters, local variables.
        """
        if isinstance(node, ast.Attribute):
            start = self.resolve(module, node.value, hidden)
            return self.canonical(f"{start}.{node.attr}") if start else ""
        if not isinstance(node, ast.Name) or node.id in hidden:
            return ""
        dotted = self.canonical(f"{module.name}.{node.id}")
        if node.id in module.defined or dotted != f"{module.name}.{node.id}":
            return dotted
        return f"builtins.{node.id}" if hasattr(builtins, node.id) else ""

    def canonical(self, dotted: str) -> str:
        """Return the name under which something is defined, followed through re-exports."""
        for _ in range(RE_EXPORTS_MAX):
            owner, _, name = dotted.rpartition(".")
            module = self.modules.get(owner)
            if module is None or name in module.defined:
                return dotted
            found = module.imports.get(name) or self._starred(module, name)
            if not found:
                return dotted
            dotted = found
        return dotted

    def _starred(self, module: Module, name: str) -> str:
        """Return what ``from … import *`` makes of a name; empty if no such module has it."""
        for star in module.stars:
            if star == FRAMEWORK and name in dolittle.__all__:
                return f"{star}.{name}"
            known = self.modules.get(star)
            if known is not None and (name in known.defined or name in known.imports):
                return f"{star}.{name}"
        return ""

    def lineage(self, cls: SourceClass) -> list[SourceClass]:
        """Return a class and its bases within the package, nearest first."""
        found: list[SourceClass] = []
        waiting = [cls.dotted]
        while waiting:
            known = self.classes.get(waiting.pop(0))
            if known is not None and known not in found:
                found.append(known)
                waiting.extend(known.bases)
        return found

    def methods(self, cls: SourceClass) -> dict[str, SourceFunction]:
        """Return the methods of a class and of its bases within the package, by name."""
        found: dict[str, SourceFunction] = {}
        for known in self.lineage(cls):
            for node in known.node.body:
                if isinstance(node, FunctionNode) and node.name not in found:
                    found[node.name] = self.functions[f"{known.dotted}.{node.name}"]
        return found

    def marked_with(self, function: SourceFunction, mark: str) -> list[str]:
        """Return the dotted names of the classes in a method's ``@on(…)`` or ``@handles(…)``."""
        return [
            self.resolve(function.module, decorator.args[0])
            for decorator in function.node.decorator_list
            if isinstance(decorator, ast.Call)
            and decorator.args
            and is_of_framework(self.resolve(function.module, decorator.func), mark)
        ]

    def reached(self, start: SourceFunction, cls: SourceClass | None) -> list[SourceFunction]:
        """Return a function and what it calls within the package, itself first.

        Calls of the instance's methods (``self._check()``) and of functions by name are
        followed, not those through values.
        """
        methods = self.methods(cls) if cls is not None else {}
        found: list[SourceFunction] = []
        waiting = [start]
        while waiting:
            function = waiting.pop(0)
            if any(function is known for known in found):
                continue
            found.append(function)
            waiting.extend(self._called(function, methods))
        return found

    def _called(
        self, function: SourceFunction, methods: Mapping[str, SourceFunction]
    ) -> Iterator[SourceFunction]:
        for node in ast.walk(function.node):
            if not isinstance(node, ast.Call):
                continue
            name = method_called(node, function.first_parameter) if function.owner else ""
            if name in methods:
                yield methods[name]
                continue
            dotted = self.resolve(function.module, node.func, function.own_names)
            if dotted in self.functions:
                yield self.functions[dotted]

    def _classes(self) -> Iterator[SourceClass]:
        for module in self.modules.values():
            for node in module.tree.body:
                if isinstance(node, ast.ClassDef):
                    yield SourceClass(
                        f"{module.name}.{node.name}",
                        module,
                        node,
                        dict(self._marks(module, node)),
                        tuple(self.resolve(module, base) for base in node.bases),
                    )

    def _marks(self, module: Module, node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            dotted = self.resolve(module, called)
            if dotted.startswith(f"{FRAMEWORK}."):
                yield dotted.rpartition(".")[2], decorator


def read_sources(project: Path, package: str) -> Sources:
    """Parse every source file of a package, in ``project`` or ``project/src``."""
    modules: dict[str, Module] = {}
    unread: list[Unread] = []
    for root in (project, project / "src"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            try:
                text = path.read_text(encoding="utf-8")
                tree = ast.parse(text)
            except (OSError, SyntaxError, ValueError) as error:
                line = getattr(error, "lineno", None) or 0
                reason = getattr(error, "msg", None) or str(error)
                unread.append(Unread(path, line, reason))
                continue
            parent = name if is_package else name.rpartition(".")[0]
            imports = list(_imports(tree, parent))
            modules[name] = Module(
                name,
                path,
                tuple(text.splitlines()),
                tree,
                {local: dotted for local, dotted in imports if local != "*"},
                tuple(dotted.removesuffix(".*") for local, dotted in imports if local == "*"),
                frozenset(_defined(tree)),
            )
    return Sources(modules, tuple(unread))


def is_of_framework(dotted: str, name: str) -> bool:
    """Tell whether a dotted name is a name of the framework, wherever it is imported from."""
    return dotted.startswith(f"{FRAMEWORK}.") and dotted.rpartition(".")[2] == name


def method_called(call: ast.Call, instance: str) -> str:
    """Return the method of the instance that a call calls: ``self.apply(…)``; else nothing."""
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id == instance else ""
    return ""


def _imports(tree: ast.Module, parent: str) -> Iterator[tuple[str, str]]:
    """Yield what each imported name means; ``parent`` is where ``from . import`` looks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                first = item.name.partition(".")[0]
                yield (item.asname, item.name) if item.asname else (first, first)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                steps = parent.split(".")
                kept = steps[: len(steps) - (node.level - 1)]
                source = ".".join([*kept, source] if source else kept)
            for item in node.names:
                yield item.asname or item.name, f"{source}.{item.name}"


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, FunctionNode | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
