# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples in, rows of docs/benchmarks.json out. Pure, but for reading and writing that one file.

A row: ``id, what, unit, n, median, p95, max, samples, reach, reached, reference {name, median, n, samples} or null,
least, measured_at, command``. ``reach`` is the most that the median may be: a number, or a formula of the reference's
median. Where ``least`` is true, it is the least that each sample may be.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.json"

#: By the id of a figure, its samples in the order of the rounds.
Series = dict[str, list[float]]

SCHEMA = "fraiseql.resilience/benchmarks/1"


@dataclass(frozen=True)
class Figure:
    """What is measured. ``reach`` turns the reference's median into the most that ours may be, or the ``least``."""

    id: str
    unit: str
    what: str
    reach: t.Callable[[float | None], float | None]
    reference: str = ""
    least: bool = False
    #: The figure that it stands beside: that one's samples are its reference.
    beside: str = ""


def unlimited(_reference: float | None) -> None:
    """What is measured for comparison alone."""


def limit(value: float) -> t.Callable[[float | None], float | None]:
    return lambda _reference: value


def times(factor: float, plus: float) -> t.Callable[[float | None], float | None]:
    return lambda reference: None if reference is None else round(factor * reference + plus, 3)


FIGURES = (
    Figure("switchover_failed_transactions", "transactions", "planned switchover: client transactions that failed",
           limit(0), "Patroni switchover, one client that tries again every 10 ms"),
    Figure("switchover_stall_seconds", "seconds", "planned switchover: longest wait of a client for its next commit",
           limit(1.2), "Patroni switchover"),
    Figure("host_lost_outage_seconds", "seconds", "primary's host and disks lost: outage as clients felt it (T7 − T1)",
           limit(10), "Patroni, its defaults"),
    Figure("host_lost_rows", "rows", "the same: acknowledged rows lost", limit(0), "Patroni, its defaults"),
    Figure("patroni_host_lost_outage_seconds", "seconds", "the same, and Patroni takes over by itself",
           unlimited, "our failover, the decision at once", beside="host_lost_outage_seconds"),
    Figure("patroni_host_lost_rows", "rows", "the same: acknowledged rows lost", limit(0)),
    Figure("region_lost_outage_seconds", "seconds", "primary's region cut off: outage as clients felt it (T7 − T1)",
           limit(15)),
    Figure("partition_sync_rows", "rows", "primary isolated but alive: acknowledged rows lost", limit(0)),
    Figure("partition_outage_seconds", "seconds", "the same: outage as clients felt it", limit(15)),
    Figure("partition_async_rows", "rows", "the same under async, 2 s ahead of everybody: acknowledged rows lost",
           limit(1), least=True),
    Figure("partition_async_unlisted_rows", "rows", "of these: rows that the evidence does not name", limit(0)),
    Figure("backups_alone_rows", "rows", "every member's host and disks lost: acknowledged rows lost", limit(0)),
    Figure("backups_alone_outage_seconds", "seconds", "the same: outage as clients felt it, new hosts included",
           limit(3600)),
    Figure("pitr_1gb_seconds", "seconds", "point-in-time restore of 1 GB: start of the playbook to the first commit",
           times(1.5, 10), "pgBackRest and pg_ctl by hand, all of it fetched"),
    Figure("repo2_restore_1gb_seconds", "seconds", "the same out of the object store of the other region",
           times(1.5, 10), "pgBackRest and pg_ctl by hand, all of it fetched"),
    Figure("repo2_restore_5gb_seconds", "seconds", "the same with 5 GB",
           times(1.15, 0), "pgBackRest and pg_ctl by hand, all of it fetched"),
    Figure("repo2_restore_5gb_fetched_seconds", "seconds", "the same, nothing copied of what is kept",
           unlimited, "what was not written since the backup is copied"),
    Figure("repo2_restore_5gb_in_place_seconds", "seconds", "the same in place of the old data, which are not kept",
           times(1.15, 0), "pgBackRest and pg_ctl by hand, all of it fetched"),
    Figure("rto_error_seconds", "seconds", "reported RTO, and what a second, independent writer saw: difference",
           limit(0.1)),
    Figure("status_seconds", "seconds", "status of all hosts: start of the playbook to its end", limit(10)),
    Figure("verify_standard_1gb_seconds", "seconds", "1 GB verified at level standard: module's start to its end",
           times(1.3, 0), "restore and the same checks by hand"),
    Figure("verify_standard_5gb_seconds", "seconds", "the same with 5 GB",
           times(1.1, 0), "restore and the same checks by hand"),
    Figure("verify_sabotage_caught", "sabotages", "backups, copies and answers spoiled, and found by the check for it",
           times(1, 0), "sabotages in all", least=True),
    Figure("backup_tps_overhead_percent", "percent", "full backup beside clients: transactions fewer than with the "
           "same by hand", limit(3), "by hand against itself"),
    Figure("controls_caught", "controls", "faults shown to the checks and found by name", limit(10), least=True),
    Figure("forecast_error_percent", "percent", "forecast of restores of 0.75 to 8 GiB, sizes that it has not seen: "
           "mean error", limit(25)),
    Figure("window_50k_segments_seconds", "seconds", "recovery window of 720 backups and 50,000 segments that a "
           "stand-in lists: module's start to its end", limit(2)),
    Figure("window_50k_segments_mb", "MB", "the same: most memory that the module held", limit(200)),
    Figure("readyz_rps", "requests a second", "health agent: /readyz asked by 32 connections", times(5, 0),
           "Patroni's REST API, /readiness", least=True),
    Figure("readyz_p99_ms", "ms", "the same: 99th percentile", limit(10), "Patroni's REST API, /readiness"),
    Figure("readyz_frozen_p99_ms", "ms", "the same while PostgreSQL is frozen (SIGSTOP)", limit(10)),
    Figure("agent_rss_mb", "MB", "health agent with all checks of a member, after that: resident memory", limit(60)),
    Figure("agent_cpu_percent", "percent", "the same, asked by nobody: CPU of one core", limit(1)),
    Figure("fault_to_readyz_seconds", "seconds", "postmaster or whole server frozen: until /readyz says 503",
           limit(2)),
    Figure("green_faults_seen", "faults", "of the faults that pg_isready or SELECT 1 do not see: those that the agent "
           "says", times(1, 0), "faults in all", least=True),
    Figure("fault_to_page_seconds", "seconds", "no primary, hanging commits, a gap in the archive: fault to "
           "Alertmanager's receiver, the slowest", limit(60)),
    Figure("rules", "alerts", "alerts of role monitoring", limit(45), least=True),
    Figure("rules_fired_live", "alerts", "of these: raised by a fault in the lab, and told at the receiver outside",
           limit(30), least=True),
    Figure("runbooks_drilled", "runbooks", "runbooks whose fault was made, recovered from and verified",
           limit(24), least=True),
    Figure("runbooks_all_minutes", "minutes", "the same: all of them, one after the other", limit(45)),
    Figure("runbooks_detect_first", "runbooks", "of these: named first by detection", limit(22), least=True),
    Figure("runbook_detection_median_seconds", "seconds", "the same: fault to being named, the median of them",
           limit(15)),
    Figure("runbooks_manual_verified", "runbooks", "runbooks followed by hand, command by command, to their end",
           times(1, 0), "runbooks that have commands for each step", least=True),
    Figure("linter_faults_found", "faults", "faults seeded into a runbook and found by the rule for it",
           times(1, 0), "faults in all", least=True),
    Figure("chaos_points", "points", "operations killed after one of their tasks and run again: whole (1), or not, or "
           "not killed there yet (0)",
           limit(1), least=True),
    Figure("chaos_moments", "moments", "operations killed within a task and run again: whole (1) or not (0)",
           limit(1), least=True),
    Figure("site_second_run_seconds", "seconds", "a second site.yml, all hosts", limit(90)),
    Figure("site_second_run_changed", "tasks", "the same: tasks that changed something", limit(0)),
)  # fmt: skip


