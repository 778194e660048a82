#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: approval
short_description: Refuse an operation that nobody but its requester approved
description:
  - An approval is for exactly one operation, cluster and set of parameters, and for a limited time. Parameters are the
    variables that decide what happens to data, wherever they are set. C(resilience_restore_*), C(resilience_candidate),
    C(resilience_candidate_region), C(resilience_home_region), C(resilience_lost_primary), C(resilience_lost_region),
    C(resilience_accept_loss), C(resilience_accept_unfenced), C(resilience_accept_unheld), C(resilience_scenario),
    C(resilience_drill_region_fault), C(resilience_rejoin_keep), C(resilience_retire_generation), C(resilience_slot) and
    C(resilience_objectives).
  - One approver is needed, or two where data may be lost.
  - A failover with C(resilience_accept_unfenced) is refused without approval even where O(mode=none).
  - Check mode needs no approval. An operation inside a drill, or inside a failback, is covered by the outer one's.
  - What was approved becomes part of the evidence that is opened next, and of its report.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  operation:
    description: What is about to be done.
    type: str
    required: true
  cluster:
    description: The cluster that it is done to. Its hosts' variables go before those of the task's host.
    type: str
    required: true
  runbook:
    description: Whose procedure it is. An approval is then for that one alone.
    type: str
  mode:
    description:
      - V(none) asks nobody. V(ssh) asks for signatures made with C(ssh-keygen). V(awx) asks AWX who approved the
        approval nodes that stand before this job in its workflow.
      - By default the variable C(resilience_approval_mode), else V(none).
    type: str
    choices: [none, ssh, awx]
  approvers:
    description:
      - With O(mode=ssh), who may approve. A file of the control node as C(ssh-keygen -Y verify) reads it
        (C(allowed_signers)). Each line names one person.
      - By default the variable C(resilience_approvers).
    type: str
  request:
    description:
      - With O(mode=ssh), a request that an earlier, refused run wrote, with its signatures beside it as
        C(<request>.<anything>.sig) or C(<request>.sig). Without one, a request is written and the run is refused.
      - By default the variable C(resilience_approval).
    type: str
  requester:
    description:
      - Who asks. AWX's user, in a job of AWX, whatever is given here.
      - By default the variable C(resilience_requester), else the user that Ansible runs as.
    type: str
  break_glass:
    description:
      - A reason to go on without approval. A warning is shown, and the report says so loudly.
      - By default the variable C(resilience_break_glass).
    type: str
  valid_minutes:
    description:
      - How long an approval is good, in minutes, from its request (O(mode=ssh)) or from its decision (O(mode=awx)) on.
      - By default the variable C(resilience_approval_valid_minutes), else V(60).
    type: int
  directory:
    description:
      - The folder on the control node that requests are written to.
      - By default the variable C(resilience_approval_directory), else V(approvals).
    type: str
  awx_url:
    description:
      - AWX's address, by https; with the path of its API (C(/api/controller/v2)) where that is not C(/api/v2).
      - By default the variable C(resilience_awx_url), else C(CONTROLLER_HOST) of the environment.
    type: str
  awx_token:
    description:
      - A token that may read workflow jobs.
      - By default the variable C(resilience_awx_token), else C(CONTROLLER_OAUTH_TOKEN) of the environment.
    type: str
  awx_ca:
    description:
      - A file with the certificates of the authority that AWX's own is signed by, where the control node does not know
        it.
      - By default the variable C(resilience_awx_ca).
    type: str
attributes:
  idempotent:
    details: The same signed request is good until it expires, so that a run that was killed is run again with it.
requirements:
  - ssh-keygen (OpenSSH 8.2 or newer) on the control node
seealso:
  - module: fraiseql.resilience.confirmation
  - module: fraiseql.resilience.evidence
notes:
  - Runs on the control node whatever host the task is for. The only thing that it writes is a request, when it refuses.
"""

EXAMPLES = r"""
- name: Others approved it, where that is asked for
  fraiseql.resilience.approval:
    operation: failover
    cluster: orders

- name: Two people signed a request for this restore
  fraiseql.resilience.approval:
    operation: restore
    cluster: orders
    mode: ssh
    approvers: /etc/resilience/approvers
    request: approvals/20261123T091203Z-restore-orders-5f1d2c3b.json
"""

RETURN = r"""
mode:
  description: Who was to be asked.
  returned: success
  type: str
  sample: ssh
needed:
  description: How many approvals it takes; 0 where none is asked for.
  returned: success
  type: int
  sample: 2
approvals:
  description:
    - Each approval that counts, as the report shows it; or that the glass was broken. Empty in check mode, and
      where the approval of an outer operation covers this one.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(ssh), V(awx) or V(break_glass).
      type: str
      sample: ssh
    approver:
      description: Who approved.
      type: str
      sample: anna@example.org
    operation:
      description: What was approved.
      type: str
      sample: restore
    subject:
      description: The same with cluster and parameters, in words.
      type: str
      sample: restore of orders resilience_restore_type=immediate
    parameters:
      description: The parameters that were approved, by the variable's name.
      type: dict
    requester:
      description: Who asked.
      type: str
      sample: bob
    subject_sha256:
      description: SHA-256 of operation, cluster and parameters, as indented JSON with sorted keys.
      type: str
    key_fingerprint:
      description: The approver's key (V(ssh)).
      type: str
      sample: SHA256:47K5BDcKwuvwQ7ICvtHhPSDndKx5mY7PJRP2VGKnN74
    request_sha256:
      description: SHA-256 of the signed file (V(ssh)).
      type: str
    signature:
      description: The signature's file in the evidence (V(ssh)).
      type: str
      sample: approvals/restore/request.json.1.sig
    requested_at:
      description: When it was asked for (V(ssh)), in UTC.
      type: str
    node:
      description: The approval node's name (V(awx)).
      type: str
    workflow_job:
      description: The workflow job's number (V(awx)).
      type: str
    approved_at:
      description: When it was approved (V(awx)), in UTC.
      type: str
    expires_at:
      description: Until when the approval is good, in UTC.
      type: str
    reason:
      description: Why nobody was asked (V(break_glass)).
      type: str
    needed:
      description: How many approvals it would have taken (V(break_glass)).
      type: int
    at:
      description: When the glass was broken, in UTC.
      type: str
"""
