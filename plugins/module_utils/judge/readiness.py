# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this cluster be recovered right now, how long would it take, and what would be lost? Pure.

What is looked at: the cluster as the observer sees it, what the repositories really hold, what drills have measured,
when a backup was last restored, and how long the next restore is expected to take.
A disaster that was never drilled, or too long ago, is unknown however healthy the cluster looks; so is a backup that
was never restored.
"""

from __future__ import annotations

import re
import statistics
import typing as t
from dataclasses import asdict, dataclass
from datetime import datetime

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import verified
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.generations import serves
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.recovery_end import lsn_to_int
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst

SCHEMA = "fraiseql.resilience/status/1"
#: The disasters that can be drilled, and what each needs to be recovered from: somebody to take over, somebody in
#: another region, a backup, or one in a second repository.
DISASTERS = {
    "planned_switchover": "standby",
    "primary_crash": "standby",
    "primary_host_lost": "standby",
    "data_loss": "backup",
    "members_lost": "backup",
    "region_lost": "region",
    "backup_corrupt": "second",
    "repository_lost": "second",
    "cross_region_restore": "second",
    "ransomware": "second",
}
#: WAL that may not have reached a repository yet: the segment that is being written, and one on its way, at 16 MB each.
ARCHIVE_BEHIND_BYTES = 2 * 16 * 2**20
#: Days that the restore of a backup is worth something: they are made daily, so a week is six that failed unseen.
VERIFICATION_DAYS = 7

#: What recovery_window calls a check of a repository in the object store, whichever key it has: the last digit says so.
SECOND = re.compile(r"repository \d*2:")

Facts = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Drill:
    """A drill that was run on this cluster, as its evidence says."""

    scenario: str
    verdict: str
    ended: datetime
    rto_seconds: float | None
    lost_transactions: int | None


@dataclass(frozen=True)
class Outlook:
    """One disaster. Seconds and rows are those of the drills that passed: the median, and the most."""

    scenario: str
    verdict: Verdict
    reason: str
    expected_seconds: float | None = None
    longest_seconds: float | None = None
    expected_lost: int | None = None
    drills: int = 0
    measured_utc: str | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return {**asdict(self), "verdict": self.verdict.value}


def judge(
    cluster: Facts | None,
    window: Facts | None,
    drills: t.Sequence[Drill],
    objectives: Facts,
    now: datetime,
    proof_days: float,
    forecast: Facts | None = None,
    verification_days: float = VERIFICATION_DAYS,
) -> dict[str, t.Any]:
    """The whole status, as it is printed and kept.

    :param cluster: what cluster_info said; None where nobody could look.
    :param window: what recovery_window said; None where the repositories could not be asked.
    :param proof_days: how old a drill may be and still be worth something.
    :param forecast: what recovery_forecast said; None where the repository host could not be asked.
    :param verification_days: how old the last restore of a backup may be.
    """
    checks = [
        *cluster_checks(cluster),
        *repository_checks(cluster, window),
        *forecast_checks(window, forecast, now, verification_days),
    ]
    outlooks = [
        outlook(name, cluster, window, [one for one in drills if one.scenario == name], objectives, now, proof_days)
        for name in disasters_of(cluster, window)
    ]
    disasters = [Check(f"recovery_from_{one.scenario}", one.verdict, one.reason) for one in outlooks]
    return {
        "schema": SCHEMA,
        "utc": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "verdict": worst([*checks, *disasters]).value,
        "primary": (cluster or {}).get("primary"),
        "engine": (cluster or {}).get("engine"),
        "members": [member_line(one) for one in (cluster or {}).get("members", [])],
        "windows": current_windows(cluster, window),
        "checks": [check.as_dict() for check in [*checks, *disasters]],
        "disasters": [one.as_dict() for one in outlooks],
        "verifications": [verification_line(one, now) for one in (forecast or {}).get("verified", [])],
        "forecasts": forecast_lines(forecast),
        "forecast_errors": {name: one for name, one in (forecast or {}).get("errors", {}).items() if name != "tests"},
        "warnings": list((forecast or {}).get("warnings_told", [])),
        "objectives": dict(objectives),
    }


def disasters_of(cluster: Facts | None, window: Facts | None) -> list[str]:
    """Those that the cluster is made for: with all members in one region, its loss is no failover's to mend.

    Nor is that of the only repository, or of a backup in it, anything to recover from.
    """
    regions = {one["region"] for one in (cluster or {}).get("members", [])}
    left_out = {"region"} if len(regions) == 1 else set()
    if window is not None and not any(SECOND.match(one["name"]) for one in window["checks"]):
        left_out.add("second")
    return [name for name, need in DISASTERS.items() if need not in left_out]


def current_windows(cluster: Facts | None, window: Facts | None) -> list[Facts]:
    """The windows on the primary's timeline; all of them where none is, or no primary was seen."""
    every = list((window or {}).get("windows", []))
    return [one for one in every if one["timeline"] == (cluster or {}).get("timeline")] or every


