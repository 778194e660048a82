#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gameday
short_description: Which scenario is drilled when, by what was drilled longest ago
description:
  - Reads the evidence of drills and trainings on the control node, and plans the coming game days. What never passed
    comes first, then what did longest ago, the more severe first where that is alike. A drill that did not pass counts
    as none.
  - Only the newest hundred drills and the newest hundred trainings of the cluster are looked at. Evidence that is not
    as it was sealed proves nothing, and is named.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  diff_mode:
    support: full
  idempotent:
    support: full
    details: The same evidence gives the same plan for the same days. Without O(start), they move with the date.
options:
  name:
    description: The cluster's name.
    type: str
    required: true
  engine:
    description: Who fails over there. Runbooks for another engine are left out; without it, none is.
    type: str
    choices: [manual, patroni]
  start:
    description:
      - The plan begins on the first O(weekday) on or after this day, given as V(2027-01-04); by default after this
        day, in UTC.
    type: str
  weeks:
    description: Number of weeks, at most 53. Where there are more than scenarios, these begin again.
    type: int
    default: 13
  per_week:
    description: Scenarios on each day.
    type: int
    default: 1
  weekday:
    description: The working day, from V(monday) to V(friday).
    type: str
    default: tuesday
  people:
    description: Who leads, in turn.
    type: list
    elements: str
    default: []
  evidence:
    description: Folder on the control node with the evidence of operations.
    type: path
    default: evidence
  directory:
    description: Folder that holds a folder for each runbook; by default those of this collection.
    type: path
  file:
    description: Markdown file on the control node that gets the plan; changed only where it differs.
    type: path
seealso:
  - module: fraiseql.resilience.training
"""

EXAMPLES = r"""
- name: The coming quarter is planned
  fraiseql.resilience.gameday:
    name: orders
    people: [anna, ben]
    file: gamedays.md
  register: planned
"""

RETURN = r"""
plan:
  description: >-
    Each scenario in the order of time, with C(date), C(scenario), C(title), C(severity), C(drilled) and C(verdict) of
    its last drill or training (empty where there was none), C(leads), and the C(command) that drills it.
  returned: success
  type: list
  elements: dict
left_out:
  description: By runbook that cannot be drilled, why.
  returned: success
  type: dict
problems:
  description: Evidence that proves nothing, and why.
  returned: success
  type: list
  elements: str
table:
  description: The plan as lines of text.
  returned: success
  type: list
  elements: str
file:
  description: The Markdown file; null where none is asked for.
  returned: success
  type: str
"""
