# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a repository is looked at for metrics."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.backup_metrics import MINUTE, pause


@pytest.mark.parametrize(
    ("costs", "seconds"),
    [
        ([], MINUTE),
        ([0.2], MINUTE),
        ([3.0, 4.0], 180.0),
        # A single look that waited for a store which did not answer.
        ([0.2, 30.0], MINUTE),
        ([30.0, 0.2], MINUTE),
        ([30.0, 20.0], 1200.0),
    ],
)
def test_a_costly_look_is_repeated_seldom_but_one_accident_blinds_nobody(
    costs: t.Sequence[float], seconds: float
) -> None:
    assert pause(costs) == seconds
