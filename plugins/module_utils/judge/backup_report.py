# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of backups, verifications and restore tests: what there was, what failed, and what was done. Pure."""

from __future__ import annotations

import statistics
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import forecast, schedule
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_checks import (
    of_gaps,
    of_restores,
    of_rows,
    retention,
)
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import Record
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.period import Period
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Check, Verdict, worst
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verified import LEVELS, RESTORING

SCHEMA = "fraiseql.resilience/backup-report/1"
#: A stronger kind stands in for a weaker one.
STRENGTH: t.Final = {"full": 3, "diff": 2, "incr": 1}

Lines = Sequence[Record]
Dict = dict[str, t.Any]


def backup_report(
    known: Known, period: Period, objectives: Mapping[str, t.Any], now: float, windows: Sequence[Record] | None = None
) -> Dict:
    """The whole report.

    :param windows: what recovery_window tells; None where the repositories could not be asked.
    :param now: seconds since 1970; for what is told of the present: forecast and retention.
    """
    plans = [plan for plan in schedule.PLANS if plan.repo in known.repos]
    told = forecast.judge(known, objectives, now)
    missed = [gap.as_dict() for gap in schedule.gaps(known.catalogue, period.begin, period.end, plans)]
    backups = [backup_row(line) for line in known.catalogue if period.holds(line)]
    tests = [verification_row(line) for line in known.verifications if period.holds(line)]
    failures = [
        *answered(known.catalogue, period, backup_row, stands_in),
        *answered(known.verifications, period, verification_row, level_stands_in),
    ]
    kept = [retention(repo, known.catalogue, windows, objectives, now) for repo in known.repos]
    checks = [
        of_rows("backups", backups, [one for one in failures if one["what"] == "backup"]),
        of_gaps(backups, missed),
        of_rows("verifications", tests, [one for one in failures if one["what"] == "verification"]),
        *(of_restores(repo, tests) for repo in known.repos),
        *(Check(f"retention_repository_{one['repo']}", Verdict(one["verdict"]), one["reason"]) for one in kept),
        *(Check(one["name"], Verdict(one["verdict"]), one["reason"]) for one in told["checks"]),
    ]
    return {
        "schema": SCHEMA,
        "utc": records.utc(now),
        "period": period.as_dict(),
        "verdict": worst(checks).value,
        "checks": [check.as_dict() for check in checks],
        "objectives": dict(objectives),
        "figures": figures(backups, tests, missed),
        "backups": backups,
        "verifications": tests,
        "failures": failures,
        "gaps": missed,
        "retention": kept,
        "trend": trend(backups),
        "forecast": {name: told[name] for name in ("recoveries", "warnings", "errors", "growth_bytes_per_day")},
        "rto": rto_history(known, period, told),
    }


# rows -----------------------------------------------------------------------------------------------------------------


def backup_row(line: Record) -> Dict:
    return {
        "what": "backup",
        "utc": records.text(line, "utc"),
        "began_utc": records.text(line, "began_utc"),
        "repo": records.repo_of(line),
        "kind": records.text(line, "wanted") or records.text(line, "type"),
        "type": records.text(line, "type"),
        "label": records.text(line, "label"),
        **_judged(line),
        "seconds": records.number(line, "seconds"),
        "size": records.number(line, "size"),
        "repository_size": records.number(line, "repository_size"),
        "by": records.text(line, "by"),
    }


def verification_row(line: Record) -> Dict:
    return {
        "what": "verification",
        "utc": records.text(line, "utc"),
        "began_utc": records.text(line, "began_utc"),
        "repo": records.repo_of(line),
        "kind": records.text(line, "level"),
        "label": records.text(line, "label"),
        **_judged(line),
        **{f"{name}_seconds": records.number(line, "seconds", name) for name in ("total", "restore", "replay")},
        "restored_bytes": records.number(line, "restored_bytes"),
        "replayed_bytes": records.number(line, "replayed_bytes"),
        "by": records.text(line, "by"),
    }


def _judged(line: Record) -> Dict:
    said, checks = records.text(line, "verdict"), line.get("checks")
    wrong = [
        f"{records.text(check, 'name')}: {records.text(check, 'reason')}"
        for check in (checks if isinstance(checks, list) else [])
        if records.text(check, "verdict") != Verdict.PASSED.value
    ]
    known = {verdict.value for verdict in Verdict}
    return {"verdict": said if said in known else Verdict.UNKNOWN.value, "reason": "; ".join(wrong)}


# what was done --------------------------------------------------------------------------------------------------------


