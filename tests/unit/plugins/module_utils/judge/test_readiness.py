# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a cluster can be recovered: what is missing, broken, old or unseen keeps the answer from being yes."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import readiness
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.readiness import Drill

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
OBJECTIVES = {"rto_seconds": 3600, "rpo_seconds": 300}


def member(name: str, standing: str, **more: t.Any) -> dict[str, t.Any]:
    seen = {"name": name, "region": "a", "standing": standing, "timeline": 3, "written_lsn": "0/13000148"}
    return {**seen, "receiving_from": None, "reason": "", **more}


PRIMARY = member("pg-a1", "primary")
STANDBY = member("pg-a2", "standby", receiving_from="198.18.1.11")
REMOTE = member("pg-b1", "standby", region="b", receiving_from="198.18.1.11")
CLUSTER = {
    "primary": "pg-a1", "timeline": 3, "members": [PRIMARY, STANDBY, REMOTE], "hazards": [], "verdict": "passed",
}  # fmt: skip
WINDOW = {
    "checks": [{"name": f"repository {repo}: WAL has no gap", "verdict": "passed", "reason": ""} for repo in (1, 2)],
    "windows": [
        {"repo": 1, "timeline": 3, "to_lsn": "0/13000000"},
        {"repo": 1, "timeline": 2, "to_lsn": "0/9000000"},
        {"repo": 2, "timeline": 3, "to_lsn": "0/13000000"},
    ],
}
RESTORED = {
    "repo": 1, "level": "standard", "utc": "2026-11-23T03:00:00Z", "label": "F1", "verdict": "passed", "reason": "",
    "restore_seconds": 20.0, "replay_seconds": 5.5, "total_seconds": 60.0,
}  # fmt: skip
FORECAST = {
    "verified": [RESTORED],
    "checks": [{"name": "forecast_restore_newest", "verdict": "passed", "reason": "26 s of at most 3600 s"}],
    "recoveries": [
        {"kind": "restore_newest", "repo": 1, "seconds": 26.0, "low": 20.0, "high": 31.0, "basis": 5, "reason": ""},
        {"kind": "delta_restore", "repo": 1, "seconds": None, "low": None, "high": None, "basis": 0, "reason": "none"},
        {
            "kind": "verification_standard",
            "repo": 1,
            "seconds": 61.0,
            "low": 55.0,
            "high": 70.0,
            "basis": 5,
            "reason": "",
        },
    ],
    "errors": {"n": 4, "median_percent": 7.5, "max_percent": 19.0, "within_interval": 4, "tests": [{}]},
    "warnings_told": [{"code": "growth", "detail": "it grows"}],
}
DRILLS = [Drill(name, "passed", NOW - timedelta(days=1), 6.5, 0) for name in readiness.DISASTERS]


def judged(**other: t.Any) -> dict[str, t.Any]:
    given = {"cluster": CLUSTER, "window": WINDOW, "drills": DRILLS, "forecast": FORECAST, **other}
    return readiness.judge(**given, objectives=OBJECTIVES, now=NOW, proof_days=30)


def wrong(status: dict[str, t.Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["verdict"], one["reason"]) for one in status["checks"] if one["verdict"] != "passed"}


def test_a_healthy_cluster_whose_disasters_were_all_drilled_can_be_recovered() -> None:
    status = judged()
    assert (status["verdict"], wrong(status)) == ("passed", {})
    assert [one["expected_seconds"] for one in status["disasters"]] == [6.5] * len(readiness.DISASTERS)


def test_what_nobody_could_look_at_is_unknown() -> None:
    status = judged(cluster=None, window=None, forecast=None)
    assert status["verdict"] == "unknown"
    assert set(wrong(status)) == {"cluster", "repositories", "verifications"}
    assert set(wrong(judged(window=None))) == {"repositories"}


def test_a_hazard_is_told_as_it_was_seen() -> None:
    hazard = {"code": "standby_not_streaming", "verdict": "failed", "detail": "pg-b1 does not stream"}
    status = judged(cluster={**CLUSTER, "hazards": [hazard], "verdict": "failed"})
    assert wrong(status) == {"cluster_standby_not_streaming": ("failed", "pg-b1 does not stream")}


def test_without_a_standby_nobody_can_take_over() -> None:
    away = [{**one, "receiving_from": None} for one in (STANDBY, REMOTE)]
    failed = wrong(judged(cluster={**CLUSTER, "members": [PRIMARY, *away]}))
    expected = {"planned_switchover", "primary_crash", "primary_host_lost", "region_lost"}
    assert set(failed) == {f"recovery_from_{disaster}" for disaster in expected}
    assert failed["recovery_from_primary_host_lost"] == ("failed", "no standby streams, so nobody can take over")


def test_without_a_standby_elsewhere_a_region_must_not_be_lost() -> None:
    failed = wrong(judged(cluster={**CLUSTER, "members": [PRIMARY, STANDBY, {**REMOTE, "receiving_from": None}]}))
    assert failed == {
        "recovery_from_region_lost": ("failed", "no standby streams outside region a, so nobody can take over")
    }


def test_a_cluster_of_one_region_is_not_asked_about_its_loss() -> None:
    status = judged(cluster={**CLUSTER, "members": [PRIMARY, STANDBY]})
    assert status["verdict"] == "passed"
    assert "region_lost" not in [one["scenario"] for one in status["disasters"]]


def test_windows_of_timelines_that_were_left_are_not_shown() -> None:
    assert [(one["repo"], one["timeline"]) for one in judged()["windows"]] == [(1, 3), (2, 3)]
    assert [(one["repo"], one["timeline"]) for one in judged(cluster=None)["windows"]] == [(1, 3), (1, 2), (2, 3)]