def member_line(member: Facts) -> dict[str, t.Any]:
    """What of a member fits on a screen."""
    shown = ("name", "region", "standing", "reason", "timeline", "lag_bytes", "replay_age_seconds", "reading_seconds")
    return {name: member.get(name) for name in shown}


def cluster_checks(cluster: Facts | None) -> list[Check]:
    if cluster is None:
        return [Check("cluster", Verdict.UNKNOWN, "the observer could not look at it")]
    hazards = [Check(f"cluster_{one['code']}", Verdict(one["verdict"]), one["detail"]) for one in cluster["hazards"]]
    if hazards or cluster["verdict"] != "passed":
        return hazards or [Check("cluster", Verdict(cluster["verdict"]), "it was not seen whole")]
    others = [one["name"] for one in cluster["members"] if one["name"] != cluster["primary"]]
    said = f"{cluster['primary']} is primary on timeline {cluster['timeline']}, {', '.join(others) or 'nobody'} streams"
    return [Check("cluster", Verdict.PASSED, said)]


def repository_checks(cluster: Facts | None, window: Facts | None) -> list[Check]:
    if window is None:
        return [Check("repositories", Verdict.UNKNOWN, "the repository host could not be asked")]
    found = [Check(one["name"], Verdict(one["verdict"]), one["reason"] or "whole") for one in window["checks"]]
    # No WAL goes to the repositories of an earlier key any more.
    written = sorted({one["repo"] for one in window["windows"] if serves(one["repo"])})
    return found + [archive_check(repo, cluster, window) for repo in written]


def archive_check(repo: int, cluster: Facts | None, window: Facts) -> Check:
    """Does what the primary writes reach the repository? By position: an idle cluster archives nothing."""
    name = f"repository {repo}: archiving keeps up"
    primary = next((one for one in (cluster or {}).get("members", []) if one["standing"] == "primary"), None)
    if primary is None or primary["written_lsn"] is None:
        return Check(name, Verdict.UNKNOWN, "no primary was seen to compare with")
    ends = [
        lsn_to_int(one["to_lsn"])
        for one in window["windows"]
        if one["repo"] == repo and one["timeline"] == primary["timeline"]
    ]
    if not ends:
        return Check(
            name, Verdict.FAILED, f"it holds no recovery window on the primary's timeline {primary['timeline']}"
        )
    behind = max(0, lsn_to_int(primary["written_lsn"]) - max(ends))
    verdict = Verdict.PASSED if behind <= ARCHIVE_BEHIND_BYTES else Verdict.FAILED
    return Check(name, verdict, f"{behind} of at most {ARCHIVE_BEHIND_BYTES} bytes are not there yet")


def forecast_checks(
    window: Facts | None, forecast: Facts | None, now: datetime, verification_days: float
) -> list[Check]:
    """Was each repository's backup restored lately, and is the next restore expected to keep the objective?"""
    if forecast is None:
        return [Check("verifications", Verdict.UNKNOWN, "the repository host could not be asked")]
    told = forecast["verified"]
    asked = [one["repo"] for one in (window or {}).get("timelines", [])]
    repos = sorted({*asked, *(one["repo"] for one in told)}) or [1]
    restored = verified.judge(told, repos, now.timestamp(), verification_days)
    return [*restored, *(Check(one["name"], Verdict(one["verdict"]), one["reason"]) for one in forecast["checks"])]


