# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import typing as t

import jsonschema
import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.evidence import report, schema

SCHEMA: dict[str, t.Any] = {
    "type": "object",
    "required": ["name", "parts"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        "count": {"type": ["integer", "null"], "minimum": 0},
        "word": {"enum": ["yes", "no"]},
        "version": {"const": 1},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        "more": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "$defs": {"part": {"type": "object", "required": ["id"], "properties": {"id": {"type": "boolean"}}}},
}
GOOD: dict[str, t.Any] = {
    "name": "lab", "count": 3, "word": "yes", "version": 1, "parts": [{"id": True}], "more": {"a": 1, "b": 0.5},
}  # fmt: skip

BAD = [
    ({"name": ""}, "name: it is empty"),
    ({"name": "Lab"}, "name: 'Lab' does not match ^[a-z]+$"),
    ({"name": 3}, "name: 3 is not string"),
    ({"count": -1}, "count: -1 is below 0"),
    ({"count": 0.5}, "count: 0.5 is not integer or null"),
    ({"count": True}, "count: True is not integer or null"),
    ({"word": "maybe"}, "word: 'maybe' is none of yes, no"),
    ({"version": 2}, "version: 2 is not 1"),
    ({"parts": {}}, "parts: {} is not array"),
    ({"parts": [{"id": True}, {}]}, "parts.1.id: it is missing"),
    ({"parts": [{"id": 1}]}, "parts.0.id: 1 is not boolean"),
    ({"more": {"a": "1"}}, "more.a: '1' is not number"),
    ({"other": 1}, "other: it is unknown here; possible: name, count, word, version, parts, more"),
]


def test_what_fits_has_no_violations() -> None:
    assert schema.violations(GOOD, SCHEMA) == []
    assert schema.violations({**GOOD, "count": None}, SCHEMA) == []


@pytest.mark.parametrize(("change", "said"), BAD, ids=[said for _change, said in BAD])
def test_each_violation_is_named_by_its_place(change: dict[str, t.Any], said: str) -> None:
    assert said in schema.violations({**GOOD, **change}, SCHEMA)


@pytest.mark.parametrize("change", [change for change, _said in BAD])
def test_a_full_validator_says_the_same(change: dict[str, t.Any]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert validator.is_valid(GOOD)
    assert not validator.is_valid({**GOOD, **change})


def test_a_missing_part_is_named() -> None:
    assert schema.violations({"name": "lab"}, SCHEMA) == ["parts: it is missing"]
    assert schema.violations([], SCHEMA) == ["the record: [] is not object"]


def test_a_keyword_that_is_not_known_is_never_passed_over() -> None:
    with pytest.raises(KeyError, match="maxItems"):
        schema.violations([], {"type": "array", "maxItems": 3})


def test_the_schema_of_the_report_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(copy.deepcopy(report.report_schema()))


def test_the_schema_of_the_report_says_what_each_part_is_required() -> None:
    whole = report.report_schema()
    assert set(whole["required"]) == set(whole["properties"])
