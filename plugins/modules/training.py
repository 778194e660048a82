#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: training
short_description: A fault that the trainee does not know, the time that it takes, and the record of it
description:
  - The playbook C(training) uses this. One run of it begins a training, another one ends it, and whatever becomes of
    the control node between them, nothing is lost.
  - V(started) draws one of the runbooks whose folder has C(inject.yml), C(respond.yml) and C(verify.yml), and makes its
    fault by a run of Ansible of its own. What that one says goes to a file that nobody else may read, so neither the
    screen nor the evidence tells the scenario.
  - Times are in UTC by the control node's clock, since a monotonic clock does not survive a reboot between the two
    runs. Where that clock was set back, a duration is unknown.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: none
    details: A second training on a cluster is refused while one is under way.
options:
  state:
    description:
      - V(started) makes the fault. In check mode it says what could be drawn.
      - V(ended) verifies by the scenario's C(verify.yml), and stops the clock. V(given_up) only stops it.
      - V(judged), before the fault is undone, says what was done and what came of it. Evidence has to be open.
      - V(recorded) appends the record, and forgets the training.
    type: str
    choices: [started, ended, given_up, judged, recorded]
    default: started
  cluster:
    description: The cluster's name.
    type: str
    required: true
  trainee:
    description: Who is trained; needed for O(state=started).
    type: str
  scenario:
    description: The runbook, where the trainer names it; by default one by chance.
    type: str
  seed:
    description: Draws the same scenario from the same runbooks again; by default another one each time.
    type: str
  seconds:
    description: Seconds after which the fault ends by itself, at least 60.
    type: int
    default: 3600
  left:
    description: For O(state=judged), by host the names of the faults that are there; null where it did not answer.
    type: dict
    default: {}
  line:
    description: The record, as O(state=judged) has answered it, for O(state=recorded).
    type: dict
  evidence:
    description: Folder on the control node with the evidence of operations.
    type: path
    default: evidence
  record:
    description: >-
      File on the control node that gets a line for each training; by default C(training.jsonl) in O(evidence).
    type: path
  directory:
    description: Folder that holds a folder for each runbook; by default those of this collection.
    type: path
seealso:
  - module: fraiseql.resilience.gameday
  - module: fraiseql.resilience.runbook
"""

EXAMPLES = r"""
- name: A fault that Anna does not know is made
  fraiseql.resilience.training:
    cluster: lab
    trainee: anna
  register: training
"""

RETURN = r"""
said:
  description: What the trainee is told; in check mode, what could be drawn.
  returned: with O(state=started) or O(state=judged)
  type: list
  elements: str
possible:
  description: The runbooks that could be drawn.
  returned: in check mode, with O(state=started)
  type: list
  elements: str
left_out:
  description: By each other runbook, why nobody can be trained with it.
  returned: in check mode, with O(state=started)
  type: dict
fault_utc:
  description: When the fault was made.
  returned: with O(state=started)
  type: str
trainee:
  description: Who is trained.
  returned: with O(state=started), O(state=ended) or O(state=given_up)
  type: str
scenario:
  description: The runbook that it was.
  returned: with O(state=ended) or O(state=given_up), but not in check mode
  type: str
line:
  description: >-
    The record. C(seconds) has C(first_step) and C(verified), from the fault on, null where nobody can say. C(steps) has
    those that are known to be C(done), those that were C(missed), and those that may have been done by hand, which are
    C(unknown). C(fault_ended_by_itself) is null where nobody can say.
  returned: with O(state=judged)
  type: dict
files:
  description: What becomes a part of the evidence, the place of each file by its name.
  returned: with O(state=judged)
  type: dict
path:
  description: The file that the record was appended to.
  returned: with O(state=recorded)
  type: str
"""
