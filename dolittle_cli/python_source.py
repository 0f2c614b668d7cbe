"""Writes values as Python source, laid out as a formatter would, with the imports they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec

INDENT: Final = "    "
_STANDARD: Final = (datetime, date, time, timedelta, Decimal, UUID)


@dataclass
class PythonSource:
    """Source under way; remembers what is to be imported.

    Attributes:
        imports: The names to import, by module.
    """

    imports: dict[str, set[str]] = field(default_factory=dict)

    def name(self, cls: type) -> str:
        """Return a class's name, and note that it is to be imported."""
        first = cls.__qualname__.partition(".")[0]
        self.imports.setdefault(cls.__module__, set()).add(first)
        return cls.__qualname__

    def value(self, value: Any, depth: int = 0) -> str:
        """Return a value, at some depth of indentation.

        Raises:
            TypeError: It is of a class that cannot be written.
        """
        if isinstance(value, Enum):
            return f"{self.name(type(value))}.{value.name}"
        if value is None or isinstance(value, bool | int | float):
            return repr(value)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, _STANDARD):
            return self._standard(value)
        if isinstance(value, msgspec.Struct):
            fields = [
                (item.name, getattr(value, item.name)) for item in msgspec.structs.fields(value)
            ]
            parts = [f"{name}={self.value(item, depth + 1)}" for name, item in fields]
            return self.call(self.name(type(value)), parts, depth)
        if isinstance(value, dict):
            pairs = [
                f"{self.value(key, depth + 1)}: {self.value(item, depth + 1)}"
                for key, item in value.items()
            ]
            return self._enclosed("{", pairs, "}", depth)
        if isinstance(value, list):
            return self._enclosed("[", [self.value(item, depth + 1) for item in value], "]", depth)
        raise TypeError(f"a {type(value).__name__} cannot be written as source")

    def call(self, name: str, parts: list[str], depth: int = 0) -> str:
        """Return a call with one argument a line, which a formatter leaves so."""
        return f"{name}{self._enclosed('(', parts, ')', depth)}"

    def _enclosed(self, begin: str, parts: list[str], end: str, depth: int) -> str:
        if not parts:
            return begin + end
        lines = "".join(f"{INDENT * (depth + 1)}{part},\n" for part in parts)
        return f"{begin}\n{lines}{INDENT * depth}{end}"

    def _standard(self, value: Any) -> str:
        module = type(value).__module__
        if isinstance(value, Decimal | UUID):
            self.imports.setdefault(module, set()).add(type(value).__name__)
            return f'{type(value).__name__}("{value}")'
        self.imports.setdefault("datetime", set()).add(type(value).__name__)
        text = repr(value).removeprefix("datetime.").replace("datetime.timezone.utc", "UTC")
        if "UTC" in text:
            self.imports["datetime"].add("UTC")
        if "datetime.timezone" in text:
            self.imports["datetime"].update(("timezone", "timedelta"))
            text = text.replace("datetime.timezone", "timezone").replace(
                "datetime.timedelta", "timedelta"
            )
        return text

    def import_lines(self, own_package: str) -> str:
        """Return the import statements: the standard library's, others', the package's own."""
        groups: list[list[str]] = [[], [], []]
        for module, names in sorted(self.imports.items()):
            top = module.partition(".")[0]
            group = 2 if top == own_package else 0 if top in _LIBRARY else 1
            ordered = sorted(names, key=lambda name: (not name.isupper(), name))
            groups[group].append(_import(module, ordered))
        return "\n\n".join("\n".join(group) for group in groups if group)


def _text(value: str) -> str:
    """Return a text in the quotes that a formatter would take."""
    quote = "'" if '"' in value and "'" not in value else '"'
    if value.isprintable():
        escaped = value.replace("\\", "\\\\")
    else:
        escaped = value.encode("unicode_escape").decode()
    return quote + escaped.replace(quote, f"\\{quote}") + quote


_LIBRARY: Final = ("datetime", "decimal", "uuid")
_LINE_MAX: Final = 100


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= _LINE_MAX:
        return line
    listed = "".join(f"{INDENT}{name},\n" for name in names)
    return f"from {module} import (\n{listed})"