def p95(samples: t.Sequence[float]) -> float:
    """By linear interpolation between the samples, as numpy's default."""
    return statistics.quantiles(samples, n=20, method="inclusive")[18] if len(samples) > 1 else samples[0]


def row(
    figure: Figure, ours: t.Sequence[float], reference: t.Sequence[float], measured_at: str, command: str
) -> dict[str, t.Any]:
    compared = round(statistics.median(reference), 3) if reference else None
    reach, median = figure.reach(compared), round(statistics.median(ours), 3)
    return {
        "id": figure.id,
        "what": figure.what,
        "unit": figure.unit,
        "n": len(ours),
        "median": median,
        "p95": round(p95(ours), 3),
        "max": max(ours),
        "samples": list(ours),
        "reach": reach,
        "least": figure.least,
        "reached": None if reach is None else _reached(figure, ours, reach),
        "reference": None
        if compared is None
        else {"name": figure.reference, "median": compared, "n": len(reference), "samples": list(reference)},
        "measured_at": measured_at,
        "command": command,
    }


def _reached(figure: Figure, ours: t.Sequence[float], reach: float) -> bool:
    """A count of what was lost, failed or found must be reached by every round, a time or a share by the median."""
    if figure.least:
        return min(ours) >= reach
    return (statistics.median(ours) if figure.unit in {"seconds", "ms", "percent"} else max(ours)) <= reach


def updated(
    known: t.Mapping[str, t.Any],
    ours: t.Mapping[str, t.Sequence[float]],
    reference: t.Mapping[str, t.Sequence[float]],
    machine: t.Mapping[str, t.Any],
    measured_at: str,
    command: str,
) -> dict[str, t.Any]:
    """The file's content with what was measured now; where that is the reference alone, the rest stays."""
    rows = {one["id"]: one for one in known.get("results", [])}
    for figure in FIGURES:
        before = rows.get(figure.id)
        if figure.id in ours:
            compared = reference.get(figure.id) or _beside(figure, rows) or _known_reference(before)
            rows[figure.id] = row(figure, ours[figure.id], compared, measured_at, command)
        elif figure.id in reference and before:
            rows[figure.id] = row(
                figure, before["samples"], reference[figure.id], before["measured_at"], before["command"]
            )
    ordered = [rows[figure.id] for figure in FIGURES if figure.id in rows]
    # What somebody wrote beside a figure was about samples that are replaced now.
    remarks = {name: text for name, text in known.get("remarks", {}).items() if name not in ours}
    return {"schema": SCHEMA, "machine": dict(machine), "remarks": remarks, "results": ordered}


def _beside(figure: Figure, rows: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Sequence[float]:
    samples: t.Sequence[float] = rows[figure.beside]["samples"] if figure.beside in rows else ()
    return samples


def _known_reference(before: t.Mapping[str, t.Any] | None) -> t.Sequence[float]:
    samples: t.Sequence[float] = ((before or {}).get("reference") or {}).get("samples") or ()
    return samples


def keep(ours: Series, reference: Series, command: str, remark: str = "") -> None:
    """Write what was measured just now, on this machine; ``remark`` stands beside each figure of ours."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = updated(read(FILE), ours, reference, machine(), now, command)
    if remark:
        content["remarks"] |= dict.fromkeys(ours, remark)
    write(FILE, content)


def machine() -> dict[str, t.Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": os.cpu_count(), "memory_gib": round(pages / 2**30), "kernel": platform.release()}


def read(path: Path) -> dict[str, t.Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, content: t.Mapping[str, t.Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
