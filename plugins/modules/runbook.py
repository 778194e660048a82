#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runbook
short_description: List, show, try or run a runbook
description:
  - A run does a runbook's steps in their order, each as a run of C(ansible-playbook) of its own on the control node,
    with the inventory, variables, passwords and vault secrets of this one. Its outcome says which step comes next.
  - Where a person has to decide or to do something, or a step waits for an approval, it stops and says what is asked.
    The same run with an answer goes on from there. So does one after a run that was killed. What was checked since the
    last change is checked again first, and where that has another outcome now, the run goes on from there by that.
  - Each step's beginning and outcome is in the timeline of the evidence before the next one begins. The evidence is
    sealed, and signed where there is a key, once an end was come to; its verdict is that of the end. Within another
    operation, it stands beside the evidence of that one.
  - A step that takes longer than its C(seconds) is ended, and its outcome is unknown.
  - Two runs at once on one cluster are refused, where both are on this control node and write to the same
    O(evidence_directory).
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    details: In check mode O(state=run) is O(state=checked).
  idempotent:
    support: none
    details: A run does its steps again. Operations are built to be run again.
options:
  state:
    description:
      - V(listed) names all runbooks. V(shown) is what one says.
      - V(checked) is a dry run against the cluster. Checks and plans are done, decisions are made where a test says
        how, and nothing is changed. It tells what would be done, and what a person would be needed for.
      - V(run) does it. The playbook C(runbook) asks for the confirmation before; a playbook of your own has to.
    type: str
    required: true
    choices: [listed, shown, checked, run]
  runbook:
    description: The runbook's name, or its beginning where no other one begins so.
    type: str
  directory:
    description: Folder that holds a folder for each runbook; by default those of this collection.
    type: path
  cluster:
    description: The cluster that it is run on. Needed by O(state=checked) and O(state=run).
    type: str
  parameters:
    description:
      - What the runbook's parameters are, by name. V(CLUSTER) and V(STANZA) are known.
      - One that each way needs is asked for before anything is done, any other one when its step comes.
    type: dict
    default: {}
  answers:
    description:
      - What a person says, by step. Of a decision the number of its branch, the step that comes then, or V(unknown);
        of a step done by hand V(done), V(failed) or V(unknown).
      - An answer goes before a test. A second answer to the same step is given by C(<step>:2); the run names the key
        that it waits for.
    type: dict
    default: {}
  way:
    description:
      - V(ansible) does each step by its playbook or module; V(hand) types its commands, as somebody with a shell alone
        would, to prove that they lead to the same end. Exit status 0 is success, 1 failure, any other one unknown.
    type: str
    choices: [ansible, hand]
    default: ansible
  overdue:
    description: Whether a runbook past its review date is refused, or only warned of.
    type: str
    choices: [warn, refuse]
    default: warn
  anew:
    description: Begin with the first step, also where an earlier run came to no end.
    type: bool
    default: false
  evidence_directory:
    description: Where evidence folders are made, on the control node.
    type: path
    default: evidence
requirements:
  - setpriv (util-linux) on the control node, so that a step ends with a run that is killed
seealso:
  - module: fraiseql.resilience.runbook_lint
  - module: fraiseql.resilience.evidence
"""

EXAMPLES = r"""
- name: Which runbooks there are
  fraiseql.resilience.runbook:
    state: listed

- name: What a run would do now
  fraiseql.resilience.runbook:
    state: checked
    runbook: replay_paused
    cluster: orders

- name: The runbook is run
  fraiseql.resilience.runbook:
    state: run
    runbook: primary_crash
    cluster: orders
    parameters: {PRIMARY: pg-a1}
    answers: {agree: "1"}
  register: ran

- name: It came to a good end
  ansible.builtin.assert:
    that: ran.verdict == 'passed'
    fail_msg: "{{ ran.msg }}"
"""

RETURN = r"""
screen:
  description: Lines for people.
  returned: unless O(state=run)
  type: list
  elements: str
runbooks:
  description: Each with C(id), C(title) and C(severity).
  returned: O(state=listed)
  type: list
  elements: dict
page:
  description: The runbook's page, as Markdown.
  returned: O(state=shown)
  type: str
runbook:
  description: The runbook's whole name.
  returned: unless O(state=listed)
  type: str
  sample: replay_paused
way:
  description: >-
    Each step on the way, with C(step), C(type), C(title), C(words), C(said), C(next), and C(supposed), whether
    something would have been changed before it.
  returned: O(state=checked)
  type: list
  elements: dict
would_do:
  description: The steps that would change something.
  returned: O(state=checked)
  type: list
  elements: str
stops:
  description: What a person would be needed for.
  returned: O(state=checked)
  type: list
  elements: str
verdict:
  description: That of the end; V(unknown) where the run stopped for a person.
  returned: O(state=run)
  type: str
  sample: passed
end:
  description: The end, with C(step), C(title) and C(verdict). None where the run stopped for a person.
  returned: O(state=checked), O(state=run)
  type: dict
waits_for:
  description: >-
    What a person is needed for: C(step), C(key) to answer by, C(possible) answers. The key is empty where none helps,
    but an approval or a parameter. None at an end.
  returned: O(state=run)
  type: dict
steps:
  description: >-
    All that was done, in the order of time: C(step), C(outcome), C(took_seconds), C(said), C(to) of a decision, C(by)
    whom it was said, C(evidence) that it left, and C(again), whether it was a second look.
  returned: O(state=run)
  type: list
  elements: dict
path:
  description: The evidence folder.
  returned: O(state=run)
  type: str
went_on:
  description: Whether an earlier run had done some of it.
  returned: O(state=run)
  type: bool
msg:
  description: How it ended, or what it waits for and how that is given.
  returned: O(state=run)
  type: str
"""
