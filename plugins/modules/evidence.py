#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Keep signed evidence of an operation
description:
  - Evidence is a folder C(<UTC time>-<operation>-<cluster>) with C(report.json), C(report.html), C(timeline.jsonl),
    C(junit.xml), whatever files were added, a SHA-256 manifest and its signature.
  - It is opened by the first task of an operation and sealed by the last one. In between,
    M(fraiseql.resilience.rto_timer)
    marks the phases. An operation that runs inside another one (a failover inside a drill) joins the evidence that is
    open.
  - A folder that was never sealed belongs to an operation that was cut off. It counts as failed.
  - It can be verified with C(sha256sum) and C(ssh-keygen) alone.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    details: In check mode nothing is opened, added or sealed; what a report holds is checked all the same.
  idempotent:
    support: none
    details: Each operation leaves evidence of its own. Verifying changes nothing.
options:
  state:
    description:
      - V(opened) begins the evidence of an operation, or joins the one that is open in this run.
      - V(added) keeps a file in it, and the file's hash in the timeline.
      - V(sealed) writes the report, the manifest and the signature. Inside another operation it hands its report to
        that one.
      - V(verified) looks whether the folder O(path) is what was sealed, and fails if it is not.
      - V(summarised) writes one report about several drills, and fails unless all of them passed.
    type: str
    required: true
    choices: [opened, added, sealed, verified, summarised]
  operation:
    description:
      - What is done, as C(drill), C(failover), C(switchover), C(restore), C(rejoin). Needed to open.
      - With O(state=sealed), the name of an operation inside another one hands its report to that one. Any other name,
        or none, seals the evidence.
    type: str
  scenario:
    description: The fault that a drill injects.
    type: str
  cluster:
    description: The cluster that the operation is about. Needed to open and to summarise.
    type: str
  directory:
    description: Where evidence folders are made, on the control node.
    type: path
    default: evidence
  key:
    description:
      - An SSH private key without passphrase that signs; or, where an SSH agent holds the key, its public half.
      - By default the variable C(resilience_evidence_key). A drill cannot be opened without a key. Any other operation
        can, and its report says that it is not signed.
    type: path
  name:
    description: The added file's name in the evidence. C(ledger.jsonl) is drawn in the report.
    type: str
  src:
    description: The file to add, on the control node or, with O(remote_src), on the task's host.
    type: path
  remote_src:
    description: Whether O(src) is on the task's host and has to be fetched.
    type: bool
    default: false
  content:
    description: What to add, in place of O(src). Text is kept as it is, anything else as JSON.
    type: raw
  report:
    description:
      - What the operation found. All parts are optional.
      - The verdict is the worst of all checks, and V(unknown) without any. A verdict that says otherwise is
        refused.
      - An operation inside this one has reported before; checks and C(not_tested) add up, everything else is replaced.
    type: dict
    default: {}
    suboptions:
      checks:
        description: What was looked at, each with C(name), C(verdict) (C(passed), C(failed), C(unknown)) and C(reason).
        type: list
        elements: dict
      verdict:
        description: Compared with the checks if it is given.
        type: str
      chain:
        description: The phases C(t0) to C(t11) in seconds since C(t0). By default as they were marked.
        type: dict
      zero:
        description:
          - The moment C(t0) as C(clock) (C(observer)), C(monotonic_ns) and C(mark). By default as it was marked.
        type: dict
      decided_seconds:
        description: The decision, in seconds since C(t0). By default as it was marked.
        type: float
      rto_seconds:
        description: The recovery time that clients felt. By default C(t7 - t1).
        type: float
      rpo:
        description: What was lost, as C(transactions), C(seconds), C(wal_bytes).
        type: dict
      probe_interval_seconds:
        description: The resolution of the measurement.
        type: float
      transactions:
        description: Counts from the ledger and its comparison, by name.
        type: dict
      objectives:
        description: What was aimed at. Merged over the variable C(resilience_objectives).
        type: dict
      versions:
        description: Versions by name. Ansible's and this collection's are there already.
        type: dict
      approvals:
        description: Who approved what.
        type: list
        elements: dict
      not_tested:
        description: What this operation proves nothing about.
        type: list
        elements: str
      details:
        description: Anything else.
        type: dict
  judged:
    description:
      - The whole result of M(fraiseql.resilience.recovery_objectives), which makes most of the report. What O(report)
        says goes before it; checks add up.
    type: dict
    default: {}
  path:
    description: The evidence folder to verify.
    type: path
  paths:
    description: The evidence folders to summarise, in the order of the table.
    type: list
    elements: path
  series:
    description:
      - A word that drills which belong together are opened with. By default the variable C(resilience_evidence_series).
      - With O(state=summarised), the evidence in O(directory) that was opened with it is summarised, sealed or not.
    type: str
  scenarios:
    description: The scenarios that have to be among those summarised. One that left no evidence has failed.
    type: list
    elements: str
    default: []
  repeat:
    description: How often each of O(scenarios) has to be there.
    type: int
    default: 1
  allowed_signers:
    description:
      - A file as C(ssh-keygen -Y verify) reads it, that came another way than the evidence.
      - By default the variable C(resilience_evidence_allowed_signers). Without one the signer is V(unknown) when
        verifying.
    type: path
