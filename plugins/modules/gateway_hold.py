#!/usr/bin/python
# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module gateway_hold; module_utils/hold.py does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_hold
short_description: Hold the clients at the gateway while the primary moves to another member
description:
  - The only task within a planned switchover's outage. On the gateway it pauses PgBouncer, tells the old primary's
    armed demotion to go ahead, waits until HAProxy leads to another writable member, and resumes PgBouncer.
    Clients feel a stall and no failed transaction.
  - Before a client is held, guards make sure that the old primary is primary, that its demotion waits for the word,
    and that HAProxy leads to it.
  - It runs as the unit C(resilience-hold.service). If the Ansible job is cancelled, it goes on by itself; if it is
    killed, systemd lets the clients go. They are held for O(deadline) seconds at most.
version_added: 1.0.0
author:
  - FraiseQL contributors (@fraiseql)
extends_documentation_fragment:
  - fraiseql.resilience.attributes
attributes:
  check_mode:
    details: Runs the guards and returns how many clients would be held and which transactions are open.
  idempotent:
    support: partial
    details:
      - With the O(token) of a hold that has ended on a new primary, or that is under way, no second one is begun.
      - With another token each run is a switchover of its own.
options:
  old_primary:
    description: Name of the member that is primary now and is to stop.
    type: str
    required: true
  token:
    description: What the demotion on O(old_primary) waits for. Letters, digits, C(_), C(.) and C(-).
    type: str
    required: true
  deadline:
    description: Seconds that clients are held at most.
    type: float
    default: 15
  pause_timeout:
    description:
      - Seconds that open transactions get to end, before anything happens to the primary.
      - If one lasts longer, clients go on at once, nothing is changed, and the error names the sessions.
    type: float
    default: 2
  descriptor:
    description: What the host knows of its gateway; role P(fraiseql.resilience.gateway#role) writes it.
    type: path
    default: /etc/fraiseql-resilience/gateway.json
  state_file:
    description: Where the program keeps what it does.
    type: path
    default: /var/lib/fraiseql-resilience/hold.json
  program:
    description: The program that holds; role P(fraiseql.resilience.gateway#role) installs it.
    type: path
    default: /usr/local/lib/fraiseql-resilience/hold_clients.py
"""

EXAMPLES = r"""
- name: Clients wait while pg-a2 takes over from pg-a1
  fraiseql.resilience.gateway_hold:
    old_primary: pg-a1
    token: "{{ resilience_token }}"
    deadline: 10
"""

RETURN = r"""
outcome:
  description:
    - V(resumed_on_new_primary) is success.
    - V(resumed_on_old_primary) and V(refused) mean that nothing was changed, V(deadline) and V(killed) that clients
      were let go though no new primary was seen; the module then fails.
    - V(possible) in check mode.
  returned: when the hold has ended
  type: str
  sample: resumed_on_new_primary
old_primary:
  description: The member that stopped.
  returned: success
  type: str
  sample: pg-a1
new_primary:
  description: The member that serves now.
  returned: success
  type: str
  sample: pg-a2
held_seconds:
  description: How long clients were held, from asking for the pause until they were let go.
  returned: when clients were held
  type: float
  sample: 0.71
events:
  description:
    - V(pause_asked), V(paused), V(notified), V(writable), V(resumed), each with its time on the gateway's monotonic
      clock in nanoseconds, and in UTC for people.
  returned: when the hold has ended
  type: list
  elements: dict
  sample: [{name: paused, monotonic_ns: 2708520327623, utc: "2026-11-23T09:12:47.070531Z"}]
blockers:
  description: Sessions whose transaction did not end within O(pause_timeout), or that are open now in check mode.
  returned: when the hold has ended
  type: list
  elements: dict
  sample: []
clients:
  description: How many clients would be held.
  returned: check mode
  type: int
  sample: 8
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fraiseql.resilience.plugins.module_utils.command import run
from ansible_collections.fraiseql.resilience.plugins.module_utils.errors import ResilienceError
from ansible_collections.fraiseql.resilience.plugins.module_utils.hold import (
    Request,
    already_done,
    as_error,
    hold,
    plan,
)

ARGUMENTS = {
    "old_primary": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "deadline": {"type": "float", "default": 15},
    "pause_timeout": {"type": "float", "default": 2},
    "descriptor": {"type": "path", "default": "/etc/fraiseql-resilience/gateway.json"},
    "state_file": {"type": "path", "default": "/var/lib/fraiseql-resilience/hold.json"},
    "program": {"type": "path", "default": "/usr/local/lib/fraiseql-resilience/hold_clients.py"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    ended: dict[str, t.Any] = {}
    try:
        request = Request(**module.params)
        done = already_done(request)
        if done is not None:
            module.exit_json(changed=False, **done)
        if module.check_mode:
            module.exit_json(changed=True, **plan(run, request))
        ended = hold(run, request)
        error = as_error(ended)
        if error is not None:
            raise error
    except ResilienceError as error:
        module.fail_json(**{**ended, **error.as_result()})
    module.exit_json(changed=True, **ended)


if __name__ == "__main__":
    main()
