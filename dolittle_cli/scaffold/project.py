"""The microservice that ``add`` adds to: where it is, and what its source declares."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from dolittle.runtime.configuration import load_configuration
from dolittle_cli.errors import CommandLineError, WrongUsage
from dolittle_cli.scaffold.imports import Import, import_block
from dolittle_cli.scaffold.layout import Node, call, keyword
from dolittle_cli.scaffold.manifest import Manifest, read_manifest
from dolittle_cli.scaffold.names import snake
from dolittle_cli.scaffold.plan import Plan, plan_files
from dolittle_cli.scaffold.render import render, template_digest
from dolittle_cli.scaffold.samples import sample, typed_sample
from dolittle_cli.scaffold.source import FOLDERS, DeclaredClass, Source, read_source
from dolittle_cli.scaffold.types import Code, Field, annotation, enums

FIELD_CHARACTERS_MAX: Final = 76
"""Characters of a field's name and type, so that the beginning of a default fits beside them."""


@dataclass(frozen=True)
class Project:
    """A microservice's folder.

    Attributes:
        root: Absolute.
        name: Of the microservice.
        package: Its Python package.
    """

    root: Path
    name: str
    package: str
    source: Source

    @cached_property
    def manifest(self) -> Manifest:
        """What is remembered of the project, read when it is first asked for.

        Raises:
            ManifestDamaged: A record cannot be used.
        """
        return read_manifest(self.root)

    def module_of(self, kind: str, name: str) -> str:
        """Return the dotted name of the module that is generated for a thing."""
        return f"{self.package}.{FOLDERS[kind]}.{snake(name)}"

    def plan(self, kind: str, name: str, code: Mapping[str, Any], test: Mapping[str, Any]) -> Plan:
        """Render a thing's module and test, and plan to have both.

        Args:
            kind: Names the templates and the folder.
            name: The class.
            code: What the module's template is given.
            test: What the test's template is given.

        Raises:
            CommandLineError: A file or a template cannot be read.
        """
        folder = FOLDERS[kind]
        base = self.source.folder.relative_to(self.root).as_posix()
        package = f"{base}/{folder}/__init__.py"
        rendered = {
            f"{base}/{folder}/{snake(name)}.py": (f"{kind}/{kind}.py.jinja", code),
            f"tests/{folder}/test_{snake(name)}.py": (f"{kind}/test.py.jinja", test),
        }
        if not (self.root / package).exists():
            rendered[package] = (f"{kind}/package.py.jinja", {"package": self.package})
        return self.plan_rendered(rendered)

    def plan_rendered(self, rendered: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Plan:
        """Render templates, the project's own ones where it has them, and plan to have them.

        Args:
            rendered: By path, the template and what it is given.

        Raises:
            CommandLineError: A file or a template cannot be read.
        """
        texts = {
            path: render(template, values, self.root)
            for path, (template, values) in rendered.items()
        }
        templates = {
            path: (template, template_digest(template, self.root))
            for path, (template, _) in rendered.items()
        }
        return plan_files(self.root, texts, templates=templates)

    def imports(self, *parts: Code | Import | None) -> str:
        """Return the import lines that these expressions and imports need."""
        needed: set[Import] = set()
        for part in parts:
            if isinstance(part, Code):
                needed |= part.imports
            elif part is not None:
                needed.add(part)
        return import_block(needed, self.package)


@dataclass(frozen=True)
class SampleEvent:
    """An event of a type, made up for a test.

    Attributes:
        code: The call that makes it.
        values: The value of each field that the call gives.
    """

    code: Code
    values: Mapping[str, Code]


def open_project(root: Path, texts: Mapping[str, str | None] | None = None) -> Project:
    """Read what a project's ``dolittle.toml`` and source say.

    Args:
        root: The project's folder.
        texts: By path, texts that stand in for those of files; ``None``: as if it were not there.

    Raises:
        ConfigurationError: The file cannot be used.
        CommandLineError: The package is not there or cannot be read.
    """
    configuration = load_configuration(root)
    package = configuration.package
    return Project(root, configuration.name, package, read_source(root, package, texts))


def event_import(event: DeclaredClass) -> Import:
    """Return the import of an event's class."""
    return event.module, event.name


def sample_event(event: DeclaredClass) -> SampleEvent:
    """Make up an event: a value for each field whose type is known, defaults for the others.

    Raises:
        CommandLineError: A field without a default has a type of its own, so that no value can
            be made up.
    """
    values: dict[str, Code] = {}
    for field in event.fields:
        value = sample(field.type, field.name.replace("_", " "))
        if value is not None:
            values[field.name] = value
        elif field.default is None:
            raise CommandLineError(
                f"no value for a test can be made up for {event.name}.{field.name}, "
                f"a {annotation(field.type).node}",
                hint=f"give that field a default in {event.path.name}, or write this by hand",
            )
    items: list[Node] = [keyword(name, value.node) for name, value in values.items()]
    return SampleEvent(called(event.name, items, *values.values(), own=event_import(event)), values)


def called(name: str, items: list[Node], *parts: Code, own: Import) -> Code:
    """Return a call of a class with what its arguments and the class itself need imported."""
    needed = frozenset({own}).union(*(part.imports for part in parts))
    return Code(call(name, items), needed)


def field_lines(fields: Sequence[Field]) -> list[tuple[str, Node | None]]:
    """Return what a class's template writes for its fields: ``name: type`` and the default.

    Raises:
        WrongUsage: A name and its type are too long for a line.
    """
    lines = []
    for field in fields:
        text = f"{field.name}: {annotation(field.type).node}"
        if len(text) > FIELD_CHARACTERS_MAX:
            raise WrongUsage(
                f"field {field.name!r}: with its type, {annotation(field.type).node}, it has "
                f"{len(text)} characters, and at most {FIELD_CHARACTERS_MAX} fit on a line",
                hint="give it a shorter name",
            )
        lines.append((text, field.default.node if field.default else None))
    return lines


def enum_classes(fields: list[Field]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the enum classes that a module must define for its fields: name and values."""
    return [(found.name, found.values) for field in fields for found in enums(field.type)]


def typed_values(fields: Sequence[Field]) -> list[str]:
    """Return made-up values of the fields that need one, as typed: ``dish='a dish'``.

    A default that is no constant does not reach the parameters of a command, so it needs one.
    """
    return [
        f"{field.name}={shlex.quote(typed_sample(field.type, field.name.replace('_', ' ')))}"
        for field in fields
        if (field.default is None or not field.is_constant)
        and sample(field.type, field.name) is not None
    ]
