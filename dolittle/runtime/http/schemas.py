"""JSON schemas of declared types, gathered as OpenAPI components under names that do not clash."""

from __future__ import annotations

import inspect
from typing import Any, Final, get_type_hints

import msgspec

from dolittle.aggregates import AggregateRootDeclaration

REFERENCE: Final = "#/components/schemas/"
_LENGTHS: Final = {
    **dict.fromkeys(("minLength", "maxLength"), "string"),
    **dict.fromkeys(("minItems", "maxItems"), "array"),
    **dict.fromkeys(("minProperties", "maxProperties"), "object"),
}


class Components:
    """The schemas that a document refers to, by name.

    Two types with one name (in two modules, or the arguments of two commands) get two names.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def add(self, name: str, cls: Any) -> dict[str, str]:
        """Add the schema of a type and of all it needs; return a reference to it.

        Args:
            name: What the schema is to be called.
            cls: Any type that can be stored as JSON.
        """
        (top,), found = msgspec.json.schema_components(
            (cls,), schema_hook=_anything, ref_template=REFERENCE + "{name}"
        )
        top, found = _cleaned(top), _cleaned(found)
        own = top.get("$ref", "").removeprefix(REFERENCE)
        names = {inner: inner if inner != own else name for inner in found}
        for inner, chosen in names.items():
            if inner != own and self.schemas.get(chosen, found[inner]) != found[inner]:
                names[inner] = f"{name}.{inner}"
        for inner, schema in found.items():
            self.schemas[names[inner]] = _renamed(schema, names)
        if not own:
            self.schemas[name] = _renamed(top, names)
        elif self.schemas[name].get("title"):
            self.schemas[name]["title"] = name
        return {"$ref": REFERENCE + name}

    def put(self, name: str, schema: dict[str, Any]) -> dict[str, str]:
        """Add a schema that is written by hand; return a reference to it."""
        self.schemas[name] = schema
        return {"$ref": REFERENCE + name}


def state_type(declaration: AggregateRootDeclaration) -> Any:
    """Return a struct class with the annotated fields of an aggregate root, or any object.

    The annotations of an aggregate root are checked by nothing when it is loaded, so a field that
    has no schema is described as any JSON value.
    """
    try:
        hints = get_type_hints(declaration.cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return dict[str, Any]
    fields = []
    for name, hint in hints.items():
        if name.startswith("_") or name not in _annotated(declaration.cls):
            continue
        try:
            msgspec.json.schema(hint)
        except (TypeError, ValueError):
            hint = Any
        fields.append((name, hint))
    return msgspec.defstruct(declaration.name, fields)


def _annotated(cls: type) -> set[str]:
    return {
        name
        for base in cls.__mro__
        if base.__module__ != AggregateRootDeclaration.__module__
        for name in inspect.get_annotations(base)
    }


def _anything(_cls: type) -> dict[str, Any]:
    return {}


def _cleaned(node: Any) -> Any:
    """Leave out the limits of length of other types; a constraint does not know its own."""
    if isinstance(node, list):
        return [_cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    of = node.get("type")
    return {
        key: _cleaned(value)
        for key, value in node.items()
        if not isinstance(of, str) or _LENGTHS.get(key, of) == of
    }


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    renamed = {key: _renamed(value, names) for key, value in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(REFERENCE)
        renamed["$ref"] = REFERENCE + names.get(name, name)
    return renamed
