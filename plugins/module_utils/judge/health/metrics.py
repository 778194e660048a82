# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scraper is to see of health. Pure; what is not known has no sample, and a status of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.dependencies import Fault, Standing
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.member import Result
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.health.status import Look, Status
from ansible_collections.fraiseql.resilience.plugins.module_utils.prometheus import Metric


def metrics(
    standings: t.Mapping[str, Standing], looks: t.Mapping[str, Look | None], result: Result | None
) -> list[Metric]:
    return [*_standings(standings), _measures(looks), *_member(result)]


def _standings(standings: t.Mapping[str, Standing]) -> list[Metric]:
    endpoint = Metric("resilience_health_endpoint_status", "1 for the status of an endpoint, 0 for the other three.")
    status = Metric("resilience_health_status", "1 for the status of a component with all that it needs, else 0.")
    fault = Metric("resilience_health_fault", "1 for a component's own fault, an inherited one, or none, else 0.")
    age = Metric("resilience_health_look_age_seconds", "Age of the last look at a component.")
    for name, standing in standings.items():
        is_endpoint = name.startswith("/")
        for one in Status:
            labels = {"endpoint" if is_endpoint else "component": name, "status": one.value}
            (endpoint if is_endpoint else status).add(labels, float(standing.status is one))
        if is_endpoint:
            continue
        for kind in Fault:
            fault.add({"component": name, "fault": kind.value}, float(standing.fault is kind))
        age.add({"component": name}, standing.own.age)
    return [endpoint, status, fault, age]


def _measures(looks: t.Mapping[str, Look | None]) -> Metric:
    metric = Metric("resilience_health_measure", "What a check measured last, in the unit that it is labelled with.")
    for name, look in looks.items():
        for one in look.findings if look else ():
            labels = {"component": name, "measure": one.measure, "of": one.of, "unit": one.unit}
            metric.add(labels, one.value)
    return metric


def _member(result: Result | None) -> list[Metric]:
    if result is None or result.reading is None:
        return []
    reading = result.reading
    values = (
        ("in_recovery", "1 for a standby, 0 for a primary.", float(reading.in_recovery)),
        ("streaming", "Whether a stream is received; a primary receives none.", float(reading.streaming)),
        ("lag_bytes", "Bytes of WAL that a standby has not replayed, while it streams.", reading.lag_bytes),
        ("timeline", "The timeline that the member is on.", reading.timeline),
        ("fenced", "Whether the member is fenced.", float(reading.fenced)),
    )
    found = []
    for name, help_text, value in values:
        metric = Metric(f"resilience_health_member_{name}", help_text)
        metric.add({"system_identifier": reading.system_identifier}, value)
        found.append(metric)
    return found
