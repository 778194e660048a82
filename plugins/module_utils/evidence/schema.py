# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a record against a JSON schema. Pure.

Of JSON Schema (draft 2020-12) this knows what the collection's own schemas use, and refuses a schema that uses more, so
that nothing is taken for checked which was not. Any full validator reads the same schema and comes to the same answer.
"""

from __future__ import annotations

import re
import typing as t

Schema = t.Mapping[str, t.Any]

_TYPES: t.Final[dict[str, t.Callable[[t.Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
#: Keywords that say something to people only.
_WORDS = frozenset({"$schema", "$id", "$defs", "title", "description"})


def violations(record: t.Any, schema: Schema) -> list[str]:
    """Each place where the record is not what the schema says, as ``path: reason``; empty when it fits.

    :raises KeyError: the schema uses a keyword that is not known here.
    """
    return list(_violations(record, schema, "", schema))


def _violations(value: t.Any, schema: Schema, path: str, root: Schema) -> t.Iterator[str]:
    for keyword, expected in schema.items():
        if keyword in _WORDS:
            continue
        for where, reason in _KEYWORDS[keyword](value, expected, schema):
            yield f"{_join(path, where) or 'the record'}: {reason}"
        for where, part, inner in _parts(keyword, value, expected, schema, root):
            yield from _violations(part, inner, _join(path, where), root)


def _join(path: str, where: str) -> str:
    return f"{path}.{where}" if path and where else path or where


Reasons = t.Iterator[tuple[str, str]]


def _type(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    allowed = [expected] if isinstance(expected, str) else expected
    if not any(_TYPES[name](value) for name in allowed):
        yield "", f"{value!r} is not {' or '.join(allowed)}"


def _const(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if value != expected:
        yield "", f"{value!r} is not {expected!r}"


def _enum(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if value not in expected:
        yield "", f"{value!r} is none of {', '.join(map(str, expected))}"


def _pattern(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if isinstance(value, str) and not re.search(expected, value):
        yield "", f"{value!r} does not match {expected}"


def _minimum(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if _TYPES["number"](value) and not value >= expected:
        yield "", f"{value!r} is below {expected}"


def _min_length(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if isinstance(value, str) and len(value) < expected:
        yield "", "it is empty" if expected == 1 else f"{value!r} is shorter than {expected}"


def _required(value: t.Any, expected: t.Any, _schema: Schema) -> Reasons:
    if isinstance(value, dict):
        for name in expected:
            if name not in value:
                yield name, "it is missing"


def _additional(value: t.Any, expected: t.Any, schema: Schema) -> Reasons:
    if isinstance(value, dict) and expected is False:
        known = schema.get("properties", {})
        for name in value:
            if name not in known:
                yield str(name), f"it is unknown here; possible: {', '.join(known)}"


def _nothing(_value: t.Any, _expected: t.Any, _schema: Schema) -> Reasons:
    yield from ()


_KEYWORDS: t.Final[dict[str, t.Callable[[t.Any, t.Any, Schema], Reasons]]] = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "minLength": _min_length,
    "required": _required,
    "additionalProperties": _additional,
    "properties": _nothing,
    "items": _nothing,
    "$ref": _nothing,
}


def _parts(
    keyword: str, value: t.Any, expected: t.Any, schema: Schema, root: Schema
) -> t.Iterator[tuple[str, t.Any, Schema]]:
    """What lies inside the value and has a schema of its own: (where, part, its schema)."""
    if keyword == "$ref":
        yield "", value, root["$defs"][expected.removeprefix("#/$defs/")]
    elif keyword == "items" and isinstance(value, list):
        for number, part in enumerate(value):
            yield str(number), part, expected
    elif keyword == "properties" and isinstance(value, dict):
        for name in expected:
            if name in value:
                yield name, value[name], expected[name]
    elif keyword == "additionalProperties" and isinstance(value, dict) and isinstance(expected, dict):
        for name in value:
            if name not in schema.get("properties", {}):
                yield str(name), value[name], expected
