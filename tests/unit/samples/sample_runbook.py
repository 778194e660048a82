# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A runbook without fault, and all that it names."""

from __future__ import annotations

import json
import typing as t
from datetime import date
from pathlib import Path

import yaml

from ansible_collections.fraiseql.resilience.plugins.module_utils.judge.runbooks.known import Known, Module

Record = dict[str, t.Any]

TODAY = date(2026, 11, 26)
SCHEMA: Record = json.loads(
    (Path(__file__).resolve().parents[3] / "playbooks/schemas/runbook.schema.json").read_text(encoding="utf-8")
)
KNOWN = Known(
    alerts=frozenset({"CellarWet", "PumpStopped"}),
    metrics=frozenset({"water_litres", "up"}),
    components=frozenset({"pump"}),
    playbooks=frozenset({"status", "drain", "refill"}),
    approved=frozenset({"drain"}),
    modules={
        "level_info": Module(frozenset({"rack"}), reads=True),
        "valve": Module(frozenset({"state"}), reads=False),
    },
    variables=frozenset({"resilience_cluster", "resilience_confirm", "resilience_accept_loss"}),
    units=frozenset({"pump.service", "pump@.service"}),
    links=frozenset({"docs/cellar.md#pumps"}),
    hazards=frozenset({"flooded"}),
)

_TEXT = """
schema: fraiseql.resilience/runbook/1
id: cellar_wet
title: The cellar is wet
owner: Cellar master
reviewed: "2026-11-01"
review_days: 90
applies_to: {postgresql: [15, 17], engines: [manual], topology: two pumps}
severity: {level: sev1, rule: sev1 while corks float}
detection:
  alerts: [CellarWet]
  queries: [{promql: "sum by (rack) (water_litres) > 3", means: water stands}]
  components: [pump]
preconditions: [there is a drain]
objectives: {rto_seconds: 600, rpo_seconds: 0}
phases:
  response: {seconds: 60, communication: the house is told at once}
  investigation: {seconds: 120, communication: the house is told what was found}
  recovery: {seconds: 420, communication: the house is told when it is dry}
  aftercare: {seconds: 900, communication: guests are told}
parameters: {CLUSTER: the cellar's name, HOST: the rack that is wet}
steps:
  - id: look
    type: check
    title: Look at the water
    phase: response
    seconds: 60
    evidence: [how high it stands]
    task: {module: level_info, host: $HOST, variables: {rack: $CLUSTER}}
    command: [{host: $HOST, run: "systemctl status pump@a.service | head -5"}]
    next: {success: dry, failure: choose, unknown: choose}
  - id: choose
    type: decision
    title: Does it still rise?
    phase: investigation
    seconds: 120
    branches: [{when: it rises, next: drain}, {when: it stands, next: shut}]
    next: {unknown: lost}
  - id: shut
    type: manual
    title: The main is shut by hand
    text: Turn the wheel.
    phase: recovery
    seconds: 60
    destructive: none
    next: {success: drain, failure: drain, unknown: drain}
  - id: drain
    type: action
    title: The water is drained
    phase: recovery
    seconds: 300
    destructive: reversible
    approvals: 1
    rollback: pour it back
    task: {playbook: drain, variables: {resilience_cluster: $CLUSTER, resilience_confirm: $CLUSTER}}
    no_command: the wheel is rusty
    next: {success: dry, failure: lost, unknown: lost}
  - id: dry
    type: check
    title: It is dry
    phase: recovery
    seconds: 60
    task: {playbook: status, variables: {resilience_cluster: $CLUSTER}}
    command: [{host: observers, run: "psql --command 'SELECT pg_is_in_recovery()'"}]
    next: {success: done, failure: lost, unknown: lost}
  - {id: done, type: end, title: The cellar is dry, verdict: passed}
  - {id: lost, type: end, title: Call the plumber, verdict: failed}
verification: [dry]
contacts: [{role: plumber, for: the pumps, after_seconds: 600}]
questions: ["who left the tap open?"]
references: ["docs/cellar.md#pumps", "https://example.org/corks"]
"""


def document(**changed: t.Any) -> Record:
    """One of one's own, with other fields."""
    return {**yaml.safe_load(_TEXT), **changed}


def step(given: Record, name: str) -> Record:
    found: Record = next(one for one in given["steps"] if one["id"] == name)
    return found
