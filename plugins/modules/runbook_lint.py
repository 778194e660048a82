#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runbook_lint
short_description: Would a runbook lead whoever follows it to an end, and is all that it names there
description:
  - Judges each C(runbook.yml) of a folder on the control node by the collection's schema, and by rules of its own.
  - Every step is reached, every way comes to an end, and each outcome leads on, V(unknown) too. Nothing goes round for
    ever.
  - A check only looks. What destroys is approved, undone or called irreversible, and comes after evidence was kept.
  - On the longest way all steps fit into the phases and the objective.
  - Alerts, metrics, health components, playbooks, modules, variables, units and links are there. A review is not
    overdue, and nothing is left to be filled in.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  directory:
    description: Folder that holds a folder for each runbook; by default those of this collection.
    type: path
  today:
    description: The day that reviews are judged by, as V(2026-11-26); by default this one, in UTC.
    type: str
seealso:
  - module: fraiseql.resilience.readiness
"""

EXAMPLES = r"""
- name: Runbooks of our own are looked at
  fraiseql.resilience.runbook_lint:
    directory: "{{ playbook_dir }}/runbooks"
  register: linted

- name: Nothing is wrong with them
  ansible.builtin.assert:
    that: linted.verdict == 'passed'
    fail_msg: "{{ linted.reasons | join('; ') }}"
"""

RETURN = r"""
verdict:
  description: >-
    V(failed) if anything is wrong; V(unknown) if a link leads into a folder that is not installed here; else V(passed).
  returned: success
  type: str
  sample: passed
runbooks:
  description: Folders of the runbooks that were looked at.
  returned: success
  type: list
  elements: str
findings:
  description: What is wrong.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: The rule, V(edge_missing) for example.
      type: str
    runbook:
      description: Folder of the runbook.
      type: str
    where:
      description: The step or the field.
      type: str
    wrong:
      description: What is wrong there.
      type: str
    right:
      description: What would be right.
      type: str
reasons:
  description: Each finding as one sentence.
  returned: success
  type: list
  elements: str
unseen:
  description: Links into a folder that is not installed here.
  returned: success
  type: list
  elements: str
"""
