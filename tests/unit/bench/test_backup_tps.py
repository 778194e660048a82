# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup costs is told in percent of what clients had beside the same by hand, and drift cancels out."""

from __future__ import annotations

import backup_tps
import pytest

SAID = "number of transactions actually processed: 4021\ntps = 402.117000 (without initial connection time)\n"


@pytest.mark.parametrize(
    ("ours", "by_hand", "percent"), [([97, 97], [100, 100], 3.0), ([110, 90], [100, 100], 0.0), ([101], [100], -1.0)]
)
def test_percent(ours: list[float], by_hand: list[float], percent: float) -> None:
    assert backup_tps.percent(ours, by_hand) == pytest.approx(percent)


def test_a_steady_drift_costs_nobody_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    site, speeds = backup_tps.Site(), iter([400.0, 390.0, 380.0, 370.0])
    monkeypatch.setattr(site, "tps", lambda _whose: next(speeds))
    assert site.overhead() == {"backup_tps_overhead_percent": pytest.approx(0.0)}
    assert site.noise() == {"backup_tps_overhead_percent": pytest.approx(100 * (390 / 380 - 1))}


def test_a_window_holds_the_longest_backup_and_more() -> None:
    assert backup_tps.window_of([5.0, 10.0]) == 15


def test_what_pgbench_says() -> None:
    assert backup_tps.tps_of(SAID) == 402.117
    with pytest.raises(AssertionError, match="did not say"):
        backup_tps.tps_of("pgbench: error: connection refused")
