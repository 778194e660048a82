#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: key_rotation
short_description: Judge a change of the repositories' key by what can be restored
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Each key has repositories of its own. A change is whole when the earlier key's recovery window reaches into the new
    one's in each place, so that no point in time is in neither.
  - An earlier key is of no use any more when the serving one alone reaches as far back as is promised.
extends_documentation_fragment:
  - fraiseql.resilience.attributes.info_module
options:
  state:
    description: What is judged, the change to a new key or whether the earlier one may go.
    type: str
    choices: [rotated, retirable]
    default: rotated
  window:
    description: The whole result of M(fraiseql.resilience.recovery_window).
    type: dict
    required: true
  earlier:
    description: Numbers of the earlier key's repositories.
    type: list
    elements: int
    required: true
  repos:
    description: Numbers of the new, or serving, key's repositories.
    type: list
    elements: int
    required: true
  retention_days:
    description: How far back a restore must reach, with O(state=retirable).
    type: float
    default: 30.0
seealso:
  - module: fraiseql.resilience.recovery_window
"""

EXAMPLES = r"""
- name: Nothing is lost by the change of keys
  fraiseql.resilience.key_rotation:
    window: "{{ window }}"
    earlier: [11, 12]
    repos: [1, 2]
  register: rotated
  failed_when: rotated.verdict != 'passed'
"""

RETURN = r"""
verdict:
  description: V(passed) if the change is whole or the earlier key may go; V(unknown) for what could not be read.
  returned: success
  type: str
  sample: passed
checks:
  description: What was looked at, with verdict and reason.
  returned: success
  type: list
  elements: dict
  sample:
    - name: "repositories 11 and 1: no point in time is in neither"
      verdict: passed
      reason: both hold 0/8000158 to 0/B000000
without_backup:
  description: Those of O(repos) that hold no backup from which all WAL since can be reached.
  returned: success
  type: list
  elements: int
"""
