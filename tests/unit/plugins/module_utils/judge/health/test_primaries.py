# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One member serves as primary: two are a split brain, and whoever gives no answer may be the second."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.primaries import judge


@pytest.mark.parametrize(
    ("leads", "status", "said"),
    [
        ({"a": True, "b": False, "c": False}, "pass", "1 of 3 members serve as primary: a"),
        ({"a": True, "b": False, "c": None}, "warn", "1 of 3 members serve as primary: a; no answer: c"),
        ({"a": True, "b": True, "c": None}, "fail", "2 of 3 members serve as primary: a, b; no answer: c"),
        ({"a": False, "b": False}, "fail", "0 of 2 members serve as primary"),
        ({"a": False, "b": None}, "unknown", "0 of 2 members serve as primary; no answer: b"),
        ({}, "fail", "0 of 0 members serve as primary"),
    ],
)
def test_primaries(leads: dict[str, bool | None], status: str, said: str) -> None:
    [finding] = judge(leads)
    assert (finding.status, finding.reason) == (status, said)
