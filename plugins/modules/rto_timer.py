#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name; it runs on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rto_timer
short_description: Mark a phase of an operation in its evidence
description:
  - The mark is on disk, in the evidence that is open in this run, when the task ends.
  - The phases of a recovery are C(fault), C(last_ack), C(first_failure), C(detected), C(fenced), C(promote_asked),
    C(writable), C(first_ack), C(load_back), C(redundancy_back), C(archiving_back) and C(new_backup), or V(t0) to
    V(t11);
    beside them stands C(decided). Any other word is kept as it is. The first mark of a name counts.
  - A mark is stamped by the control node's monotonic clock, without asking any host. In the report it stands on the
    observer's clock, if O(sync_with) compared the two, with the bound of the error.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    details: In check mode nothing is written.
  idempotent:
    support: none
    details: Each run of the task is an event of its own.
options:
  mark:
    description: The phase that is reached now.
    type: str
  detail:
    description: What was seen, in a few words.
    type: str
  at:
    description:
      - When the phase was reached, where another host has seen it. By default now, on the control node's clock.
    type: dict
    suboptions:
      clock:
        description: The clock's name; V(observer) for the one that everything is measured by.
        type: str
        required: true
      monotonic_ns:
        description: The moment on that clock (CLOCK_MONOTONIC), in nanoseconds.
        type: int
        required: true
      error_ns:
        description: How far off the moment may be, in nanoseconds.
        type: int
        default: 0
  sync_with:
    description:
      - Compare the control node's clock with that of this task's host, and call the latter by this name; V(observer)
        on the observer.
      - The offset is known to half of the fastest round trip. Do it near the marks that matter, before or after the
        outage.
    type: str
  samples:
    description: How often O(sync_with) reads the other clock. The fastest reading counts.
    type: int
    default: 5
requirements:
  - python3 on the host, for O(sync_with)
seealso:
  - module: fraiseql.resilience.evidence
"""

EXAMPLES = r"""
- name: The observer's clock is compared with ours
  fraiseql.resilience.rto_timer:
    sync_with: observer
  delegate_to: observer

- name: Mark that the old primary is fenced
  fraiseql.resilience.rto_timer:
    mark: fenced
    detail: "pg-a1: the fence agent says off"

- name: Mark when the observer saw the outage
  fraiseql.resilience.rto_timer:
    mark: detected
    at:
      clock: observer
      monotonic_ns: "{{ outage.t3_ns }}"
"""

RETURN = r"""
mark:
  description: The phase, by its name.
  returned: success
  type: str
  sample: fenced
detail:
  description: What was seen.
  returned: success
  type: str
at:
  description: The moment as it was stamped, with C(clock), C(monotonic_ns) and C(error_ns).
  returned: success
  type: dict
seconds:
  description: Seconds since the fault, or since the operation began where no fault is marked.
  returned: success
  type: float
  sample: 3.42
offset:
  description: How far the host's clock is ahead of the control node's, with C(offset_ns) and C(error_ns).
  returned: with O(sync_with)
  type: dict
marks:
  description: The phases marked so far on the observer's clock; null for one whose clock was never compared with it.
  returned: success
  type: dict
  sample: {fenced: {monotonic_ns: 8123456789, error_seconds: 0.031, source: "pg-a1: off"}}
path:
  description: The evidence folder.
  returned: success
  type: str
"""
