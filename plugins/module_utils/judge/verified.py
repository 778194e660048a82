# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When was each repository's backup last restored, and did that prove anything? Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, Record
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict

LEVELS = ("quick", "standard", "full")
#: Levels that restore. The other one looks at names and files alone.
RESTORING = ("standard", "full")


def newest(verifications: Sequence[Record]) -> list[dict[str, t.Any]]:
    """The last verification of each repository and level, as it is told, in the order of repositories and levels."""
    last: dict[tuple[int, str], Record] = {}
    for line in verifications:
        repo, level = records.repo_of(line), records.text(line, "level")
        if repo is not None and level in LEVELS:
            last[repo, level] = line
    ordered = sorted(last, key=lambda key: (key[0], LEVELS.index(key[1])))
    return [_told(repo, level, last[repo, level]) for repo, level in ordered]


def _told(repo: int, level: str, line: Record) -> dict[str, t.Any]:
    said = records.text(line, "verdict")
    wrong = [
        f"{records.text(check, 'name')}: {records.text(check, 'reason')}"
        for check in _listed(line.get("checks"))
        if isinstance(check, dict) and check.get("verdict") != "passed"
    ]
    return {
        "repo": repo,
        "level": level,
        "utc": records.text(line, "utc"),
        "label": records.text(line, "label"),
        "verdict": said if said in {verdict.value for verdict in Verdict} else Verdict.UNKNOWN.value,
        "reason": "; ".join(wrong),
        "restore_seconds": records.number(line, "seconds", "restore"),
        "replay_seconds": records.number(line, "seconds", "replay"),
        "total_seconds": records.number(line, "seconds", "total"),
    }


def _listed(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []


def judge(told: Sequence[dict[str, t.Any]], repos: Sequence[int], now: float, most_days: float) -> list[Check]:
    """One check for each repository: the newest verification of no level failed, and a restore is young enough.

    :param told: what :func:`newest` gives.
    :param now: seconds since 1970.
    """
    return [_of_repository(repo, [one for one in told if one["repo"] == repo], now, most_days) for repo in repos]


def _of_repository(repo: int, own: Sequence[dict[str, t.Any]], now: float, most_days: float) -> Check:
    name = f"repository {repo}: a backup was restored"
    for one in own:
        if one["verdict"] == Verdict.FAILED.value:
            return Check(name, Verdict.FAILED, f"{one['level']} of {one['label']} at {one['utc']}: {one['reason']}")
    passed = [one for one in own if one["level"] in RESTORING and one["verdict"] == Verdict.PASSED.value]
    ages = {one["level"]: age for one in passed if (age := age_days(one, now)) is not None}
    if not ages:
        ran = [one for one in own if one["level"] in RESTORING]
        return Check(name, Verdict.UNKNOWN, "no restore of it was proven" if ran else "it was never restored")
    level, age = min(ages.items(), key=lambda item: item[1])
    if age < -1:
        return Check(name, Verdict.UNKNOWN, f"{level} bears a time that lies {-age:.1f} days ahead")
    verdict = Verdict.PASSED if age <= most_days else Verdict.UNKNOWN
    return Check(name, verdict, f"{level} passed {max(age, 0.0):.1f} days ago, of at most {most_days:g}")


def age_days(one: Record, now: float) -> float | None:
    """Days since a verification ended; below 0 where its clock, or this one, was wrong."""
    ended = records.moment(one, "utc")
    return None if ended is None else (now - ended) / DAY
