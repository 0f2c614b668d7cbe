"""Reads what a microservice's package declares from its source, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dolittle.errors import suggest
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.expressions import (
    aliases_of,
    default_code,
    enums_of,
    imported,
    limits_of_call,
    may_be_repeated,
)
from dolittle_cli.scaffold.imports import Import
from dolittle_cli.scaffold.line_ends import with_newlines
from dolittle_cli.scaffold.names import snake
from dolittle_cli.scaffold.types import (
    SCALARS,
    Code,
    Constrained,
    Field,
    FieldType,
    Foreign,
    Listed,
    Mapped,
    Maybe,
    Scalar,
    Valued,
    member,
    python_text,
)

FOLDERS: Final = {
    "event": "events",
    "aggregate": "aggregates",
    "handler": "handlers",
    "projection": "projections",
    "value": "values",
}
"""Where each kind of thing is generated, below the package."""

_KINDS: Final = {
    "event_type": "event",
    "aggregate_root": "aggregate",
    "event_handler": "handler",
    "projection": "projection",
    "value": "value",
}
_SHARE_IDS: Final = (("event",), ("aggregate",), ("handler", "projection"))
"""Kinds whose ids must differ from one another."""


@dataclass(frozen=True)
class DeclaredClass:
    """A class of the package.

    Attributes:
        kind: ``event``, ``aggregate``, ``handler``, ``projection``, ``value`` or, for any other
            class and for the name of a constrained type, ``class``.
        module: Its dotted name.
        path: Its file.
        fields: In the order of the source.
        stored_id: The id that its decorator says; empty: it is stored under its name.
        handles: Of a handler: event types and the methods that they are handled by.
    """

    kind: str
    name: str
    module: str
    path: Path
    fields: tuple[Field, ...] = ()
    stored_id: str = ""
    handles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """The classes of a package, and the files that are no Python at the moment.

    Attributes:
        root: The project's folder.
        folder: The package's folder, in the project's or in its ``src``.
        unreadable: Paths below ``root``.
    """

    root: Path
    package: str
    folder: Path
    classes: tuple[DeclaredClass, ...]
    unreadable: tuple[str, ...] = ()

    def event(self, name: str) -> DeclaredClass:
        """Return an event type by its class name.

        Raises:
            WrongUsage: There is none.
        """
        events = {item.name: item for item in self.classes if item.kind == "event"}
        if name in events:
            return events[name]
        hint = suggest(name, sorted(events))
        if not events:
            hint = f"add it first: dolittle add event {name}"
        if self.unreadable:
            hint += f" (left out, since they are no Python: {', '.join(self.unreadable)})"
        raise WrongUsage(f"there is no event {name!r} in {self.package}", hint=hint)

    def thing(self, kind: str, name: str) -> DeclaredClass:
        """Return a thing by its class name.

        Raises:
            WrongUsage: There is none.
        """
        if kind == "event":
            return self.event(name)
        things = {item.name: item for item in self.classes if item.kind == kind}
        if name not in things:
            hint = suggest(name, sorted(things)) if things else f"add it: dolittle add {kind}"
            raise WrongUsage(f"there is no {kind} {name!r} in {self.package}", hint=hint)
        return things[name]

    def values(self) -> dict[str, Valued]:
        """Return the value objects, by name."""
        return {
            item.name: Valued(item.name, item.module, item.fields)
            for item in self.classes
            if item.kind == "value"
        }

    def users(self, name: str) -> list[str]:
        """Return the classes that have a field of a value object, or of one that is made of it."""
        return [
            item.name for item in self.classes if any(is_made_of(f.type, name) for f in item.fields)
        ]

    def check_free(self, kind: str, name: str, *, besides: str = "") -> None:
        """Refuse a name that something else has: the same class, file or id, or but for the case.

        A thing of the same kind in the file where it would be generated is left to the plan:
        there, it is identical or it is refused.

        Args:
            kind: What is to have the name.
            name: A class name.
            besides: A class that may have the name as its id: the one that is renamed.

        Raises:
            WrongUsage: The name is taken.
        """
        self._check_id_free(kind, name, besides)
        module = snake(name)
        own = self.folder / FOLDERS[kind] / f"{module}.py"
        for item in self.classes:
            if item.path == own and item.name == name and item.kind == kind:
                continue
            same_file = item.kind in FOLDERS and item.path.stem.lower() == module
            if item.name.lower() != name.lower() and not same_file:
                continue
            place = item.path.relative_to(self.root)
            raise WrongUsage(
                f"the name {name!r} is taken by the {item.kind} {item.name} in {place}",
                hint="take another name",
            )

    def _check_id_free(self, kind: str, name: str, besides: str) -> None:
        """Refuse a name under which a thing is stored that was renamed."""
        kinds = next((group for group in _SHARE_IDS if kind in group), ())
        for item in self.classes:
            if item.kind in kinds and item.stored_id == name and item.name not in (name, besides):
                place = item.path.relative_to(self.root)
                raise WrongUsage(
                    f"the name {name!r} is taken: the {item.kind} {item.name} in {place} "
                    "is stored under it",
                    hint="take another name",
                )


def read_source(root: Path, package: str, texts: Mapping[str, str | None] | None = None) -> Source:
    """Read all modules of a package in a project's folder.

    Args:
        root: The project's folder.
        package: The package's name.
        texts: By path below ``root``, texts that stand in for those of files; ``None``: as if
            the file were not there.

    Raises:
        CommandLineError: There is no such package, or a file cannot be read.
    """
    folder = root / package
    if not folder.is_dir():
        folder = root / "src" / package
    if not folder.is_dir():
        raise CommandLineError(
            f"there is no package {package!r} in {root}",
            hint="is [microservice] package in dolittle.toml right?",
        )
    classes: list[DeclaredClass] = []
    unreadable: list[str] = []
    instead = {root / path: text for path, text in (texts or {}).items()}
    added = {path for path in instead if path.suffix == ".py" and path.is_relative_to(folder)}
    for path in sorted({*folder.rglob("*.py"), *added}):
        relative = str(path.relative_to(root))
        try:
            text = instead[path] if path in instead else with_newlines(path.read_bytes().decode())
            if text is None:
                continue
            tree = ast.parse(text, str(path))
        except (SyntaxError, ValueError):
            unreadable.append(relative)
            continue
        except OSError as error:
            raise CommandLineError(f"cannot read {relative}: {error.strerror}") from error
        parts = path.relative_to(folder.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        classes += _Module(module, path, text, tree).classes()
    return Source(root, package, folder, _with_values(classes), tuple(unreadable))


def _with_values(classes: list[DeclaredClass]) -> tuple[DeclaredClass, ...]:
    """Let the fields that are value objects of the package know what those are made of."""
    known = {(item.module, item.name): item for item in classes if item.kind == "value"}

    def found(of: FieldType, within: tuple[str, ...]) -> FieldType:
        match of:
            case Listed(item) | Mapped(item) | Maybe(item) | Constrained(item):
                return replace(of, item=found(item, within))
            case Foreign(text, imports) if len(imports) == 1 and text not in within:
                value = known.get(next(iter(imports)))
                if value is None or value.name != text:
                    return of
                return Valued(text, value.module, fields(value, (*within, text)))
            case _:
                return of

    def fields(owner: DeclaredClass, within: tuple[str, ...] = ()) -> tuple[Field, ...]:
        return tuple(replace(field, type=found(field.type, within)) for field in owner.fields)

    return tuple(replace(item, fields=fields(item, (item.name,))) for item in classes)


def is_made_of(of: FieldType, name: str) -> bool:
    """Tell whether a type is a value object, or is made of it, however deep."""
    match of:
        case Valued(name=own, fields=fields):
            return own == name or any(is_made_of(field.type, name) for field in fields)
        case Listed(item) | Mapped(item) | Maybe(item) | Constrained(item):
            return is_made_of(item, name)
        case _:
            return False


class _Module:
    """One parsed module."""

    def __init__(self, module: str, path: Path, text: str, tree: ast.Module) -> None:
        self._module, self._path, self._text = module, path, text
        self._classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        self._enums = dict(enums_of(self._classes, module))
        self._imports = dict(imported(tree))
        self._aliases = dict(aliases_of(tree))

    def classes(self) -> list[DeclaredClass]:
        declared = [self._declared(node) for node in self._classes]
        aliases = [DeclaredClass("class", name, self._module, self._path) for name in self._aliases]
        return [*declared, *aliases]

    def _declared(self, node: ast.ClassDef) -> DeclaredClass:
        kinds = [_KINDS[name] for name in map(_decorator, node.decorator_list) if name in _KINDS]
        kind = kinds[0] if kinds else "class"
        fields = tuple(self._fields(node)) if kind != "class" else ()
        handled = tuple(_handled(node)) if kind == "handler" else ()
        stored = _stored_id(node)
        return DeclaredClass(kind, node.name, self._module, self._path, fields, stored, handled)

    def _fields(self, node: ast.ClassDef) -> Iterator[Field]:
        for item in node.body:
            if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                continue
            if "ClassVar" in ast.unparse(item.annotation):
                continue
            of = self._type(item.annotation)
            if item.value is None:
                yield Field(item.target.id, of)
                continue
            code = default_code(item.value) or ast.unparse(item.value)
            default = Code(code, self._needed(item.value))
            is_constant = may_be_repeated(item.value) or self._is_member(item.value)
            yield Field(item.target.id, of, default, is_constant=is_constant)

    def _is_member(self, node: ast.expr) -> bool:
        """Tell whether an expression is a member of an enum class of this module."""
        match node:
            case ast.Attribute(value=ast.Name(name), attr=attribute) if name in self._enums:
                return attribute in map(member, self._enums[name].values)
            case _:
                return False

    def _type(self, node: ast.expr) -> FieldType:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._quoted(node.value)
        if isinstance(node, ast.Name):
            if node.id in self._enums:
                return self._enums[node.id]
            if node.id in SCALARS:
                return Scalar(node.id)
            if node.id in self._aliases:
                of = self._constrained(self._aliases[node.id])
                if of is not None:
                    return replace(of, alias=node.id, module=self._module)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and _is_none(node.right):
            return Maybe(self._type(node.left))
        found = self._container(node) or self._constrained(node)
        return found or Foreign(self._as_written(node), self._needed(node))

    def _container(self, node: ast.expr) -> FieldType | None:
        if not isinstance(node, ast.Subscript):
            return None
        match ast.unparse(node.value), node.slice:
            case "Optional" | "typing.Optional", inner:
                return Maybe(self._type(inner))
            case "list", ast.Name() | ast.Subscript() | ast.BinOp() as inner:
                return Listed(self._type(inner))
            case "dict", ast.Tuple(elts=[ast.Name(id="str"), value]):
                return Mapped(self._type(value))
            case _:
                return None

    def _constrained(self, node: ast.expr) -> Constrained | None:
        """Read ``Annotated[int, constraint(ge=1)]``; ``None`` for anything else."""
        match node:
            case ast.Subscript(
                value=ast.Name("Annotated") | ast.Attribute(attr="Annotated"),
                slice=ast.Tuple(
                    elts=[
                        item,
                        ast.Call(
                            func=ast.Name("constraint") | ast.Attribute(attr="constraint"),
                            args=[],
                            keywords=keywords,
                        ),
                    ]
                ),
            ):
                limits = limits_of_call(keywords)
                return Constrained(self._type(item), limits) if limits else None
            case _:
                return None

    def _as_written(self, node: ast.expr) -> str:
        """Return an expression with the quotes that its author chose, on one line."""
        found = ast.get_source_segment(self._text, node) or ""
        return found if found and "\n" not in found else ast.unparse(node)

    def _quoted(self, text: str) -> FieldType:
        try:
            return self._type(ast.parse(text, mode="eval").body)
        except SyntaxError:
            return Foreign(python_text(text))

    def _needed(self, node: ast.expr) -> frozenset[Import]:
        """Return what must be imported elsewhere for the names of an expression."""
        own = {*(item.name for item in self._classes), *self._aliases}
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        there = {self._imports[name] for name in names if name in self._imports}
        return frozenset(there | {(self._module, name) for name in names & own})


def _handled(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in method.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Name("handles"), args=[ast.Name(event)]):
                        yield event, method.name


def _stored_id(node: ast.ClassDef) -> str:
    """Return the id that a class's decorator says as its first argument; empty: it says none."""
    for decorator in node.decorator_list:
        if _decorator(decorator) in _KINDS and isinstance(decorator, ast.Call) and decorator.args:
            first = decorator.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return first.value
    return ""


def _decorator(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
