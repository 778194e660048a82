#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: availability_report
short_description: How much of the time a service was there, as a page and as JSON
description:
  - Joins what observers recorded of their synthetic transactions, and writes a page for people and a JSON document for
    programs on the control node.
  - Every outage is in it, from the last acknowledged transaction before it to the first one after it, with the
    operation whose evidence says what was done; drills are counted apart; time that nobody saw is V(unknown), neither
    up nor down.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: none
    details: A report bears the time at which it was made.
options:
  name:
    description: The cluster's name.
    type: str
    required: true
  records:
    description:
      - By observer, what M(fraiseql.resilience.availability_record) answered; an answer without C(lines) is of an
        observer that could not be asked.
      - A moment is up where any observer saw a commit, else down where any saw a failure, else unknown.
    type: dict
    required: true
  month:
    description: The month, as V(2026-11), in UTC; by default the last 30 days.
    type: str
  objectives:
    description: What is promised, as C(resilience_objectives); C(availability_percent) of it is used, 99.95 by default.
    type: dict
    default: {}
  evidence:
    description: Folder on the control node with the evidence of operations.
    type: path
    default: evidence
  directory:
    description: Folder on the control node that both files are written to.
    type: path
    default: reports
seealso:
  - module: fraiseql.resilience.availability_record
"""

EXAMPLES = r"""
- name: November is reported
  fraiseql.resilience.availability_report:
    name: orders
    month: 2026-11
    records: "{{ {'observer': record} }}"
    objectives: "{{ resilience_objectives }}"
  register: report
"""

RETURN = r"""
verdict:
  description: >-
    V(failed) if more than the budget was lost; V(unknown) if the time that nobody saw could hide as much; else
    V(passed).
  returned: success
  type: str
  sample: passed
checks:
  description: What the period is judged by, with verdict and reason.
  returned: success
  type: list
  elements: dict
availability_percent:
  description: Of the time that was seen, drills apart; null where nothing was.
  returned: success
  type: float
  sample: 99.98731
budget:
  description: Seconds of the period, seconds that may be lost, that were, that drills took, and that nobody saw.
  returned: success
  type: dict
outages:
  description: Each outage, with its cause and evidence.
  returned: success
  type: list
  elements: dict
html:
  description: The page.
  returned: success
  type: str
  sample: /srv/reports/availability-orders-2026-11.html
json:
  description: The document; its schema is C(playbooks/schemas/availability-report-1.json) of this collection.
  returned: success
  type: str
"""
