#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markers: rows that tell the two sides of a moment apart."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recovery_marker
short_description: Write a row that a restore to a point in time must bring back, or must not
version_added: 1.0.0
author: FraiseQL contributors (@fraiseql)
description:
  - Runs on an observer that role P(fraiseql.resilience.observer#role) has set up, and writes through the gateway.
  - A restore to the RV(marker.lsn) of one marker is proven from both sides when that marker is there afterwards, and
    one that was written later is not.
  - The row's timestamp is a label only, as no timestamp inside a row is the time of its commit.
extends_documentation_fragment:
  - fraiseql.resilience.attributes
options:
  name:
    description: The marker's name.
    type: str
    required: true
  state:
    description:
      - V(present) commits the marker if it is not there, and says where the WAL stood right after the commit.
      - V(absent) removes it.
      - V(reported) only tells whether it is there.
    type: str
    choices: [present, absent, reported]
    default: present
  restore_point:
    description:
      - Name of a restore point to make right after the commit.
      - The probe's user needs C(EXECUTE) on C(pg_create_restore_point).
    type: str
  read_from:
    description: Name of the member to work on. Without it the gateway leads to the primary.
    type: str
  descriptor:
    description: The file that role observer wrote.
    type: path
    default: /etc/fraiseql-resilience/observer.json
  timeout:
    description: Seconds to wait at most for the answer.
    type: float
    default: 10.0
seealso:
  - module: fraiseql.resilience.recovery_probe
"""

EXAMPLES = r"""
- name: The last moment before the mistake is marked
  fraiseql.resilience.recovery_marker:
    name: drill-7-n
  register: before

- name: The first moment after the mistake is marked
  fraiseql.resilience.recovery_marker:
    name: drill-7-n-plus-1

# ... restore to lsn "{{ before.marker.lsn }}"

- name: Both markers are looked for
  fraiseql.resilience.recovery_marker:
    name: "{{ item }}"
    state: reported
  loop: [drill-7-n, drill-7-n-plus-1]
  register: found

- name: The restore is proven from both sides
  ansible.builtin.assert:
    that:
      - found.results[0].marker.present
      - not found.results[1].marker.present
"""

RETURN = r"""
marker:
  description: The marker. In check mode RV(marker.lsn) is missing for one that would be written.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
    present:
      description: Whether it is there now.
      returned: always
      type: bool
    lsn:
      description: The WAL was flushed up to here right after the commit, so the commit ends here or before.
      returned: when it was written by this task
      type: str
    lsn_in_statement:
      description: The insert position inside the statement, so the commit begins here or after.
      returned: when it is there
      type: str
    timeline:
      description: The timeline it was written on.
      returned: when it was written by this task
      type: int
    server:
      description: Address of the server that it was written on.
      returned: when it was written by this task
      type: str
    written_at:
      description: When its row was made, by the server's wall clock.
      returned: when it was there already
      type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import command
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import probe_rows
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError


def argument_spec() -> dict[str, t.Any]:
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent", "reported"], "default": "present"},
        "restore_point": {"type": "str"},
        "read_from": {"type": "str"},
        "descriptor": {"type": "path", "default": probe_rows.DESCRIPTOR},
        "timeout": {"type": "float", "default": 10.0},
    }


def act(params: dict[str, t.Any], *, check_mode: bool, run: command.Runner) -> dict[str, t.Any]:
    """The module's answer: ``{"changed", "marker"}``."""
    name, timeout = params["name"], params["timeout"]
    connection = probe_rows.Observer.read(params["descriptor"]).connection(params["read_from"])
    marker = probe_rows.read_marker(run, connection, name, timeout=timeout)
    if params["state"] == "reported" or marker.present == (params["state"] == "present"):
        return {"changed": False, "marker": marker.as_dict()}
    after = {"name": name, "present": params["state"] == "present"}
    if check_mode:
        return {"changed": True, "marker": after}
    if params["state"] == "absent":
        probe_rows.remove_marker(run, connection, name, timeout=timeout)
        return {"changed": True, "marker": after}
    written = probe_rows.write_marker(run, connection, name, restore_point=params["restore_point"], timeout=timeout)
    return {"changed": True, "marker": {**after, **written}}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode, run=command.run))
    except ResilienceError as error:
        module.fail_json(**error.as_result())


if __name__ == "__main__":
    main()