def verification_line(one: Facts, now: datetime) -> dict[str, t.Any]:
    age = verified.age_days(dict(one), now.timestamp())
    return {**one, "age_days": None if age is None else round(age, 2)}


def forecast_lines(forecast: Facts | None) -> list[dict[str, t.Any]]:
    """Each forecast, with what the newest verification measured of the same, in seconds."""
    if forecast is None:
        return []
    return [{**one, "measured_seconds": measured(one, forecast["verified"])} for one in forecast["recoveries"]]


def measured(one: Facts, told: t.Sequence[Facts]) -> float | None:
    """What the newest verification took for what a forecast is about; None for what none of them does."""
    own = [line for line in told if line["repo"] == one["repo"] and line["level"] in verified.RESTORING]
    if one["kind"] == "verification_standard":
        return next((line["total_seconds"] for line in own if line["level"] == "standard"), None)
    parts = [(line["restore_seconds"], line["replay_seconds"]) for line in own if line["verdict"] == "passed"]
    if one["kind"] == "delta_restore" or not parts or None in parts[0]:
        return None
    return round(sum(parts[0]), 3)


def outlook(
    scenario: str,
    cluster: Facts | None,
    window: Facts | None,
    drills: t.Sequence[Drill],
    objectives: Facts,
    now: datetime,
    proof_days: float,
) -> Outlook:
    """What is to be expected of one disaster, out of what its drills measured and of what is there now."""
    passed = [one for one in drills if one.verdict == "passed" and one.rto_seconds is not None]
    missing = what_is_missing(DISASTERS[scenario], cluster, window)
    if not passed:
        ran = f"none of {len(drills)} drills passed" if drills else "it was never drilled"
        return Outlook(scenario, Verdict.FAILED if missing else Verdict.UNKNOWN, missing or f"{ran} on this cluster")
    last = max(passed, key=lambda one: one.ended)
    seconds = [t.cast(float, one.rto_seconds) for one in passed]
    measured = Outlook(
        scenario,
        Verdict.PASSED,
        "",
        expected_seconds=round(statistics.median(seconds), 3),
        longest_seconds=max(seconds),
        expected_lost=max(one.lost_transactions or 0 for one in passed),
        drills=len(passed),
        measured_utc=last.ended.isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    verdict, reason = _weighed(measured, missing, objectives, (now - last.ended).total_seconds() / 86400, proof_days)
    return Outlook(**{**asdict(measured), "verdict": verdict, "reason": reason})


def _weighed(
    measured: Outlook, missing: str, objectives: Facts, age_days: float, proof_days: float
) -> tuple[Verdict, str]:
    longest, rto = t.cast(float, measured.longest_seconds), float(objectives["rto_seconds"])
    if missing:
        return Verdict.FAILED, missing
    if age_days > proof_days:
        return Verdict.UNKNOWN, f"the last drill that passed is {age_days:.0f} days old, of at most {proof_days:g}"
    if longest > rto:
        return Verdict.FAILED, f"the longest of {measured.drills} drills took {longest:.1f} s, of at most {rto:g} s"
    return Verdict.PASSED, f"{measured.drills} drills passed, the longest took {longest:.1f} s, of at most {rto:g} s"


def what_is_missing(need: str, cluster: Facts | None, window: Facts | None) -> str:
    """Why a recovery could not begin now; empty if nothing is known to be in its way."""
    if need in ("standby", "region") and cluster is not None:
        primary = next((one for one in cluster["members"] if one["standing"] == "primary"), None)
        near = primary["region"] if need == "region" and primary is not None else None
        streaming = [
            one
            for one in cluster["members"]
            if one["standing"] == "standby" and one["receiving_from"] and one["region"] != near
        ]
        where = f" outside region {near}" if near is not None else ""
        return "" if streaming else f"no standby streams{where}, so nobody can take over"
    if need == "backup" and window is not None:
        return "" if window["windows"] else "no repository holds anything that can be restored"
    if need == "second" and window is not None:
        second = any(one["repo"] % 10 == 2 for one in window["windows"])
        return "" if second else "no repository but the first one holds anything that can be restored"
    return ""
