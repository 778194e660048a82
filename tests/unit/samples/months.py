# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""November 2026 as a repository host would have kept it: a growing database, an outage of the scheduler, failures.

Times in hours since the first of the month, in UTC.
"""

from __future__ import annotations

import functools
import math
import random
import typing as t
from datetime import datetime, timezone

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import forecast
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.backup_records import utc
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.forecast import Known

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc).timestamp()
NOW = BEGIN + 30 * 86400 + 7200
GIB, MIB = 2**30, 2**20
#: The hours in which no timer ran.
OUTAGE = range(12 * 24 + 3, 12 * 24 + 6)
OBJECTIVES = {"rto_seconds": 300, "retention_days": 30}
Line = dict[str, t.Any]


def lsn(number: float) -> str:
    return f"{int(number) >> 32:X}/{int(number) & 0xFFFFFFFF:X}"


def backup(hour: float, kind: str, *, repo: int = 1, verdict: str = "passed", why: str = "") -> Line:
    size = (20 + hour / 24 * 0.4) * GIB
    seconds = size / GIB * (6.1 if kind == "full" else 0.4)
    checks = [{"name": "page_checksums", "verdict": "passed", "reason": ""}]
    made = verdict != "failed"
    if why:
        checks.append({"name": "completion", "verdict": verdict, "reason": why})
    return {
        "schema": "fraiseql.resilience/backup/1", "stanza": "orders", "repo": repo, "wanted": kind,
        "utc": utc(BEGIN + hour * 3600 + seconds), "began_utc": utc(BEGIN + hour * 3600),
        "label": f"{utc(BEGIN + hour * 3600)[:10].replace('-', '')}-{hour:06.0f}{kind[0].upper()}" if made else None,
        "type": kind if made else None, "verdict": verdict, "checks": checks, "seconds": round(seconds, 2),
        "size": int(size) if made else None,
        "repository_size": int(size / (3 if kind == "full" else 90)) if made else None,
        "timeline": 1, "start_lsn": lsn(GIB + hour * 180 * MIB), "stop_lsn": lsn(GIB + hour * 180 * MIB + 4096),
        "system_id": "7712454083190022000", "versions": {"pgbackrest": "2.55.1", "postgresql": "17"}, "by": "timer",
        "wal_bytes_since_last": 180 * MIB,
    }  # fmt: skip


def verification(
    hour: float, level: str, *, repo: int = 1, verdict: str = "passed", why: str = "", noise: float = 1.0
) -> Line:
    size, wal = (20 + hour / 24 * 0.4) * GIB, (60 + 140 * (hour % 7) / 7) * MIB
    restore, replay, checks = noise * (2 + 5.8 * size / GIB), noise * (1.4 + 38 * wal / GIB), 2.1 * size / GIB
    restores = level != "quick"
    return {
        "schema": "fraiseql.resilience/verification/1", "stanza": "orders", "repo": repo, "level": level,
        "utc": utc(BEGIN + hour * 3600 + 400), "began_utc": utc(BEGIN + hour * 3600), "label": f"{hour:06.0f}",
        "verdict": verdict, "checks": [{"name": "rows", "verdict": verdict, "reason": why or "12 tables are the same"}],
        "seconds": {
            "total": restore + replay + checks if restores else 3.0, "restore": restore if restores else None,
            "replay": replay if restores else None, "checks": checks if restores else 3.0,
        },
        "restored_bytes": int(size) if restores else None, "replayed_bytes": int(wal) if restores else None,
        "by": "timer", "host": "repo-a",
    }  # fmt: skip


@functools.cache
def month(days: int = 30) -> Known:
    """Two hours beyond, too, so that what failed last has a successor."""
    dice = random.Random(11)
    catalogue, tests = [], []
    for hour in range(days * 24 + 2):
        if hour in OUTAGE:
            continue
        kind = "full" if hour % 24 == 1 else "incr"
        if hour == 5 * 24 + 1:
            catalogue.append(backup(hour, kind, verdict="failed", why="the repository is full"))
        elif hour == 20 * 24 + 9:
            catalogue.append(
                backup(hour, kind, verdict="unknown", why="WAL of it could not be walked: repository 2 was away")
            )
        else:
            catalogue.append(backup(hour, kind))
        if hour % 168 == 26:
            catalogue.append(backup(hour, "full", repo=2))
        if hour % 24 == 4:
            noise = math.exp(dice.gauss(0, 0.08))
            bad = hour == 15 * 24 + 4
            verdict, why = ("failed", "orders.items: 3 rows are not the same") if bad else ("passed", "")
            tests.append(verification(hour, "standard", verdict=verdict, why=why, noise=noise))
        if hour % 168 == 50:
            tests.append(verification(hour, "full", repo=2, noise=1.9))
    return Known(catalogue, tests, forecasts(catalogue, tests), repos=[1, 2])


def forecasts(catalogue: list[Line], tests: list[Line]) -> list[Line]:
    """What was said just before each verification."""
    kept: list[Line] = []
    for number, line in enumerate(tests):
        now = datetime.fromisoformat(line["began_utc"]).timestamp()
        before = [one for one in catalogue if one["utc"] < line["began_utc"]]
        known = Known(before, tests[:number], kept, repos=[1, 2])
        kept.append(forecast.kept(forecast.judge(known, OBJECTIVES, now)))
    return kept


@functools.cache
def all_failed(days: int = 30) -> Known:
    """Nothing ever came about."""
    why = "the repository cannot be written: read-only"
    return Known(
        [backup(hour, "incr", verdict="failed", why=why) for hour in range(days * 24)],
        [verification(hour, "standard", verdict="failed", why="the key is wrong") for hour in range(4, days * 24, 24)],
        repos=[1, 2],
    )


def windows(first_day: float = -1.0) -> list[Line]:
    """What recovery_window tells, from a day of the month on."""
    begin = datetime.fromtimestamp(BEGIN + first_day * 86400, timezone.utc).strftime("%Y-%m-%d %H:%M:%S+00")
    end = lsn(GIB + 722 * 180 * MIB + 100 * MIB)
    return [{"repo": repo, "timeline": 1, "from_time": begin, "to_lsn": end} for repo in (1, 2)]
