# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are told by name: which backup needs which, which is given, and what escrow has."""

from __future__ import annotations

import json

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.collect.escrow import Found
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import keys
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict

LINES = "\n".join([
    json.dumps({"label": "A", "key_id": "1a2b"}),
    json.dumps({"label": None, "key_id": "1a2b"}),
    json.dumps({"label": "B", "key_id": "3c4d"}),
    json.dumps({"label": "C", "key_id": None}),
    '{"label": "D", "key_',
])  # fmt: skip


def test_a_catalogue_says_which_backups_need_which_key() -> None:
    needed = keys.wanted(keys.catalogue(LINES))
    assert needed.keys == {"1a2b": ("A",), "3c4d": ("B",)} and needed.unnamed == ("C",)
    assert keys.wanted(keys.catalogue(LINES, ["B"])).keys == {"3c4d": ("B",)}


def test_escrow_is_judged_key_by_key() -> None:
    answers = {"1a2b": Found("1a2b", Verdict.PASSED, "escrow gives key 1a2b", "never told")}
    checks = keys.in_escrow(keys.wanted(keys.catalogue(LINES)), answers)
    assert [check.verdict for check in checks] == [Verdict.PASSED, Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert "needed by A" in checks[0].reason and "which key C needs" in checks[2].reason
    assert "never told" not in str(checks)


def test_a_wrong_or_missing_key_is_told_by_name() -> None:
    with pytest.raises(InputError, match="backup B needs key 3c4d, given is 1a2b"):
        keys.demand("B", "3c4d", ["1a2b"])
    with pytest.raises(InputError, match="backup B needs key 3c4d, none is given"):
        keys.demand("B", "3c4d", [])
    keys.demand("B", "3c4d", ["1a2b", "3c4d"])
    keys.demand("C", None, ["1a2b"])


def test_what_is_missing_is_told_with_the_newest_backups() -> None:
    many = keys.wanted([{"label": f"L{number}", "key_id": "3c4d"} for number in range(5)])
    assert keys.missing(many, ["1a2b"]) == "backup L2, L3, L4 and 2 more needs key 3c4d; given is 1a2b"
    assert keys.missing(many, ["3c4d"]) == ""
    assert keys.missing(keys.wanted([]), []) == ""