requirements:
  - ssh-keygen (OpenSSH 8.2 or newer) on the control node
seealso:
  - module: fraiseql.resilience.rto_timer
notes:
  - Runs on the control node whatever host the task is for; only O(remote_src) uses a connection.
"""

EXAMPLES = r"""
- name: Evidence is opened
  fraiseql.resilience.evidence:
    state: opened
    operation: drill
    scenario: primary_host_lost
    cluster: orders
    directory: /var/lib/evidence

- name: The probe's ledger is kept
  fraiseql.resilience.evidence:
    state: added
    name: ledger.jsonl
    src: "{{ collected.ledger }}"
    remote_src: true
  delegate_to: observer

- name: Evidence is sealed
  fraiseql.resilience.evidence:
    state: sealed
    report:
      checks:
        - name: no acknowledged row is lost
          verdict: passed
          reason: 12034 acknowledged, all of them found
      rpo: {transactions: 0, seconds: 0, wal_bytes: 0}

- name: Evidence of a measured recovery is sealed
  fraiseql.resilience.evidence:
    state: sealed
    judged: "{{ judged }}"
    report:
      not_tested: [the loss of a whole region]

- name: Nobody has changed the evidence
  fraiseql.resilience.evidence:
    state: verified
    path: /var/lib/evidence/20261123T090000Z-drill-orders
    allowed_signers: /etc/ssh/resilience_allowed_signers

- name: All drills of this run have passed
  fraiseql.resilience.evidence:
    state: summarised
    cluster: orders
    series: 20261123T090000Z
    scenarios: [planned_switchover, primary_host_lost, data_loss]
"""

RETURN = r"""
path:
  description: The evidence folder. Empty in check mode.
  returned: success
  type: str
  sample: /var/lib/evidence/20261123T090000Z-drill-orders
joined:
  description: Whether the evidence of an operation around this one was joined.
  returned: O(state=opened)
  type: bool
sealed:
  description: Whether the folder is sealed now. Not when the operation ran inside another one.
  returned: O(state=sealed)
  type: bool
signed:
  description: Whether a key signed it.
  returned: when sealed
  type: bool
verdict:
  description: The worst of all checks, C(passed), C(failed) or C(unknown).
  returned: O(state=sealed), O(state=verified), O(state=summarised)
  type: str
  sample: passed
report:
  description: The report as it was written to C(report.json).
  returned: when sealed
  type: dict
marks:
  description:
    - The phases marked so far on the observer's clock; empty for one whose clock was never compared with the
      observer's.
  returned: O(state=added), O(state=sealed)
  type: dict
  sample: {fenced: {monotonic_ns: 8123456789, error_seconds: 0.031, source: "pg-a1: off"}}
sha256:
  description: The added file's hash.
  returned: O(state=added)
  type: str
checks:
  description: What was verified, each with C(name), C(verdict) and C(reason).
  returned: O(state=verified)
  type: list
  elements: dict
table:
  description: The drills as lines of text, the first one with the headings.
  returned: O(state=summarised)
  type: list
  elements: str
rows:
  description: The drills, each with C(scenario), C(verdict), C(reason), C(folder) and C(summary).
  returned: O(state=summarised)
  type: list
  elements: dict
"""
