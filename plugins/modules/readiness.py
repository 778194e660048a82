#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: readiness
short_description: Judge whether a cluster can be recovered right now
description:
  - Puts together what the observer sees of the cluster, what the repositories really hold, what drills on this cluster
    and verifications of its backups have measured, and says for each disaster how long a recovery is expected to take
    and what it would lose.
  - What could not be looked at, what was never drilled, and a backup that was never restored is V(unknown).
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  name:
    description: The cluster's name.
    type: str
    required: true
  cluster:
    description: What M(fraiseql.resilience.cluster_info) returned; left out, or a failure, where nobody could look.
    type: dict
  window:
    description: What M(fraiseql.resilience.recovery_window) returned; left out, or a failure, where nobody could ask.
    type: dict
  objectives:
    description: What recovery is judged by, as C(resilience_objectives).
    type: dict
    required: true
  directory:
    description: Folder of the evidence, on the control node. What was changed since it was sealed is left aside.
    type: path
    default: evidence
  proof_days:
    description: How many days a drill is worth something.
    type: float
    default: 30
  forecast:
    description: What M(fraiseql.resilience.recovery_forecast) returned; left out, or a failure, where nobody could ask.
    type: dict
  verification_days:
    description: How many days the restore of a backup, which a verification made, is worth something.
    type: float
    default: 7
"""

EXAMPLES = r"""
- name: Can it be recovered right now?
  fraiseql.resilience.readiness:
    name: orders
    cluster: "{{ cluster }}"
    window: "{{ window }}"
    forecast: "{{ forecast }}"
    objectives: "{{ resilience_objectives }}"
  register: ready
"""

RETURN = r"""
verdict:
  description: V(passed) if every check passed, V(failed), or V(unknown).
  returned: success
  type: str
  sample: passed
status:
  description: >-
    The whole status: schema, cluster, utc, verdict, primary, members, windows, checks, disasters (scenario, verdict,
    reason, expected_seconds, longest_seconds, expected_lost, drills, measured_utc), verifications (the newest of each
    repository and level, with age_days), forecasts (kind, seconds, low, high, basis, reason, measured_seconds),
    forecast_errors, warnings, objectives.
  returned: success
  type: dict
screen:
  description: The same as lines of text.
  returned: success
  type: list
  elements: str
"""
