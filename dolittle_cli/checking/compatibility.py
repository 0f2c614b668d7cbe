"""Tells whether content that fits one schema is read by another, and what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from dolittle_cli.checking.schema import DEFINITIONS, Schema

_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_NUMBERS: Final = ("integer", "number")


@dataclass(frozen=True)
class Difference:
    """One change from an older schema to a newer one.

    Attributes:
        path: Of the field: ``amount``, ``address.city``, ``lines[].count``.
        text: What has changed, to be read behind the path.
        breaks: Whether content that fitted the older schema may not be read by the newer one.
    """

    path: str
    text: str
    breaks: bool

    def __str__(self) -> str:
        return f"{self.path or 'the content'} {self.text}"


def differences(old: Schema, new: Schema) -> list[Difference]:
    """Return what has changed, those that break first."""
    found = dict.fromkeys(_Comparison(old, new).compare(old, new, ""))
    return sorted(found, key=lambda item: not item.breaks)


class _Comparison:
    """A comparison under way; what recurs is compared once on each way down."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old.get(DEFINITIONS, {}), new.get(DEFINITIONS, {})
        self._open: set[tuple[int, int]] = set()

    def compare(self, old: Schema, new: Schema, path: str) -> list[Difference]:
        """Return the differences between two schemas at a path."""
        before = _alternatives(old, self._old)
        after = _alternatives(new, self._new)
        found: list[Difference] = []
        taken: list[Schema] = []
        for item in before:
            compared = [(self._pair(item, other, path), other) for other in after]
            fitting = [(pair, other) for pair, other in compared if pair is not None]
            if not fitting:
                now = " or ".join(map(kind, after))
                found.append(Difference(path, f"was {kind(item)}, and is {now} now", True))
                continue
            best, other = min(fitting, key=lambda pair: sum(d.breaks for d in pair[0] or ()))
            taken.append(other)
            found += best or ()
        for other in after:
            if other not in taken and not any(item.breaks for item in found):
                found.append(Difference(path, f"may be {kind(other)} too now", False))
        return found

    def _pair(self, old: Schema, new: Schema, path: str) -> list[Difference] | None:
        """Return the differences of two alternatives; ``None`` if the new one is another type."""
        if not _type(new) and "enum" not in new:
            same = old == new
            return (
                [] if same else [Difference(path, f"was {kind(old)}, and may be anything", False)]
            )
        if "enum" in old or "enum" in new:
            return _enums(old, new, path)
        if _type(old) != _type(new) or old.get("format") != new.get("format"):
            return _widened(old, new, path)
        found = [*_limits(old, new, path)]
        if _type(old) == "array":
            return found + self._items(old, new, path)
        if _type(old) == "object":
            fields = self._objects(old, new, path)
            return None if fields is None else found + fields
        return found

    def _items(self, old: Schema, new: Schema, path: str) -> list[Difference]:
        before, after = old.get("prefixItems", ()), new.get("prefixItems", ())
        found: list[Difference] = []
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            found += self.compare(one, other, f"{path}[{index}]")
        if "items" in old and "items" in new:
            found += self.compare(old["items"], new["items"], f"{path}[]")
        for index, item in enumerate(before[len(after) :], start=len(after)):
            if "items" in new:
                found += self.compare(item, new["items"], f"{path}[{index}]")
        if "items" in old and after:
            found.append(
                Difference(path, "was a list of any length, and has a fixed one now", True)
            )
        return found

    def _objects(self, old: Schema, new: Schema, path: str) -> list[Difference] | None:
        if "properties" in old and "properties" in new:
            both = (id(old), id(new))
            if both in self._open:
                return []
            self._open.add(both)
            found = list(self._fields(old, new, path))
            self._open.discard(both)
            return found
        values = new.get("additionalProperties")
        if not isinstance(values, dict):
            return None
        if "properties" in old:
            found = [
                difference
                for name, field in old["properties"].items()
                for difference in self.compare(field, values, _join(path, name))
            ]
            return [*found, Difference(path, "may have any keys now", False)]
        return self.compare(old.get("additionalProperties", {}), values, f"{path}{{}}")

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[Difference]:
        before, after = old["properties"], new["properties"]
        always, needed = set(old["required"]), set(new["required"])
        for name, field in after.items():
            where = _join(path, name)
            if name in before:
                yield from self.compare(_bare(before[name]), _bare(field), where)
                yield from _defaults(before[name], field, name in always, name in needed, where)
            elif name in needed:
                yield Difference(where, "is new and has no default: stored events lack it", True)
            else:
                shown = json.dumps(field.get("default"), ensure_ascii=False)
                yield Difference(where, f"is new, with the default {shown}", False)
        for name in before:
            if name in after:
                continue
            where = _join(path, name)
            if new.get("additionalProperties") is False:
                yield Difference(where, "is gone, and unknown fields are forbidden", True)
            elif name in always:
                text = "is gone, and had no default: what is stored in it would be dropped unseen"
                yield Difference(where, text, True)
            else:
                yield Difference(where, "is gone; it had a default", False)


