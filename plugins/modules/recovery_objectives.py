#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge one recovery against its objectives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_objectives
short_description: Judge a recovery by what clients felt, what was lost, and what was promised
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Puts the probe's account and the marks of an operation into the chain T0 to T11, and judges RTO and RPO.
  - Looks at nothing by itself, so it may run anywhere; what it was not given is unknown, and unknown never passes.
  - The RTO is T7 (first acknowledged commit) minus T1 (last one before), of any client, through the gateway. Its
    resolution is the probe's interval.
  - A verdict other than V(passed) does not fail the task, as evidence is still to be written then.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  account:
    description:
      - The whole result of M(fraiseql.resilience.recovery_probe) with
        O(fraiseql.resilience.recovery_probe#module:state=collected).
    type: dict
    required: true
  marks:
    description:
      - Moments on the observer's monotonic clock, each with C(monotonic_ns), and C(error_seconds) for its error bound.
        Either a dictionary by name, or a list with C(name) in each.
      - A name is a phase or its word, C(t0) C(fault), C(t3) C(detected), C(t4) C(fenced), C(t5) C(promote_asked), C(t6)
        C(writable), C(t9) C(redundancy_back), C(t10) C(archiving_back), C(t11) C(new_backup), or C(decided). Others are
        left aside, as are marks for T1, T2, T7 and T8, which only the ledger may say.
    type: raw
  objectives:
    description:
      - Targets of C(rto_seconds), C(rpo_seconds), C(rpo_transactions), C(availability_percent), C(retention_days).
    type: dict
    default: {}
  outage_expected:
    description:
      - Whether clients must have felt an outage.
      - If so and none is found, the verdict is V(unknown), as nothing was proven.
      - Without one, the longest gap between two acknowledged commits is reported as RTO.
    type: bool
    default: true
  failures_allowed:
    description: Whether clients may have seen errors; a planned switchover has none.
    type: bool
    default: true
  required:
    description: Phases (C(t4), C(t9) …) without which the verdict is unknown.
    type: list
    elements: str
    default: []
  accepted_loss:
    description:
      - Why acknowledged rows could be given up, where somebody did so before they were lost, as with a lost region.
      - The objective C(rpo_seconds) then says whether the loss is a failure; without one, it is.
    type: str
  checks:
    description: More checks for the verdict, each with C(name), C(verdict) and C(reason).
    type: list
    elements: dict
    default: []
seealso:
  - module: fraiseql.resilience.recovery_probe
"""

EXAMPLES = r"""
- name: The recovery is judged
  fraiseql.resilience.recovery_objectives:
    account: "{{ collected }}"
    marks: "{{ timer.marks }}"
    objectives: "{{ resilience_objectives }}"
    required: [t3, t4, t9, t10, t11]
  register: judged
  delegate_to: localhost

- name: A planned switchover is judged, in which no client may see an error
  fraiseql.resilience.recovery_objectives:
    account: "{{ collected }}"
    objectives: "{{ resilience_objectives | combine({'rpo_transactions': 0}) }}"
    outage_expected: false
    failures_allowed: false
  register: judged
  delegate_to: localhost
"""

RETURN = r"""
verdict:
  description: V(passed), V(failed) or V(unknown).
  returned: always
  type: str
rto_seconds:
  description: T7 minus T1, or null.
  returned: always
  type: float
rpo:
  description: What was lost, as transactions, seconds and wal_bytes; each null if it could not be compared.
  returned: always
  type: dict
probe_interval_seconds:
  description: The resolution.
  returned: always
  type: float
chain:
  description: t0 to t11 in seconds since RV(chain_origin), or null.
  returned: always
  type: dict
chain_origin:
  description: V(t0); V(t1) if no fault was marked; the first phase that was seen if clients felt no outage either.
  returned: always
  type: str
chain_errors:
  description: Error bound of each mark in seconds.
  returned: always
  type: dict
decided_seconds:
  description: When it was decided to recover, since RV(chain_origin), or null.
  returned: always
  type: float
decided_to_first_ack_seconds:
  description: T7 minus the decision, or null.
  returned: always
  type: float
longest_stall_seconds:
  description: The longest that one client waited from one acknowledged commit to its next.
  returned: always
  type: float
outage:
  description: The gap that the chain is built on, in nanoseconds of the observer's clock, or null.
  returned: always
  type: dict
outcomes:
  description: How many attempts were acked, acked_unsafe, failed, unknown.
  returned: always
  type: dict
checks:
  description: Each thing that was looked at, as name, verdict and reason.
  returned: always
  type: list
  elements: dict
objectives:
  description: The objectives as given.
  returned: always
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import InputError, ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.judge import recovery


def argument_spec() -> dict[str, t.Any]:
    return {
        "account": {"type": "dict", "required": True},
        "marks": {"type": "raw"},
        "objectives": {"type": "dict", "default": {}},
        "outage_expected": {"type": "bool", "default": True},
        "failures_allowed": {"type": "bool", "default": True},
        "required": {"type": "list", "elements": "str", "default": []},
        "accepted_loss": {"type": "str"},
        "checks": {"type": "list", "elements": "dict", "default": []},
    }


def act(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The module's answer.

    :raises InputError: what was given makes no sense.
    """
    account = params["account"]
    if "probe" not in account or "checks" not in account:
        raise InputError(
            "account is not the result of recovery_probe state=collected",
            given=", ".join(sorted(account)) or "nothing",
            next_step="register that task and give its whole result",
        )
    request = recovery.Request(
        marks=params["marks"],
        objectives=params["objectives"],
        outage_expected=params["outage_expected"],
        failures_allowed=params["failures_allowed"],
        required=tuple(params["required"]),
        accepted_loss=params["accepted_loss"],
        more_checks=tuple(params["checks"]),
    )
    try:
        return {"changed": False, **recovery.judge(account, request)}
    except ValueError as error:
        raise InputError(str(error)) from error


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()