def test_a_gap_in_the_repository_is_told() -> None:
    gap = {"name": "repository 1: WAL has no gap", "verdict": "failed", "reason": "0000000C is missing"}
    assert wrong(judged(window={**WINDOW, "checks": [gap, WINDOW["checks"][1]]})) == {
        gap["name"]: ("failed", "0000000C is missing")
    }


@pytest.mark.parametrize(("lsn", "verdict"), [("0/15000000", None), ("0/15000001", "failed")])
def test_an_archive_may_be_two_segments_behind(lsn: str, verdict: str | None) -> None:
    status = judged(cluster={**CLUSTER, "members": [{**PRIMARY, "written_lsn": lsn}, STANDBY]})
    assert wrong(status).get("repository 1: archiving keeps up", (None,))[0] == verdict


def test_a_repository_without_the_primarys_timeline_is_not_kept_up() -> None:
    status = judged(cluster={**CLUSTER, "members": [{**PRIMARY, "timeline": 4}, STANDBY]})
    assert wrong(status)["repository 1: archiving keeps up"][0] == "failed"


def test_an_archive_cannot_be_compared_without_a_primary() -> None:
    status = judged(cluster={**CLUSTER, "members": [STANDBY]})
    assert wrong(status)["repository 1: archiving keeps up"][0] == "unknown"


def test_an_empty_repository_restores_nothing() -> None:
    failed = wrong(judged(window={**WINDOW, "windows": []}))
    assert failed["recovery_from_members_lost"] == ("failed", "no repository holds anything that can be restored")


def test_without_a_second_repository_nothing_replaces_the_first() -> None:
    failed = wrong(judged(window={**WINDOW, "windows": WINDOW["windows"][:2]}))
    lost = ("failed", "no repository but the first one holds anything that can be restored")
    assert failed == {
        f"recovery_from_{name}": lost
        for name in ("backup_corrupt", "repository_lost", "cross_region_restore", "ransomware")
    }


def test_a_cluster_of_one_repository_is_not_asked_about_its_loss() -> None:
    status = judged(window={**WINDOW, "checks": WINDOW["checks"][:1], "windows": WINDOW["windows"][:2]})
    assert status["verdict"] == "passed"
    assert "repository_lost" not in [one["scenario"] for one in status["disasters"]]


def test_a_disaster_that_was_never_drilled_is_unknown() -> None:
    status = judged(drills=[one for one in DRILLS if one.scenario != "data_loss"])
    assert wrong(status) == {"recovery_from_data_loss": ("unknown", "it was never drilled on this cluster")}


def test_drills_that_did_not_pass_prove_nothing() -> None:
    drills = [replace(one, verdict="unknown") if one.scenario == "data_loss" else one for one in DRILLS]
    assert wrong(judged(drills=drills))["recovery_from_data_loss"] == (
        "unknown",
        "none of 1 drills passed on this cluster",
    )


def test_a_drill_of_long_ago_is_worth_nothing() -> None:
    old = [replace(one, ended=NOW - timedelta(days=31)) for one in DRILLS]
    assert wrong(judged(drills=old))["recovery_from_data_loss"][0] == "unknown"


def test_the_longest_drill_is_held_against_the_objective_and_the_median_is_expected() -> None:
    more = [replace(DRILLS[2], rto_seconds=seconds, ended=NOW) for seconds in (5.0, 4000.0)]
    status = judged(drills=[*DRILLS, *more])
    one = next(one for one in status["disasters"] if one["scenario"] == "primary_host_lost")
    assert (one["expected_seconds"], one["longest_seconds"], one["drills"]) == (6.5, 4000.0, 3)
    assert one["verdict"] == "failed"


def test_a_backup_that_was_never_restored_is_not_known_to_be_good() -> None:
    status = judged(forecast={**FORECAST, "verified": []})
    assert wrong(status) == {"repository 1: a backup was restored": ("unknown", "it was never restored")}
    two = {**WINDOW, "timelines": [{"repo": 1}, {"repo": 2}]}
    assert set(wrong(judged(window=two))) == {"repository 2: a backup was restored"}


def test_a_restore_of_long_ago_is_worth_nothing() -> None:
    old = {**RESTORED, "utc": "2026-11-15T03:00:00Z"}
    assert (
        wrong(judged(forecast={**FORECAST, "verified": [old]}))["repository 1: a backup was restored"][0] == "unknown"
    )
    assert judged(forecast={**FORECAST, "verified": [old]}, verification_days=9)["verdict"] == "passed"


def test_a_verification_that_failed_keeps_the_answer_from_being_yes() -> None:
    failed = {**RESTORED, "level": "quick", "verdict": "failed", "reason": "0000000C is missing"}
    status = judged(forecast={**FORECAST, "verified": [failed, RESTORED]})
    assert status["verdict"] == "failed"


def test_a_forecast_that_misses_the_objective_keeps_the_answer_from_being_yes() -> None:
    check = {"name": "forecast_pitr", "verdict": "failed", "reason": "4000 s expected"}
    assert wrong(judged(forecast={**FORECAST, "checks": [check]})) == {"forecast_pitr": ("failed", "4000 s expected")}


def test_what_is_forecast_stands_beside_what_was_measured() -> None:
    status = judged()
    assert [one["measured_seconds"] for one in status["forecasts"]] == [25.5, None, 60.0]
    assert [one["age_days"] for one in status["verifications"]] == [0.38]
    assert status["forecast_errors"] == {"n": 4, "median_percent": 7.5, "max_percent": 19.0, "within_interval": 4}
    unmeasured = {**FORECAST, "verified": [{**RESTORED, "replay_seconds": None, "total_seconds": None}]}
    assert [one["measured_seconds"] for one in judged(forecast=unmeasured)["forecasts"]] == [None] * 3