def stands_in(later: Dict, failed: Dict) -> bool:
    """Whether a backup is of the kind that failed, or of a stronger one."""
    strength = STRENGTH.get(str(later["type"]), 0)
    return later["label"] is not None and strength >= STRENGTH.get(str(failed["kind"]), 0)


def level_stands_in(later: Dict, failed: Dict) -> bool:
    levels = (later["kind"], failed["kind"])
    return all(level in LEVELS for level in levels) and LEVELS.index(levels[0]) >= LEVELS.index(levels[1])


def answered(
    lines: Lines, period: Period, row: t.Callable[[Record], Dict], fits: t.Callable[[Dict, Dict], bool]
) -> list[Dict]:
    """What did not pass in the period, each with the next good one of its kind in its repository, whenever that was."""
    found: list[Dict] = []
    waiting: list[Dict] = []
    for line in lines:
        one = row(line)
        if one["verdict"] == Verdict.PASSED.value:
            for failed in [failed for failed in waiting if failed["repo"] == one["repo"] and fits(one, failed)]:
                failed["next_good"] = {"utc": one["utc"], "label": one["label"], "after_seconds": _between(failed, one)}
                waiting.remove(failed)
        elif period.holds(line):
            failed = {**one, "next_good": None}
            waiting.append(failed)
            found.append(failed)
    return found


def _between(before: Dict, after: Dict) -> float | None:
    """Seconds; None where the clock was set back in between."""
    begin, end = records.moment(before, "utc"), records.moment(after, "utc")
    return None if begin is None or end is None or end < begin else end - begin


# figures and trends ---------------------------------------------------------------------------------------------------


def figures(backups: Sequence[Dict], tests: Sequence[Dict], missed: Sequence[Dict]) -> Dict:
    def count(rows: Sequence[Dict], verdict: Verdict) -> int:
        return sum(one["verdict"] == verdict.value for one in rows)

    sizes = [one["size"] for one in backups if one["size"] is not None]
    return {
        "backups": len(backups),
        "backups_failed": count(backups, Verdict.FAILED),
        "backups_unknown": count(backups, Verdict.UNKNOWN),
        "verifications": len(tests),
        "verifications_failed": count(tests, Verdict.FAILED),
        "verifications_unknown": count(tests, Verdict.UNKNOWN),
        "restores": sum(one["kind"] in RESTORING and one["verdict"] == Verdict.PASSED.value for one in tests),
        "slots_missed": sum(one["slots"] for one in missed),
        "size_first": sizes[0] if sizes else None,
        "size_last": sizes[-1] if sizes else None,
    }


def trend(backups: Sequence[Dict]) -> list[Dict]:
    """Each day: the database's last size, and the median duration of what was full and of what was not, in seconds."""
    days: dict[str, list[Dict]] = {}
    for one in backups:
        if one["utc"] and one["label"] and one["repo"] == 1:
            days.setdefault(one["utc"][:10], []).append(one)
    return [
        {
            "day": day,
            "size": next((one["size"] for one in reversed(rows) if one["size"] is not None), None),
            "full_seconds": _median(one["seconds"] for one in rows if one["type"] == "full"),
            "incremental_seconds": _median(one["seconds"] for one in rows if one["type"] in ("diff", "incr")),
        }
        for day, rows in sorted(days.items())
    ]


def _median(values: t.Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None


def rto_history(known: Known, period: Period, told: Mapping[str, t.Any]) -> Dict:
    """What was forecast of a restore to the newest in the period, what it is now, and what restores really took."""
    said = [(records.text(line, "utc"), line) for line in known.forecasts if period.holds(line)]
    points = [*said, (told["utc"], told)] if period.end >= (records.moment(told, "utc") or 0) else said
    measured = [
        {"utc": line.get("utc"), "repo": one.repo, "seconds": round(one.restore + one.replay, 3)}
        for line in known.verifications
        if period.holds(line)
        for one in records.restored([line], {})
        if one.replay is not None and not one.delta
    ]
    return {
        "forecast": [{"utc": utc, **point} for utc, line in points if (point := _newest(line)) is not None],
        "measured": measured,
        "objective_seconds": told["objective_seconds"],
    }


def _newest(said: Record) -> Dict | None:
    recoveries = said.get("recoveries")
    for one in recoveries if isinstance(recoveries, list) else []:
        if records.text(one, "kind") == "restore_newest":
            point = {name: records.number(one, name) for name in ("seconds", "low", "high")}
            return point if None not in point.values() else None
    return None
