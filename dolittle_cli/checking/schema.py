"""The JSON Schema of an event type's content, as the lock file keeps it: no names of classes.

``msgspec`` can write schemas too; those tell a date-time from a text only where it must have a
time zone, and carry titles and docstrings, which are no part of what is stored.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

DEFINITIONS: Final = "$defs"

_FORMATS: Final[dict[type, Schema]] = {
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.TimeType: {"type": "string", "format": "time"},
    inspect.TimeDeltaType: {"type": "string", "format": "duration"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
    inspect.DecimalType: {"type": "string", "format": "decimal"},
    inspect.BytesType: {"type": "string", "format": "base64"},
    inspect.ByteArrayType: {"type": "string", "format": "base64"},
    inspect.MemoryViewType: {"type": "string", "format": "base64"},
    inspect.BoolType: {"type": "boolean"},
    inspect.NoneType: {"type": "null"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.StrType: {"type": "string"},
}
_LIMITS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
"""The names of limits. Source: JSON Schema 2020-12, Validation, section 6."""


def schema_of(cls: type) -> Schema:
    """Return the JSON Schema of a struct class; recursive parts stand under ``$defs``."""
    writing = _Writing()
    schema = writing.schema(inspect.type_info(cls))
    return {**schema, DEFINITIONS: writing.definitions} if writing.definitions else schema


class _Writing:
    """One schema while it is written: which classes are open, and which of them recur."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._open: dict[type, str] = {}
        self._recurring: set[type] = set()
        self._done: dict[type, str] = {}

    def schema(self, node: inspect.Type) -> Schema:
        """Return the schema of a type."""
        match node:
            case inspect.Metadata(type=inner):
                return self.schema(inner)
            case inspect.UnionType(types=types):
                return {"anyOf": sorted((self.schema(item) for item in types), key=repr)}
            case inspect.EnumType(cls=cls):
                return {"enum": sorted((item.value for item in _members(cls)), key=repr)}
            case inspect.LiteralType(values=values):
                return {"enum": sorted(values, key=repr)}
            case inspect.TupleType() | inspect.CollectionType() | inspect.DictType():
                return self._container(node)
            case (
                inspect.StructType(cls=cls)
                | inspect.DataclassType(cls=cls)
                | inspect.TypedDictType(cls=cls)
                | inspect.NamedTupleType(cls=cls)
            ):
                return self._object(cls, node)
        found = dict(_FORMATS.get(type(node), {}))
        for name, word in _LIMITS.items():
            if getattr(node, name, None) is not None:
                found[word] = getattr(node, name)
        return {**found, **_lengths(node, "Length")}

    def _container(self, node: inspect.Type) -> Schema:
        match node:
            case inspect.TupleType(item_types=types):
                count = len(types)
                items = [self.schema(item) for item in types]
                return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
            case inspect.CollectionType(item_type=item):
                return {"type": "array", "items": self.schema(item), **_lengths(node, "Items")}
            case inspect.DictType(value_type=value):
                lengths = _lengths(node, "Properties")
                return {"type": "object", "additionalProperties": self.schema(value), **lengths}
        raise AssertionError(f"{node} is no container")

    def _object(self, cls: type, node: Any) -> Schema:
        if cls in self._done:
            return {"$ref": f"#/{DEFINITIONS}/{self._done[cls]}"}
        if cls in self._open:
            self._recurring.add(cls)
            return {"$ref": f"#/{DEFINITIONS}/{self._open[cls]}"}
        name = cls.__name__
        while name in self._open.values() or name in self.definitions:
            name += "_"
        self._open[cls] = name
        schema = self._fields(node)
        del self._open[cls]
        if cls not in self._recurring:
            return schema
        self.definitions[name] = schema
        self._done[cls] = name
        return {"$ref": f"#/{DEFINITIONS}/{name}"}

    def _fields(self, node: Any) -> Schema:
        if isinstance(node, inspect.NamedTupleType) or getattr(node, "array_like", False):
            items = [self.schema(item.type) for item in node.fields]
            return {
                "type": "array",
                "prefixItems": items,
                "minItems": sum(item.required for item in node.fields),
            }
        properties = {item.encode_name: self._field(item) for item in node.fields}
        required = [item.encode_name for item in node.fields if item.required]
        if getattr(node, "tag_field", None):
            properties[node.tag_field] = {"enum": [node.tag]}
            required.append(node.tag_field)
        closed = (
            {"additionalProperties": False} if getattr(node, "forbid_unknown_fields", 0) else {}
        )
        return {"type": "object", "properties": properties, "required": sorted(required), **closed}

    def _field(self, field: inspect.Field) -> Schema:
        schema = self.schema(field.type)
        default = field.default
        if default is msgspec.NODEFAULT:
            factory: Any = field.default_factory
            if factory not in (list, dict, set):
                return schema
            default = factory()
        return {**schema, "default": msgspec.to_builtins(default, enc_hook=repr)}


def _members(cls: Any) -> list[enum.Enum]:
    return list(cls)


def _lengths(node: Any, suffix: str) -> Schema:
    found: Schema = {}
    for name, word in (("min_length", f"min{suffix}"), ("max_length", f"max{suffix}")):
        if getattr(node, name, None) is not None:
            found[word] = getattr(node, name)
    return found
