# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of an expression, and nothing else of it."""

from __future__ import annotations

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks import promql


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ('max by (a) (x{y="z > w"}[5m]) - on (a) group_right () b_c:d offset 1d > 2 * scalar(e)', {"x", "b_c:d", "e"}),
        ("avg_over_time(x[1h]) > 1e9 and on (a) sum by (b) (0 * rate(f[1h])) or vector(1)", {"x", "f"}),
    ],
)
def test_metrics_are_found_in_an_expression(expression: str, metrics: set[str]) -> None:
    assert promql.metrics(expression) == metrics
