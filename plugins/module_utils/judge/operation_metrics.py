# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills and recoveries as metrics: what their sealed reports say. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import backup_records as records
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.verdict import Verdict
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import Metric

#: So many are told, the newest.
MOST = 50


def metrics(reports: t.Mapping[str, t.Any]) -> list[Metric]:
    """
    :param reports: by the name of its evidence folder, each report about the cluster.
    """
    ended = Metric("resilience_operation_ended_timestamp_seconds", "When a drill or a recovery ended.")
    verdict = Metric("resilience_operation_verdict", "1 for the verdict of an operation, 0 for the other two.")
    rto = Metric("resilience_operation_rto_seconds", "What clients waited, from the last commit to the next one.")
    rpo = Metric("resilience_operation_rpo_seconds", "How much of the time before the fault was lost.")
    lost = Metric("resilience_operation_lost_transactions", "Acknowledged transactions that are not there.")
    known = [(at, name, one) for name, one in reports.items() if (at := records.moment(one, "ended_utc")) is not None]
    for at, name, report in sorted(known, key=lambda one: one[:2])[-MOST:]:
        labels = {
            "operation": records.text(report, "operation") or "unknown",
            "scenario": records.text(report, "scenario") or "",
            "evidence": name,
        }
        ended.add(labels, at)
        for one in Verdict:
            verdict.add({**labels, "verdict": one.value}, float(records.text(report, "verdict") == one.value))
        rto.add(labels, records.number(report, "rto_seconds"))
        rpo.add(labels, records.number(report, "rpo", "seconds"))
        lost.add(labels, records.number(report, "rpo", "transactions"))
    return [ended, verdict, rto, rpo, lost]
