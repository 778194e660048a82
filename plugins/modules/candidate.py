#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: candidate
short_description: Choose the member that takes over from the primary, or refuse and say why
description:
  - For a switchover, only a standby that streams on the primary's timeline can take over.
  - For a failover, the one that holds most WAL takes over, in the lost primary's region first. While a member accepts
    writes, or two do, a failover is refused.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  operation:
    description: What the candidate is for.
    type: str
    required: true
    choices: [switchover, failover]
  cluster:
    description: The whole result of M(fraiseql.resilience.cluster_info).
    type: dict
    required: true
  wanted:
    description: The only member that may be chosen.
    type: str
  region:
    description: The only region that the new primary may stand in, for O(operation=switchover).
    type: str
  lost:
    description: The member that was primary, for O(operation=failover); needed only if more than one does not answer.
    type: str
  rpo_seconds:
    description:
      - The objective, for O(operation=failover). A candidate is refused if another member holds transactions that are
        newer by more than this.
    type: float
  accept_loss:
    description: Why more than O(rpo_seconds) may be lost all the same.
    type: str
  lost_region:
    description:
      - The region that is lost with everybody in it, for O(operation=failover). Nobody of it may answer.
      - What it had committed and nobody else received is lost with it, so O(accept_loss) is needed.
    type: str
"""

EXAMPLES = r"""
- name: Look at the cluster from outside
  fraiseql.resilience.cluster_info:
  register: cluster

- name: Choose who takes over
  fraiseql.resilience.candidate:
    operation: failover
    cluster: "{{ cluster }}"
  register: plan
"""

RETURN = r"""
msg:
  description: The decision in one sentence, with its numbers.
  returned: success
  type: str
  sample: >-
    pg-a2 takes over from pg-a1 (not pg-b1: it stands in region b); it is 0 bytes of WAL behind, and receives them
    before it takes over
old_primary:
  description: The member that is replaced; none where a region is lost.
  returned: success
  type: str
  sample: pg-a1
lost:
  description: Who has to be fenced, and whether the host greets on its SSH port, so that it can be fenced from within.
  returned: success
  type: list
  elements: dict
  sample: [{name: pg-a1, standing: unseen, ssh_answers: false}]
lost_region:
  description: The region that is lost, if one is.
  returned: success
  type: str
candidate:
  description: The member that takes over.
  returned: success
  type: str
  sample: pg-a2
candidate_lsn:
  description: How far its WAL reaches.
  returned: success
  type: str
  sample: 0/5000148
timeline:
  description: The timeline that it is on.
  returned: success
  type: int
  sample: 2
loses_bytes:
  description: WAL that another member holds beyond the candidate's. What a receiver holds is not counted.
  returned: success
  type: int
  sample: 0
loses_seconds:
  description: >-
    How much older the candidate's newest transaction is than that member's; none if that was not seen. Where a region
    is lost, how old it is.
  returned: success
  type: float
  sample: 0.0
held_by:
  description: That member, if there is one.
  returned: success
  type: str
lag_bytes:
  description: WAL that the candidate has yet to receive from the old primary; none after a loss.
  returned: success
  type: int
  sample: 0
rejected:
  description: Of each other member, why it does not take over.
  returned: success
  type: dict
  sample: {pg-b1: it stands in region b}
"""
