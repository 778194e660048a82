#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it reads on the repository host, writes on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_report
short_description: A month of backups, verifications and restore tests, as a page and as JSON
description:
  - Reads the records of backups, verifications and forecasts on the repository host, and writes a page for people and
    a JSON document for programs on the control node.
  - Every backup and verification is in it; what did not pass, with the next good one of its kind; every hour, day and
    week without the backup that it was to have; how far back one can go; predicted recovery times beside measured ones.
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
  stanza:
    description: The stanza's name.
    type: str
    required: true
  month:
    description: The month, as V(2026-11), in UTC; by default the last 30 days.
    type: str
  repos:
    description: Numbers of the repositories that there are.
    type: list
    elements: int
    default: [1]
  objectives:
    description: What is promised, as C(resilience_objectives); C(rto_seconds) and C(retention_days) of it are used.
    type: dict
    default: {}
  windows:
    description: >-
      RV(fraiseql.resilience.recovery_window#module:windows), which tells how far back one can go; left out where the
      repositories could not be asked, which makes that V(unknown).
    type: list
    elements: dict
  directory:
    description: Folder on the control node that both files are written to.
    type: path
    default: reports
  records_directory:
    description: Where the repository host keeps its records.
    type: path
    default: /var/lib/fraiseql-resilience
seealso:
  - module: fraiseql.resilience.recovery_forecast
"""

EXAMPLES = r"""
- name: November is reported
  fraiseql.resilience.backup_report:
    name: orders
    stanza: orders
    month: 2026-11
    repos: [1, 2]
    objectives: "{{ resilience_objectives }}"
    windows: "{{ window.windows }}"
  register: report
"""

RETURN = r"""
verdict:
  description: V(passed) if every check passed, V(failed), or V(unknown).
  returned: success
  type: str
  sample: passed
checks:
  description: What the period is judged by, with verdict and reason.
  returned: success
  type: list
  elements: dict
figures:
  description: Counts of backups and verifications, of those that did not pass, and of what the schedule missed.
  returned: success
  type: dict
html:
  description: The page.
  returned: success
  type: str
  sample: /srv/reports/backups-orders-2026-11.html
json:
  description: The document; its schema is C(playbooks/schemas/backup-report-1.json) of this collection.
  returned: success
  type: str
"""