def kind(schema: Schema) -> str:
    """Return a type in words: ``integer``, ``string (date)``, ``list of integer``."""
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(
            json.dumps(item, ensure_ascii=False) for item in schema["enum"]
        )
    if "$ref" in schema:
        return "object"
    name = _type(schema)
    if name == "array":
        return f"list of {kind(schema['items'])}" if "items" in schema else "tuple"
    if not name:
        return "anything"
    return f"{name} ({schema['format']})" if "format" in schema else name


def _type(schema: Schema) -> str:
    return str(schema.get("type", ""))


def _alternatives(schema: Schema, definitions: Schema) -> list[Schema]:
    if "$ref" in schema:
        return [definitions[schema["$ref"].rpartition("/")[2]]]
    if "anyOf" not in schema:
        return [schema]
    return [found for item in schema["anyOf"] for found in _alternatives(item, definitions)]


def _bare(field: Schema) -> Schema:
    return {name: value for name, value in field.items() if name != "default"}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _enums(old: Schema, new: Schema, path: str) -> list[Difference] | None:
    if "enum" not in new:
        fits = all(_json_type(value) == _type(new) for value in old["enum"])
        is_free = not set(new) - {"type"}
        text = f"was {kind(old)}, and is any {kind(new)} now"
        return [Difference(path, text, False)] if fits and is_free else None
    if "enum" not in old:
        return None
    gone = [value for value in old["enum"] if value not in new["enum"]]
    more = [value for value in new["enum"] if value not in old["enum"]]
    found = []
    if gone:
        found.append(Difference(path, f"no longer reads {_listed(gone)}", True))
    if more:
        found.append(Difference(path, f"may be {_listed(more)} too now", False))
    return found


def _widened(old: Schema, new: Schema, path: str) -> list[Difference] | None:
    """Return the change where the new type reads the older one, as a number reads an integer."""
    text = f"was {kind(old)}, and is {kind(new)} now"
    is_number = _type(old) in _NUMBERS
    # Source: msgspec reads integers as floats, and numbers as decimals.
    wider = (
        (_type(old) == "integer" and _type(new) == "number")
        or (is_number and new.get("format") == "decimal")
        or (_type(old) == _type(new) == "string" and "format" not in new)
    )
    return [*_limits({}, new, path), Difference(path, text, False)] if wider else None


def _limits(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    for word in (*_UPPER, *_LOWER, "multipleOf", "pattern"):
        before, after = old.get(word), new.get(word)
        if before == after:
            continue
        if after is None:
            yield Difference(path, f"has no {word} any more", False)
            continue
        is_looser = before is not None and (
            (word in _UPPER and after >= before) or (word in _LOWER and after <= before)
        )
        was = f" instead of {before}" if before is not None else ""
        yield Difference(path, f"has {word} {after}{was}", not is_looser)


def _defaults(
    old: Schema, new: Schema, was_needed: bool, is_needed: bool, path: str
) -> Iterator[Difference]:
    if is_needed and not was_needed:
        yield Difference(path, "has lost its default: older events may lack the field", True)
    elif was_needed and not is_needed:
        yield Difference(path, "has a default now", False)
    elif old.get("default") != new.get("default"):
        shown = json.dumps(new.get("default"), ensure_ascii=False)
        yield Difference(path, f"has the default {shown} now", False)


def _json_type(value: Any) -> str:
    return "string" if isinstance(value, str) else "integer"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
