#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module demotion; module_utils/armed.py and collect/demotion.py do the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: demotion
short_description: Let a primary stop once the gateway holds its clients, and start it as a standby
description:
  - Runs on a member. V(armed) lets the primary shut itself down when the gateway gives the word, and not otherwise; it
    disarms itself at O(deadline). From then on it can only start as a standby.
  - V(standby) starts a member that was stopped cleanly as a standby of whoever is primary.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  idempotent:
    support: partial
    details: O(state=armed) begins anew with each token. A running standby is left alone.
options:
  state:
    description:
      - V(armed) arms the primary and returns once it is.
      - V(awaited) waits until the armed primary has stopped.
      - V(disarmed) makes sure that nothing is armed.
      - V(standby) makes sure that the member runs as a standby, and that its slots hold nothing back.
      - V(resumed) does so only for a member that an earlier switchover has stopped and that was never started again.
    type: str
    required: true
    choices: [armed, awaited, disarmed, standby, resumed]
  token:
    description: The word to wait for. Needed for V(armed) and V(awaited).
    type: str
  deadline:
    description: Seconds after which an armed primary disarms itself.
    type: float
    default: 60
  timeout:
    description: Seconds to wait at most.
    type: float
    default: 60
  descriptor:
    description: The file that names this member; role P(fraiseql.resilience.postgresql#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/member.json
"""

EXAMPLES = r"""
- name: The primary stops once the gateway holds its clients
  fraiseql.resilience.demotion:
    state: armed
    token: "{{ token }}"

- name: The old primary is a standby now
  fraiseql.resilience.demotion:
    state: standby
"""

RETURN = r"""
events:
  description: What happened when, each with name, monotonic_ns of this host, and utc.
  returned: for armed and awaited
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils import armed
from ansible_collections.fraiseql.resilience.plugins.module_utils.collect import demotion
from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.operation_lock import alone


def act(given: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    member = armed.member(given["descriptor"])
    state = given["state"]
    if state == "standby":
        return {"changed": demotion.start_as_standby(member, given["timeout"], check_mode=check_mode, run=run)}
    if state == "resumed":
        said = armed.state(armed.DEMOTION)
        return {"changed": demotion.resume(member, said, given["timeout"], check_mode=check_mode, run=run)}
    if state == "disarmed":
        active = armed.is_active(armed.DEMOTION, run=run)
        return {"changed": active if check_mode else armed.disarm(armed.DEMOTION, run=run)}
    if check_mode:
        return {"changed": state == "armed", "events": []}
    if state == "armed":
        said = armed.arm(armed.DEMOTION, given["token"], given["deadline"], member["os_user"], run=run)
        return {"changed": True, "events": said["events"]}
    ended = armed.await_end(armed.DEMOTION, given["token"], "stopped", given["timeout"])
    return {"changed": False, "events": ended["events"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": ["armed", "awaited", "disarmed", "standby", "resumed"],
            },
            "token": {"type": "str", "no_log": False},
            "deadline": {"type": "float", "default": 60},
            "timeout": {"type": "float", "default": 60},
            "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/member.json"},
        },
        required_if=[("state", "armed", ("token",)), ("state", "awaited", ("token",))],
        supports_check_mode=True,
    )
    try:
        changes = not module.check_mode and module.params["state"] != "awaited"
        with alone("data", "demotion", wait=module.params["timeout"], needed=changes):
            result = act(module.params, module.check_mode)
    except ResilienceError as error:
        module.fail_json(**error.as_result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
