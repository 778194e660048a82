# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a month of backups is judged by: failures and what followed them, gaps, restores, how far back one can go.

Pure. Rows, failures and gaps are those of a backup report.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import DAY, Record
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verified import RESTORING

Lines = Sequence[Record]
Dict = dict[str, t.Any]


def of_rows(name: str, rows: Sequence[Dict], failures: Sequence[Dict]) -> Check:
    """Whether all passed, or what did not was followed by one that did."""
    if not rows:
        return Check(name, Verdict.UNKNOWN, "there were none in this period")
    unanswered = [one for one in failures if one["next_good"] is None]
    said = f"{len(failures)} of {len(rows)} did not pass"
    if unanswered:
        last = unanswered[-1]
        failed = any(one["verdict"] == Verdict.FAILED.value for one in unanswered)
        after = f"{said}; nothing good came after {last['kind']} in repository {last['repo']} at {last['utc']}"
        return Check(name, Verdict.FAILED if failed else Verdict.UNKNOWN, after)
    if failures:
        return Check(name, Verdict.PASSED, f"{said}, and each was followed by a good one")
    return Check(name, Verdict.PASSED, f"all {len(rows)} passed")


def of_gaps(backups: Sequence[Dict], missed: Sequence[Dict]) -> Check:
    if not backups and not missed:
        return Check("schedule", Verdict.UNKNOWN, "there were no backups in this period")
    if not missed:
        return Check("schedule", Verdict.PASSED, "no hour, day or week without its backup")
    by_plan = {one["plan"]: sum(gap["slots"] for gap in missed if gap["plan"] == one["plan"]) for one in missed}
    said = ", ".join(f"{count} × {plan}" for plan, count in by_plan.items())
    return Check("schedule", Verdict.FAILED, f"missing: {said}; first from {missed[0]['begin_utc']}")


def of_restores(repo: int | None, tests: Sequence[Dict]) -> Check:
    """A repository from which nothing was restored in the period is not known to be good."""
    own = [one for one in tests if one["repo"] == repo and one["kind"] in RESTORING]
    passed = [one for one in own if one["verdict"] == Verdict.PASSED.value]
    verdict = Verdict.PASSED if passed else Verdict.UNKNOWN
    return Check(f"restored_repository_{repo}", verdict, f"{len(passed)} of {len(own)} restores passed")


def retention(
    repo: int, catalogue: Lines, windows: Sequence[Record] | None, objectives: Mapping[str, t.Any], now: float
) -> Dict:
    """How many days back a repository can go now."""
    wanted = records.number(dict(objectives), "retention_days")
    own = [one for one in windows or [] if records.repo_of(one) == repo]
    begins = [begin for one in own if (begin := records.moment(one, "from_time")) is not None]
    days = round((now - min(begins)) / DAY, 2) if begins else None
    verdict, reason = _retained(days, wanted, windows is not None, _age_days(catalogue, repo, now))
    return {"repo": repo, "days": days, "wanted_days": wanted, "verdict": verdict.value, "reason": reason}


def _retained(days: float | None, wanted: float | None, asked: bool, age: float | None) -> tuple[Verdict, str]:
    if not asked:
        return Verdict.UNKNOWN, "the repositories could not be asked"
    if days is None:
        return Verdict.FAILED, "it holds nothing that can be restored"
    said = f"{days:.1f} days can be restored"
    if wanted is None:
        return Verdict.UNKNOWN, f"{said}; there is no objective for it"
    if days >= wanted:
        return Verdict.PASSED, f"{said}, of at least {wanted:g}"
    if age is not None and age < wanted:
        return Verdict.UNKNOWN, f"{said}; its first backup was {age:.1f} days ago, of {wanted:g}"
    return Verdict.FAILED, f"{said}, of at least {wanted:g}"


def _age_days(catalogue: Lines, repo: int, now: float) -> float | None:
    times = [records.moment(line, "utc") for line in catalogue if records.repo_of(line) == repo]
    known = [time for time in times if time is not None]
    return (now - min(known)) / DAY if known else None
