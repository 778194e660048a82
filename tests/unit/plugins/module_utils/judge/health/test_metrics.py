# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scraper sees: one sample for each status, and none of what is not known."""

from __future__ import annotations

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import (
    PASSED,
    Need,
    cascade,
    ordered,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Reading, Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.metrics import metrics
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import (
    Finding,
    Judged,
    Look,
    Status,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import exposition

NEEDS = {"/readyz": {"disk": Need.HARD}, "disk": {}}
STANDINGS = cascade(NEEDS, ordered(NEEDS), {"/readyz": PASSED, "disk": Judged(Status.FAIL, "full", 1.5)})
LOOK = Look(1.0, "now", (Finding(Status.FAIL, "full", "free", 0.5, "%", "/"), Finding(Status.PASS, "", "full_in")))
READING = Reading(True, 3, None, None, None, True, None, "77", fenced=False)


def test_samples() -> None:
    text = exposition(metrics(STANDINGS, {"disk": LOOK, "other": None}, Result(1.0, "now", READING, None)))
    for line in (
        'resilience_health_endpoint_status{endpoint="/readyz",status="fail"} 1',
        'resilience_health_endpoint_status{endpoint="/readyz",status="unknown"} 0',
        'resilience_health_status{component="disk",status="fail"} 1',
        'resilience_health_fault{component="disk",fault="own"} 1',
        'resilience_health_look_age_seconds{component="disk"} 1.5',
        'resilience_health_measure{component="disk",measure="free",of="/",unit="%"} 0.5',
        'resilience_health_member_in_recovery{system_identifier="77"} 1',
        'resilience_health_member_timeline{system_identifier="77"} 3',
    ):
        assert f"{line}\n" in text
    assert "full_in" not in text and "lag_bytes" not in text  # not known, so no 0
    assert "/readyz" not in text.split("resilience_health_fault")[1]


def test_without_a_reading_nothing_is_told_of_the_member() -> None:
    for result in (None, Result(1.0, "now", None, "gone")):
        assert "member" not in exposition(metrics(STANDINGS, {}, result))
