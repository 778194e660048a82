# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this cluster be recovered right now, how long would it take, and what would be lost? Pure.

What is looked at: the cluster as the observer sees it, what the repositories really hold, what drills have measured.
A disaster that was never drilled, or too long ago, is unknown however healthy the cluster looks.
"""

from __future__ import annotations

import re
import statistics
import typing as t
from dataclasses import asdict, dataclass
from datetime import datetime

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
) -> dict[str, t.Any]:
    """The whole status, as it is printed and kept.

    :param cluster: what cluster_info said; None where nobody could look.
    :param window: what recovery_window said; None where the repositories could not be asked.
    :param proof_days: how old a drill may be and still be worth something.
    """
    checks = [*cluster_checks(cluster), *repository_checks(cluster, window)]
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
    return found + [archive_check(repo, cluster, window) for repo in sorted({one["repo"] for one in window["windows"]})]


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
