# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the second repository as new and as complete as the first one? Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.object_versions import DAY
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

#: Full segments that may be on their way to a repository.
SEGMENTS_ON_THEIR_WAY = 16

Facts = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Demand:
    """What is asked of the repository. ``prefix`` is its folder in the bucket, with a slash at the end."""

    retention_days: float
    prefix: str
    repo: int = 2
    backup_age_days: float = 8.0
    wal_age_seconds: float = 300.0


def compared(demand: Demand, window: Facts | None, now: float) -> list[Check]:
    """Age and completeness, against the first repository where there is one."""
    names = ("repository_whole", "newest_backup", "newest_wal")
    if window is None:
        return [Check(name, Verdict.UNKNOWN, "pgBackRest was not asked (option window)") for name in names]
    return [
        Check(names[0], *_whole(demand, window)),
        Check(names[1], *_newest_backup(demand, window, now)),
        Check(names[2], *_newest_wal(demand, window, now)),
    ]


def _whole(demand: Demand, window: Facts) -> tuple[Verdict, str]:
    own = [one for one in window.get("checks", []) if one["name"].startswith(f"repository {demand.repo}:")]
    bad = [one for one in own if one["verdict"] != Verdict.PASSED.value]
    if bad:
        worst = next((one for one in bad if one["verdict"] == Verdict.FAILED.value), bad[0])
        return Verdict(worst["verdict"]), f"{worst['name']}: {worst['reason']}"
    if not own:
        return Verdict.UNKNOWN, f"pgBackRest told nothing of repository {demand.repo}"
    return Verdict.PASSED, "a backup can be restored, and WAL has no gap"


def _newest_backup(demand: Demand, window: Facts, now: float) -> tuple[Verdict, str]:
    labels = {repo: _labels(window, repo) for repo in (1, demand.repo)}
    if not labels[demand.repo]:
        return Verdict.FAILED, f"repository {demand.repo} holds no backup that can be restored"
    newest = labels[demand.repo][-1]
    days = (now - label_time(newest)) / DAY
    beside = f"; repository 1 has {labels[1][-1]}" if labels[1] and demand.repo != 1 else ""
    said = f"{newest} is {days:.1f} days old, of at most {demand.backup_age_days:g}{beside}"
    return (Verdict.PASSED if days <= demand.backup_age_days else Verdict.FAILED), said


def _labels(window: Facts, repo: int) -> list[str]:
    found = {label for one in window.get("windows", []) if one["repo"] == repo for label in one["backups"]}
    return sorted(found, key=label_time)


def label_time(label: str) -> float:
    """When a backup began, by its label: in the repository host's own time, taken for UTC."""
    text = label.rpartition("_")[2]
    return datetime.strptime(text[:15], "%Y%m%d-%H%M%S").replace(tzinfo=timezone.utc).timestamp()


def _newest_wal(demand: Demand, window: Facts, now: float) -> tuple[Verdict, str]:
    """The second repository may lack what the first one has for a moment only."""
    ends = {one["repo"]: one for one in window.get("timelines", []) if one.get("last_segment")}
    mine, first = ends.get(demand.repo), ends.get(1)
    if mine is None:
        return Verdict.FAILED, f"repository {demand.repo} holds no WAL"
    if first is None:
        return Verdict.UNKNOWN, f"up to {mine['last_segment']}; repository 1 told nothing to compare it with"
    if mine["last_segment"] >= first["last_segment"]:
        return Verdict.PASSED, f"up to {mine['last_segment']}, repository 1 up to {first['last_segment']}"
    behind = segment_number(first["last_segment"]) - segment_number(mine["last_segment"])
    seconds = now - _moment(first["last_time"])
    said = (
        f"up to {mine['last_segment']}; repository 1 has {first['last_segment']} since {seconds:.0f} s,"
        f" of at most {demand.wal_age_seconds:g}"
    )
    late = seconds > demand.wal_age_seconds or behind > SEGMENTS_ON_THEIR_WAY
    return (Verdict.FAILED if late else Verdict.PASSED), said


def segment_number(name: str) -> int:
    """A segment's place in the WAL, as if 256 segments had the same number in the middle; its timeline is left out."""
    return int(name[8:16], 16) * 256 + int(name[16:24], 16)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text if text[-3] != "+" else f"{text}:00").timestamp()
